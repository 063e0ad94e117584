"""An echo, and what a client may ask of a server; the path says what.

``/echo`` echoes, ``/fragments`` echoes in fragments, ``/close/4001`` closes with that code at once,
``/busy`` lets nobody in. The query changes how: ``compression=off`` declines it, ``pings=off``
sends none.
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

SUBPROTOCOLS = [Subprotocol("v2.echo"), Subprotocol("v1.echo")]
PART = 1000


def process_request(connection: ServerConnection, request: Request) -> Response | None:
    """Decide what has to be decided before the handshake is answered."""
    parts = urlsplit(request.path)
    if parts.path == "/busy":
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "Not now.\n")
    query = parse_qs(parts.query)
    if query.get("compression") == ["off"]:
        connection.protocol.available_extensions = None
    if query.get("pings") == ["off"]:
        connection.ping_interval = None
    # Who asks for none gets in too.
    if "Sec-WebSocket-Protocol" in request.headers:
        connection.protocol.available_subprotocols = SUBPROTOCOLS
    return None


async def handler(websocket: ServerConnection) -> None:
    """Do what the path says."""
    assert websocket.request is not None
    match urlsplit(websocket.request.path).path.split("/"):
        case ["", "close", code]:
            await websocket.close(int(code), "as you wish")
        case ["", "fragments"]:
            async for message in websocket:
                await websocket.send(
                    message[start : start + PART] for start in range(0, len(message), PART)
                )
        case _:
            async for message in websocket:
                await websocket.send(message)
