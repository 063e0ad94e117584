"""What the answers say of themselves, and what not."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import re
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fleet

    from .conftest import Door

# Answered by nginx, by the redirect, by a server, refused as garbage.
ANSWERS = [(443, "/", 426), (80, "/", 308), (443, "/healthz", 200), (443, "/%zz", 400)]


@pytest.mark.parametrize(("port", "path", "status"), ANSWERS)
@pytest.mark.parametrize("name", ["lb1", "lb2"])
def test_no_answer_tells_a_version(
    fleet: Fleet, usual: Door, name: str, port: int, path: str, status: int
) -> None:
    address = fleet[name].address
    connection = (
        http.client.HTTPConnection(address, port, timeout=10)
        if port == 80
        else http.client.HTTPSConnection(address, port, timeout=10, context=usual.context)
    )
    connection.request("GET", path, headers={"Host": "echo.example.test"})
    response = connection.getresponse()
    body = response.read().decode()
    assert response.status == status
    assert response.headers["Server"] == "nginx"
    assert "X-Powered-By" not in response.headers
    assert not re.search(r"nginx/|Python|websockets|Debian", f"{response.headers}{body}")
    if port == 443:
        assert response.headers["Strict-Transport-Security"] == "max-age=63072000"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


GARBAGE = [
    (b"garbage", 400),
    (b"GET / HTTP/9.9", 505),
    (b"TRACE / HTTP/1.1\r\nHost: x", 405),
    (b"GET /" + b"x" * 9000 + b" HTTP/1.1", 414),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 9000, 400),
]


@pytest.mark.parametrize(("garbage", "status"), GARBAGE)
@pytest.mark.parametrize("way", ["http", "https", "http to the port of https"])
def test_no_page_of_errors_tells_a_version(
    usual: Door, way: str, garbage: bytes, status: int
) -> None:
    with socket.create_connection((usual.address, 80 if way == "http" else 443), 10) as plain:
        sock = usual.context.wrap_socket(plain) if way == "https" else plain
        answer = b""
        # What was not read is answered by a reset, after the page.
        with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
            sock.sendall(garbage + b"\r\n\r\n")
            while part := sock.recv(4096):
                answer += part
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
    assert not re.search(rb"nginx/|Debian", answer)


def test_a_refused_handshake_has_the_headers_too(usual: Door) -> None:
    async def ask() -> dict[str, str]:
        answer = await usual.ask(Origin="https://evil.example")
        answer.close()
        return answer.headers

    headers = asyncio.run(ask())
    assert headers["Server"] == "nginx"
    assert headers["Strict-Transport-Security"] == "max-age=63072000"
