"""An echo that first says which process of which server it is."""

from __future__ import annotations

import os
import socket

from websockets.asyncio.server import ServerConnection

RELEASE = 1


async def handler(websocket: ServerConnection) -> None:
    """Say where the client is, then send every message back."""
    await websocket.send(f"{socket.gethostname()} {os.environ['INSTANCE']} {RELEASE}")
    async for message in websocket:
        await websocket.send(message)
