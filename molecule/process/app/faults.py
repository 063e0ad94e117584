"""An echo that does on demand what a handler should not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import AsyncIterator
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

logger = logging.getLogger("faults")
entered: list[float] = []


@contextlib.asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    """Say when it begins and ends."""
    entered.append(time.time())
    logger.info("lifespan entered")
    yield
    logger.info("lifespan left")


def process_request(connection: ServerConnection, request: Request) -> Response | None:
    """Let nobody in at one path; would do so at that of the health check, if it were asked."""
    if request.path in ("/forbidden", "/healthz"):
        return connection.respond(HTTPStatus.FORBIDDEN, "No.\n")
    return None


def block(seconds: float) -> None:
    """Hold up the event loop."""
    time.sleep(seconds)


async def handler(websocket: ServerConnection) -> None:
    """Tell which process this is; then echo, or be as bad as the message says."""
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    hello = {"instance": int(os.environ["INSTANCE"]), "loop": loop, "entered": len(entered)}
    await websocket.send(json.dumps(hello))
    async for message in websocket:
        match message:
            case "never return":
                await asyncio.Event().wait()
            case "swallow":
                while True:
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.Event().wait()
            case "block 5":
                block(5)
            case "block 60":
                block(60)
            case "log":
                logger.info("asked to log")
            case "fail":
                raise RuntimeError("asked to fail")
            case _:
                await websocket.send(message)
