"""Why a connection is closed, told to a client that is busy sending."""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fleet

    from .conftest import Handshake

# The head of a masked binary frame of 1 GiB.
HEAD = b"\x82\xff" + (2**30).to_bytes(8) + bytes(4)


@pytest.mark.parametrize("load_balancer", ["lb1", "lb2"])
def test_who_is_still_sending_sees_the_close_code(
    fleet: Fleet, handshake: Handshake, load_balancer: str
) -> None:
    server = fleet[load_balancer]
    context = fleet.authority(load_balancer)
    with (
        socket.create_connection((server.address, 443), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=server.variables["nginx_domain"]) as connection,
    ):
        connection.sendall(handshake(load_balancer, "/echo?pings=off"))
        assert b" 101 " in connection.recv(4096)
        connection.sendall(HEAD)
        # The server closes: its frame is there, and is not read yet.
        assert select.select([connection], [], [], 10)[0]
        # What is sent now finds nobody, and must not hurt.
        for _number in range(6):
            time.sleep(0.5)
            connection.sendall(bytes(2**16))
        frame = connection.recv(4096)
    assert frame[0] == 0x88
    assert frame[2:4] == (1009).to_bytes(2)
