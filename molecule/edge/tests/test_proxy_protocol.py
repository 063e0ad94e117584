"""Behind a balancer that speaks the PROXY protocol."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fleet

    from .conftest import Door

SITE = ("websockets.fleet.site", "--limit", "lb1,localhost")
BEHIND = {
    "nginx_trusted_proxies": ["198.18.0.0/15"],
    "nginx_real_ip": "proxy_protocol",
    "nginx_deny": ["203.0.113.0/24"],
}


@pytest.fixture(scope="module")
def behind(fleet: Fleet, usual: Door) -> Iterator[Door]:
    """The load balancer, told that a balancer is in front of it."""
    run = fleet.play(*SITE, "-e", json.dumps(BEHIND))
    assert run.code == 0, run.output
    yield usual
    run = fleet.play(*SITE)
    assert run.code == 0, run.output


def ask(door: Door, port: int, first: str) -> str:
    """Say who the client is, then ask for a page; return the first line of the answer."""
    with socket.create_connection((door.address, port), timeout=10) as plain:
        plain.sendall(first.encode())
        encrypted = door.context.wrap_socket(plain) if port == 443 else plain
        encrypted.sendall(b"GET / HTTP/1.1\r\nHost: echo.example.test\r\nUpgrade: websocket\r\n")
        encrypted.sendall(b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n")
        encrypted.sendall(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        return encrypted.recv(4096).decode().split("\r\n")[0]


def test_the_client_is_who_the_balancer_says(behind: Door) -> None:
    header = "PROXY TCP4 {} 192.0.2.1 4711 443\r\n"
    assert " 101 " in ask(behind, 443, header.format("192.0.2.9"))
    assert " 403 " in ask(behind, 443, header.format("203.0.113.9"))
    assert " 308 " in ask(behind, 80, header.format("192.0.2.9"))


def test_who_does_not_speak_it_is_not_served(behind: Door) -> None:
    with pytest.raises(ConnectionError):
        ask(behind, 443, "")
