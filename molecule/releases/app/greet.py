"""Answers every message with its version. The tests deploy copies with other versions."""

from websockets.asyncio.server import ServerConnection

VERSION = "1"


async def handler(websocket: ServerConnection) -> None:
    """Serve one connection."""
    async for _message in websocket:
        await websocket.send(VERSION)
