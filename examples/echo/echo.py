"""Send every message back: the smallest handler that the launcher can serve."""

from __future__ import annotations

from websockets.asyncio.server import ServerConnection


async def handler(websocket: ServerConnection) -> None:
    """Echo until the client leaves or the process stops."""
    async for message in websocket:
        await websocket.send(message)
