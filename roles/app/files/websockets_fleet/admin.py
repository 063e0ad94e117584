# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain HTTP answers: health on the public address, and the admin socket of the process.

Both are given by websockets' own server before the WebSocket handshake, so that no other HTTP
parser is needed.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, unix_serve
from websockets.http11 import Request, Response

from .metrics import Render

__all__ = ["ListenError", "answer", "health", "serve_admin", "unix_listener"]


class ListenError(Exception):
    """An address can't be listened on; the message is the address and the reason."""


def answer(
    connection: ServerConnection,
    request: Request,
    status: HTTPStatus,
    body: str,
    content_type: str = "text/plain; charset=utf-8",
) -> Response:
    """A response in plain HTTP; a HEAD request gets its headers only."""
    response = connection.respond(status, body)
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = content_type
    response.headers["Cache-Control"] = "no-store"
    if request.method == "HEAD":
        response.body = b""
    return response


def health(connection: ServerConnection, request: Request, draining: bool) -> Response:
    """200 ``ok``, or 503 ``draining`` once the process has been asked to stop."""
    if draining:
        return answer(connection, request, HTTPStatus.SERVICE_UNAVAILABLE, "draining")
    return answer(connection, request, HTTPStatus.OK, "ok")


def unix_listener(path: Path, mode: int) -> socket.socket:
    """A bound Unix socket at ``path``, of which a crashed process may have left one behind.

    Raises:
        ListenError: it can't be made, or something that is no socket is in its place.

    """
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The mode has to be right from the first moment on: a chmod would come too late.
    umask = os.umask(0o777 & ~mode)
    try:
        listener.bind(os.fspath(path))
    except OSError as error:
        listener.close()
        raise ListenError(f"{path}: {error.strerror}") from error
    finally:
        os.umask(umask)
    return listener


async def serve_admin(
    path: Path,
    is_draining: Callable[[], bool],
    status: Callable[[], Mapping[str, object]],
    metrics: Render | None = None,
) -> Server:
    """Answer ``/healthz``, ``/status`` and ``/metrics`` on a Unix socket for its owner only.

    Raises:
        ListenError: the socket can't be made.

    """

    def process_request(connection: ServerConnection, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return answer(connection, request, HTTPStatus.METHOD_NOT_ALLOWED, "GET or HEAD only\n")
        path = request.path.partition("?")[0]
        if path == "/healthz":
            return health(connection, request, is_draining())
        if path == "/status":
            body = json.dumps(status()) + "\n"
            return answer(connection, request, HTTPStatus.OK, body, "application/json")
        if path == "/metrics" and metrics is not None:
            content_type, text = metrics(", ".join(request.headers.get_all("Accept")))
            return answer(connection, request, HTTPStatus.OK, text.decode(), content_type)
        known = "/healthz, /status" + (", /metrics" if metrics is not None else "")
        return answer(connection, request, HTTPStatus.NOT_FOUND, f"There is {known}\n")

    async def no_handler(_connection: ServerConnection) -> None:
        raise AssertionError("process_request answers everything")

    listener = unix_listener(path, 0o600)
    options: dict[str, Any] = {"sock": listener, "compression": None, "ping_interval": None}
    return await unix_serve(no_handler, process_request=process_request, **options)
