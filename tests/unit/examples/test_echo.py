"""What the echo example does."""

from __future__ import annotations

import asyncio

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from examples.echo.echo import handler


def test_every_message_comes_back_as_it_was() -> None:
    async def run() -> None:
        async with serve(handler, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            messages: list[str | bytes] = ["héllo", b"\x00\x01", ""]
            async with connect(f"ws://127.0.0.1:{port}") as client:
                for message in messages:
                    await client.send(message)
                    assert await client.recv() == message

    asyncio.run(asyncio.wait_for(run(), 10))
