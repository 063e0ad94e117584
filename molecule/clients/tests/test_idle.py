"""Connections over which nobody says anything: pings keep them, and find those who are gone.

All timeouts are short here; ``make idle`` has those that users have, and ten minutes.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fleet

    from .conftest import Ask, Handshake

LOAD_BALANCERS = ("lb1", "lb2")
CLIENTS = (
    *product(("python_websockets", "websocket_client", "node_ws"), LOAD_BALANCERS),
    ("chromium", "lb2"),
)
SLACK = 5.0


@dataclass(frozen=True)
class Times:
    """The scenario's timeouts, in seconds."""

    ping_interval: float
    ping_timeout: float
    read_timeout: float
    idle: float


# As inventory/group_vars/all.yml says.
LONG = Times(ping_interval=20, ping_timeout=20, read_timeout=60, idle=600)
SHORT = Times(ping_interval=2, ping_timeout=5, read_timeout=6, idle=19)
TIMES = LONG if os.environ.get("IDLE") == "long" else SHORT


def test_pings_keep_idle_connections_of_every_client(ask: Ask) -> None:
    with ThreadPoolExecutor(len(CLIENTS)) as pool:
        answers = pool.map(lambda client: ask(*client, idle=TIMES.idle)["seen"], CLIENTS)
        seen = dict(zip(CLIENTS, answers, strict=True))
    assert seen == {client: {"idle": True} for client in CLIENTS}


async def stay_silent(fleet: Fleet, load_balancer: str, head: bytes) -> tuple[bytes, float, float]:
    """Open a WebSocket and answer nothing.

    Return what came, and how many seconds it took from the answer on, and from the question on:
    the server counts from some time between them.
    """
    server = fleet[load_balancer]
    async with asyncio.timeout(120):
        reader, writer = await asyncio.open_connection(
            server.address,
            443,
            ssl=fleet.authority(load_balancer),
            server_hostname=server.variables["nginx_domain"],
        )
        asked = asyncio.get_running_loop().time()
        writer.write(head)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        began = asyncio.get_running_loop().time()
        frames = await reader.read()
        ended = asyncio.get_running_loop().time()
    writer.transport.abort()
    return frames, ended - began, ended - asked


@pytest.mark.parametrize("load_balancer", LOAD_BALANCERS)
def test_who_answers_no_ping_is_closed_in_time(
    fleet: Fleet, handshake: Handshake, load_balancer: str
) -> None:
    frames, least, most = asyncio.run(
        stay_silent(fleet, load_balancer, handshake(load_balancer, "/echo"))
    )
    promised = TIMES.ping_interval + TIMES.ping_timeout
    assert promised - 0.5 < most
    assert least < promised + SLACK
    # A ping, and a close frame with the code 1011.
    assert frames[0] == 0x89
    ping = frames[1] + 2
    assert frames[ping] == 0x88
    assert frames[ping + 2 : ping + 4] == (1011).to_bytes(2)


def test_without_pings_nginx_ends_an_idle_connection(fleet: Fleet, handshake: Handshake) -> None:
    head = handshake("lb1", "/echo?pings=off")
    frames, least, most = asyncio.run(stay_silent(fleet, "lb1", head))
    assert TIMES.read_timeout - 0.5 < most
    assert least < TIMES.read_timeout + SLACK
    # No close frame: to a client this is 1006.
    assert frames == b""
