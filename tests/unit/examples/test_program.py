"""What the program example promises to whoever runs it: PORT, a health check, SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

PROGRAM = Path(__file__).resolve().parents[3] / "examples" / "program" / "server.py"


@pytest.fixture
def running() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port: int = reserved.getsockname()[1]
    environment = {**os.environ, "HOST": "127.0.0.1", "PORT": str(port)}
    process = subprocess.Popen([sys.executable, str(PROGRAM)], env=environment)
    try:
        yield process, port
    finally:
        process.kill()
        process.wait()


async def _reach(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            with suppress(OSError):
                _reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.05)


def test_it_answers_and_ends_when_it_is_asked_to(
    running: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, port = running

    async def run() -> int:
        await _reach(port)
        async with connect(f"ws://127.0.0.1:{port}") as client:
            await client.send("hello")
            assert await client.recv() == "HELLO"
            process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as caught:
                await client.recv()
        assert caught.value.rcvd is not None
        return caught.value.rcvd.code

    assert asyncio.run(asyncio.wait_for(run(), 20)) == 1001
    assert process.wait(10) == 0


def test_its_health_check_is_plain_http(
    running: tuple[subprocess.Popen[bytes], int],
) -> None:
    _process, port = running
    asyncio.run(_reach(port))
    with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
        assert (answer.status, answer.read()) == (200, b"OK\n")
