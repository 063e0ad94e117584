# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's client sends what a server understands, and reads what a server says."""

from __future__ import annotations

import pytest
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from fleet_bench import wire


@pytest.fixture
def server() -> ServerProtocol:
    """The library's own server, after the handshake."""
    protocol = ServerProtocol(
        extensions=[ServerPerMessageDeflateFactory(client_max_window_bits=wire.WINDOW_BITS)]
    )
    protocol.receive_data(wire.REQUEST)
    (request,) = protocol.events_received()
    assert isinstance(request, Request)
    protocol.send_response(protocol.accept(request))
    assert b"permessage-deflate" in b"".join(protocol.data_to_send())
    return protocol


def received(server: ServerProtocol) -> list[Frame]:
    return [event for event in server.events_received() if isinstance(event, Frame)]


def test_a_server_understands_every_message_at_any_time(server: ServerProtocol) -> None:
    for _time in range(2):
        for text, frame in wire.MESSAGES.items():
            server.receive_data(frame)
            (event,) = received(server)
            assert (event.opcode, bytes(event.data).decode()) == (Opcode.TEXT, text)


def test_a_server_answers_the_close_in_the_way_that_is_waited_for(server: ServerProtocol) -> None:
    server.receive_data(wire.CLOSE)
    assert server.data_to_send() == [wire.CLOSED, b""]
    assert server.close_rcvd is not None
    assert server.close_rcvd.code == 1000


def test_the_first_message_of_a_server_is_read(server: ServerProtocol) -> None:
    server.send_text(b'{"a": "long text, a long text, and a long text again"}')
    assert wire.read_message(b"".join(server.data_to_send())).endswith('long text again"}')


def test_messages_are_counted_wherever_the_stream_is_cut(server: ServerProtocol) -> None:
    for text in ("one", "two", "", "four"):
        server.send_text(text.encode())
    stream = b"".join(server.data_to_send())
    for cut in range(len(stream) + 1):
        before, rest = wire.count_messages(stream[:cut])
        after, end = wire.count_messages(rest + stream[cut:])
        assert (before + after, end) == (4, b"")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x89\x00", id="a ping"),
        pytest.param(wire.CLOSED, id="a close"),
        pytest.param(b"\x81\x7e\x01\x00", id="a long text"),
    ],
)
def test_nothing_else_passes_for_a_message(data: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.count_messages(data)
