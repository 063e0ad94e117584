# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client: holds connections, talks over them, opens and closes them.

It is one process beside the server's and needs much less CPU: the server is what limits the rates.
The results say how busy the server was.
"""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import time
from collections.abc import Callable, Iterator

from .results import Rate
from .wire import CLOSE, CLOSED, MESSAGES, REQUEST, WireError, count_messages, read_message

__all__ = ["Echo", "handshakes", "hold"]

PATIENCE = 10.0
"""Seconds after which a server that says nothing is broken."""

Clock = Callable[[], float]


def _request(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(REQUEST)
    return connection


def _check_response(response: bytes) -> None:
    if not response.startswith(b"HTTP/1.1 101 ") or b"permessage-deflate" not in response:
        raise WireError(f"not the response to a handshake: {response!r}")


@contextlib.contextmanager
def hold(port: int, connections: int) -> Iterator[list[socket.socket]]:
    """So many connections, each of which has exchanged one message; closed properly at the end."""
    messages = itertools.cycle(MESSAGES.items())
    with contextlib.ExitStack() as stack:
        held = []
        for _number in range(connections):
            connection = stack.enter_context(_request(port))
            _check_response(connection.recv(4096))
            text, frame = next(messages)
            connection.sendall(frame)
            if (received := read_message(connection.recv(4096))) != text:
                raise WireError(f"sent {text!r}, received {received!r}")
            held.append(connection)
        yield held
        for connection in held:
            connection.sendall(CLOSE)
        for connection in held:
            while connection.recv(4096):
                pass


def _readable(poll: select.epoll) -> list[int]:
    events = poll.poll(PATIENCE)
    if not events:
        raise TimeoutError(f"the server said nothing for {PATIENCE:g} seconds")
    return [number for number, _event in events]


class Echo:
    """Messages there and back over ``held`` connections, one in flight on each of them."""

    def __init__(self, held: list[socket.socket], poll: select.epoll) -> None:
        self._poll = poll
        self._connections = {connection.fileno(): connection for connection in held}
        self._rest = dict.fromkeys(self._connections, b"")
        self._frames = itertools.cycle(MESSAGES.values())
        for connection in held:
            poll.register(connection, select.EPOLLIN)
            connection.sendall(next(self._frames))

    def run(self, seconds: float, cpu: Clock) -> Rate:
        """Go on for so long; ``cpu`` is the server's clock. What is in flight stays there.

        On a machine that is busy with something else it may take longer until there is anything
        to count.
        """
        count = 0
        began, cpu_began = time.perf_counter(), cpu()
        while count < len(self._connections) or time.perf_counter() < began + seconds:
            for number in _readable(self._poll):
                connection = self._connections[number]
                data = self._rest[number] + connection.recv(4096)
                messages, self._rest[number] = count_messages(data)
                if messages:
                    count += messages
                    connection.sendall(next(self._frames))
        return Rate(count, time.perf_counter() - began, cpu() - cpu_began)


def handshakes(port: int, at_once: int, seconds: float, cpu: Clock) -> Rate:
    """Connections that are opened and closed, ``at_once`` of them at any time but the end."""
    with contextlib.ExitStack() as stack, select.epoll() as poll:
        # What is under way, and what it has received.
        connections: dict[int, tuple[socket.socket, bytes]] = {}

        def begin() -> None:
            connection = stack.enter_context(_request(port))
            connections[connection.fileno()] = connection, b""
            poll.register(connection, select.EPOLLIN)

        count = 0
        began, cpu_began = time.perf_counter(), cpu()
        for _number in range(at_once):
            begin()
        while connections:
            for number in _readable(poll):
                connection, received = connections[number]
                if data := connection.recv(4096):
                    if not received:
                        _check_response(data)
                        connection.sendall(CLOSE)
                    connections[number] = connection, received + data
                    continue
                if not received.endswith(CLOSED):
                    raise WireError(f"not the end of a connection: {received!r}")
                del connections[number]
                connection.close()
                count += 1
                if time.perf_counter() < began + seconds:
                    begin()
        return Rate(count, time.perf_counter() - began, cpu() - cpu_began)
