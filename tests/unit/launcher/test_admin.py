# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The admin socket, and the Unix sockets it shares its making with."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import stat
from pathlib import Path

import pytest

from websockets_fleet.admin import ListenError, serve_admin, unix_listener
from websockets_fleet.metrics import Render

from .conftest import UnixHTTPConnection


def render(accept: str) -> tuple[str, bytes]:
    return "text/metrics", f"accept {accept}".encode()


def asked(
    path: Path,
    target: str,
    method: str = "GET",
    *,
    draining: bool = False,
    render: Render | None = render,
) -> http.client.HTTPResponse:
    """One response of an admin socket at ``path``; its body is in ``msg_body``."""

    def ask() -> http.client.HTTPResponse:
        connection = UnixHTTPConnection(path)
        connection.request(method, target, headers={"Accept": "text/x"})
        response = connection.getresponse()
        response.body = response.read().decode()  # type: ignore[attr-defined]
        connection.close()
        return response

    async def main() -> http.client.HTTPResponse:
        server = await serve_admin(path, lambda: draining, lambda: {"pid": 42}, render)
        async with server:
            return await asyncio.to_thread(ask)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("target", "method", "draining", "status", "body"),
    [
        ("/healthz", "GET", False, 200, "ok"),
        ("/healthz", "HEAD", False, 200, ""),
        ("/healthz?x=1", "GET", False, 200, "ok"),
        ("/healthz", "GET", True, 503, "draining"),
        ("/status", "GET", True, 200, '{"pid": 42}\n'),
        ("/metrics", "GET", False, 200, "accept text/x"),
        ("/other", "GET", False, 404, "There is /healthz, /status, /metrics\n"),
        ("/status", "DELETE", False, 405, "GET or HEAD only\n"),
    ],
)
def test_answers(
    directory: Path, target: str, method: str, draining: bool, status: int, body: str
) -> None:
    response = asked(directory / "socket", target, method, draining=draining)
    assert (response.status, response.body) == (status, body)  # type: ignore[attr-defined]
    assert response.headers["Cache-Control"] == "no-store"


def test_metrics_are_there_only_with_a_library(directory: Path) -> None:
    response = asked(directory / "socket", "/metrics", render=None)
    assert response.status == 404
    assert response.body == "There is /healthz, /status\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("target", "content_type"),
    [
        ("/healthz", "text/plain; charset=utf-8"),
        ("/status", "application/json"),
        ("/metrics", "text/metrics"),
    ],
)
def test_content_types(directory: Path, target: str, content_type: str) -> None:
    response = asked(directory / "socket", target)
    assert response.headers.get_all("Content-Type") == [content_type]


def test_status_is_json(directory: Path) -> None:
    response = asked(directory / "socket", "/status")
    assert json.loads(response.body) == {"pid": 42}  # type: ignore[attr-defined]


@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o660])
def test_the_mode_is_what_it_should_be(directory: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        unix_listener(directory / "socket", mode).close()
    finally:
        assert os.umask(before) == umask
    assert stat.S_IMODE((directory / "socket").stat().st_mode) == mode


def test_a_socket_left_behind_is_replaced(directory: Path) -> None:
    path = directory / "socket"
    unix_listener(path, 0o600).close()
    with unix_listener(path, 0o600) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.listen()
        client.connect(str(path))


def test_what_is_no_socket_is_left_alone(directory: Path) -> None:
    path = directory / "socket"
    path.write_text("precious")
    with pytest.raises(ListenError, match=f"{path}: Address already in use"):
        unix_listener(path, 0o600)
    assert path.read_text() == "precious"


def test_a_directory_that_is_not_there(directory: Path) -> None:
    path = directory / "missing" / "socket"
    with pytest.raises(ListenError, match=f"{path}: No such file or directory"):
        unix_listener(path, 0o600)
