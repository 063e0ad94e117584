"""websockets: what its asyncio client sees."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from clients.programs.asking import BINARY, PIECES, SUBPROTOCOLS, TEXT, answer, asked
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.version import version

ASKED = asked()


@asynccontextmanager
async def opened(
    path: str, ca_file: str | None = ASKED.ca_file, **options: Any
) -> AsyncIterator[ClientConnection]:
    options = {
        "compression": "deflate" if ASKED.compression else None,
        # Its own limit is 1 MiB.
        "max_size": ASKED.too_big,
        # It answers pings; those of its own would keep an idle connection alive, too.
        "ping_interval": None,
        **options,
    }
    async with connect(
        ASKED.url + path,
        host=ASKED.address,
        port=443,
        ssl=ssl.create_default_context(cafile=ca_file),
        **options,
    ) as connection:
        yield connection


async def echoed(message: str | bytes) -> bool:
    async with opened("/echo") as connection:
        await connection.send(message)
        return await connection.recv() == message


async def extension() -> str | None:
    async with opened("/echo") as connection:
        assert connection.response is not None
        return connection.response.headers.get("Sec-WebSocket-Extensions")


async def subprotocol() -> str | None:
    async with opened("/echo", subprotocols=SUBPROTOCOLS) as connection:
        return connection.subprotocol


async def fragments_sent() -> bool:
    async with opened("/echo") as connection:

        async def pieces() -> AsyncIterator[bytes]:
            for piece in PIECES:
                yield piece
                await connection.ping()

        await connection.send(pieces(), text=True)
        return await connection.recv() == TEXT


async def fragments_received() -> bool:
    async with opened("/fragments") as connection:
        await connection.send(TEXT)
        parts = [part async for part in connection.recv_streaming()]
        return len(parts) > 1 and "".join(map(str, parts)) == TEXT


async def ping() -> bool:
    async with opened("/echo") as connection:
        pong = await connection.ping(b"are you there?")
        return await pong >= 0


async def closed(path: str, message: str = "") -> list[Any]:
    async with opened(path) as connection:
        try:
            if message:
                await connection.send(message)
            await connection.recv()
        except ConnectionClosed as error:
            return [error.rcvd.code, error.rcvd.reason] if error.rcvd else [1006, ""]
    raise AssertionError("it stays open")


async def closed_by_server() -> list[Any]:
    return await closed("/close/4001")


async def too_big() -> int:
    return int((await closed("/echo", "x" * ASKED.too_big))[0])


async def closed_by_client() -> int | None:
    async with opened("/echo") as connection:
        await connection.close(4002, "bye")
        return connection.close_code


async def refused() -> list[Any]:
    try:
        async with opened("/busy"):
            raise AssertionError("it is let in")
    except InvalidStatus as error:
        return [error.response.status_code, error.response.headers["Retry-After"].isdigit()]


async def stranger() -> bool:
    try:
        async with opened("/echo", ca_file=None):
            return False
    except ssl.SSLCertVerificationError:
        return True


async def idle() -> bool:
    async with opened("/echo") as connection:
        await asyncio.sleep(ASKED.idle)
        await connection.send("still here")
        return await connection.recv() == "still here"


TRIES: dict[str, Callable[[], Awaitable[Any]]] = {
    "extension": extension,
    "subprotocol": subprotocol,
    "text": lambda: echoed(TEXT),
    "binary": lambda: echoed(BINARY),
    "empty": lambda: echoed(""),
    "16 MiB of text": lambda: echoed("0123456789abcdef" * (ASKED.big // 16)),
    "16 MiB of noise": lambda: echoed(ASKED.incompressible),
    "too big": too_big,
    "fragments sent": fragments_sent,
    "fragments received": fragments_received,
    "ping": ping,
    "closed by server": closed_by_server,
    "closed by client": closed_by_client,
    "refused": refused,
    "stranger": stranger,
}


async def main() -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, attempt in {"idle": idle}.items() if ASKED.idle else TRIES.items():
        try:
            async with asyncio.timeout(ASKED.idle + 30):
                seen[name] = await attempt()
        except Exception as error:  # noqa: BLE001  the test shows it
            seen[name] = repr(error)
    return seen


answer(f"websockets {version}", asyncio.run(main()))
