# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's side of the protocol, as bytes that are made before the clock runs.

A client that does all of this for each message would need as much CPU as the server that it loads.
"""

from __future__ import annotations

import struct
import zlib

__all__ = ["CLOSE", "CLOSED", "MESSAGES", "REQUEST", "WireError", "count_messages", "read_message"]

WINDOW_BITS = 12
EMPTY_BLOCK = b"\x00\x00\xff\xff"
"""What permessage-deflate leaves out at the end of each message."""


class WireError(Exception):
    """The server sent something else than it should."""


def _frame(first: int, payload: bytes) -> bytes:
    """A client's frame, masked, of at most 125 bytes."""
    key = b"\x5a\xc3\x17\x99"
    masked = bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))
    return struct.pack("!BB", first, 0x80 | len(payload)) + key + masked


def _text_frame(text: str) -> bytes:
    """A compressed text that refers to none before it: it can be sent at any time, and again."""
    compress = zlib.compressobj(wbits=-WINDOW_BITS)
    data = compress.compress(text.encode()) + compress.flush(zlib.Z_SYNC_FLUSH)
    return _frame(0xC1, data.removesuffix(EMPTY_BLOCK))


REQUEST = (
    b"GET / HTTP/1.1\r\n"
    b"Host: 127.0.0.1\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
    # As browsers offer it: the server chooses the windows.
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    b"\r\n"
)

CLOSE = _frame(0x88, struct.pack("!H", 1000))
CLOSED = b"\x88\x02" + struct.pack("!H", 1000)
"""The server's answer to it."""

WORDS = ("quick", "brown", "fox", "jumps", "over", "lazy", "dog", "while", "rain", "falls")

MESSAGES = {
    text: _text_frame(text)
    for text in (
        f'{{"from": "client {number}", "text": "{WORDS[number % 10]} {WORDS[number % 7]}"}}'
        for number in range(50)
    )
}
"""Small messages, each with the frame that brings it."""


def count_messages(data: bytes) -> tuple[int, bytes]:
    """How many messages of a server ``data`` holds, and the beginning of the next one.

    Raises:
        WireError: there is something else than short texts in it.

    """
    count = position = 0
    while position + 2 <= len(data):
        # The first byte is FIN and text, compressed or not; the second one the length, no mask.
        if data[position] & 0xBF != 0x81 or data[position + 1] > 125:
            raise WireError(f"not a short text: {data[position : position + 16].hex(' ')}")
        end = position + 2 + data[position + 1]
        if end > len(data):
            break
        count += 1
        position = end
    return count, data[position:]


def read_message(data: bytes) -> str:
    """The text in the first frame that a server sends on a connection."""
    payload = data[2:]
    if data[:1] == b"\xc1":
        payload = zlib.decompressobj(wbits=-WINDOW_BITS).decompress(payload + EMPTY_BLOCK)
    return payload.decode()
