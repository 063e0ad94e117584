# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that are counted: how many, how they ended, what went through them."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
from typing import Any

from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Event

__all__ = ["CountedConnection", "Counts"]

TEXT, BINARY = Opcode.TEXT, Opcode.BINARY
data_received, process_frame = Connection.data_received, Connection.process_event


@dataclasses.dataclass(slots=True)
class Counts:
    """What one process has seen since it started.

    ``opening`` holds the connections whose handshake is not done; ``closed`` counts by close code.
    """

    opened: int = 0
    closed: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    opening: set[CountedConnection] = dataclasses.field(default_factory=set)
    messages_received: int = 0
    messages_sent: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0

    @property
    def open(self) -> int:
        """Connections that are open now, the closing handshake included."""
        return self.opened - self.closed.total()


class CountedConnection(ServerConnection):
    """A server connection that keeps ``counts`` up to date."""

    # There may be very many: no entries in their dictionaries.
    __slots__ = ("counts", "opened")

    def __init__(self, counts: Counts, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.counts = counts
        self.opened = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note that the handshake begins; called once, by the event loop."""
        super().connection_made(transport)
        self.counts.opening.add(self)

    def count_opened(self) -> None:
        """Note that the handshake is done and the handler starts."""
        self.opened = True
        self.counts.opening.discard(self)
        self.counts.opened += 1

    # The next three run for each message and are written for speed, which `make bench` measures:
    # what has no part in a handshake calls Connection's method, without a stop at ServerConnection.

    def data_received(self, data: bytes) -> None:
        """Count bytes; called by the event loop."""
        self.counts.bytes_received += len(data)
        data_received(self, data)

    def process_event(self, event: Event) -> None:
        """Count messages: a fragmented one counts once, with its first frame."""
        if not isinstance(event, Frame):
            ServerConnection.process_event(self, event)
            return
        opcode = event.opcode
        if opcode is TEXT or opcode is BINARY:
            self.counts.messages_received += 1
        process_frame(self, event)

    def send_data(self) -> None:
        """Count bytes and messages on their way out; everything that is sent passes here."""
        protocol = self.protocol
        if not protocol.writes:
            return
        counts = self.counts
        for data in protocol.data_to_send():
            if data:
                counts.bytes_sent += len(data)
                # The opcode is in the lower half of a frame's first byte: 1 is text, 2 is binary.
                # The response to the handshake begins with an H, which looks like neither.
                if 0 < data[0] & 15 < 3:
                    counts.messages_sent += 1
                self.transport.write(data)
            else:
                # The end of the stream, which comes last; the library knows how to end it.
                protocol.writes.append(data)
                ServerConnection.send_data(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the end of the connection; called once, by the event loop."""
        super().connection_lost(exc)
        self.counts.opening.discard(self)
        if self.opened:
            # A client's close frame is answered with the same code, so that the frame sent tells
            # the code in both cases; where none was sent, the network broke.
            sent = self.protocol.close_sent
            self.counts.closed[int(sent.code if sent else CloseCode.ABNORMAL_CLOSURE)] += 1
