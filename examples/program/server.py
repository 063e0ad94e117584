#!/usr/bin/env python

"""A program that serves by itself: nothing in it knows what deploys it."""

import asyncio
import os
import signal
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response


async def shout(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message.upper())


def health_check(connection: ServerConnection, request: Request) -> Response | None:
    if request.path == "/healthz":
        return connection.respond(HTTPStatus.OK, "OK\n")
    return None


async def main() -> None:
    host = os.environ.get("HOST", "localhost")
    port = int(os.environ.get("PORT", "8765"))
    async with serve(shout, host, port, process_request=health_check) as server:
        # Stop when asked to: connections are closed with the code 1001 (going away).
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, server.close)
        await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(main())
