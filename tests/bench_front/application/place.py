"""Tell a client which process serves it, then keep the connection."""

from __future__ import annotations

import os
import socket

from websockets.asyncio.server import ServerConnection

PLACE = f"{socket.gethostname()}/{os.environ['INSTANCE']}"


async def handler(websocket: ServerConnection) -> None:
    """Say the host and the number of the process."""
    await websocket.send(PLACE)
    await websocket.wait_closed()
