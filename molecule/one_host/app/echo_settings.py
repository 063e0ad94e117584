"""An echo that reads its settings when it is imported, as many applications do."""

from __future__ import annotations

import os

from websockets.asyncio.server import ServerConnection

GREETING = os.environ["GREETING"]
DATABASE_PASSWORD = os.environ["DATABASE_PASSWORD"]


async def handler(websocket: ServerConnection) -> None:
    """Greet, then echo."""
    await websocket.send(GREETING)
    async for message in websocket:
        await websocket.send(message)
