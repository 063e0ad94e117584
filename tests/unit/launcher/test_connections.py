# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counting connections, messages and bytes."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

from websockets_fleet.connections import CountedConnection, Counts


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


def counted(
    talk: Callable[[ClientConnection], Awaitable[object]],
    handler: Callable[[ServerConnection], Awaitable[None]] = echo,
    **options: Any,
) -> Counts:
    """What is counted of one connection, after it has ended."""
    counts = Counts()

    async def handle(connection: ServerConnection) -> None:
        cast(CountedConnection, connection).count_opened()
        assert not counts.opening
        assert counts.open == 1
        await handler(connection)

    async def main() -> None:
        factory: Any = functools.partial(CountedConnection, counts)
        async with serve(handle, "127.0.0.1", 0, create_connection=factory, **options) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}/", compression=None) as client:
                await talk(client)
                await client.close()
            server.close()
            await server.wait_closed()

    asyncio.run(main())
    assert counts.open == 0
    assert counts.opened == 1
    return counts


async def nothing(_client: ClientConnection) -> None:
    pass


async def say(client: ClientConnection) -> None:
    await client.send("text")
    await client.recv()
    await client.send(b"binary")
    await client.recv()


async def say_in_fragments(client: ClientConnection) -> None:
    await client.send(["one ", "message"])
    assert await client.recv() == "one message"


async def ping(client: ClientConnection) -> None:
    await (await client.ping())


async def too_much(client: ClientConnection) -> None:
    await client.send("x" * 200)
    with pytest.raises(ConnectionClosed):
        await client.recv()


async def vanish(client: ClientConnection) -> None:
    client.transport.abort()
    await client.wait_closed()


@pytest.mark.parametrize(
    ("talk", "received", "sent"),
    [(nothing, 0, 0), (say, 2, 2), (say_in_fragments, 1, 1), (ping, 0, 0)],
)
def test_messages(
    talk: Callable[[ClientConnection], Awaitable[object]], received: int, sent: int
) -> None:
    counts = counted(talk)
    assert (counts.messages_received, counts.messages_sent) == (received, sent)


def test_broadcasts_are_counted() -> None:
    async def announce(connection: ServerConnection) -> None:
        broadcast([connection], "hear, hear")

    async def listen(client: ClientConnection) -> None:
        await client.recv()

    assert counted(listen, announce).messages_sent == 1


def test_bytes() -> None:
    async def send(client: ClientConnection) -> None:
        await client.send("x" * 1000)
        await client.recv()

    silent, talked = counted(nothing), counted(send)
    # A frame's header: 4 bytes at this size, and 4 more for the client's mask. The request holds
    # a port number, whose length may differ.
    assert talked.bytes_received - silent.bytes_received == pytest.approx(1008, abs=1)
    assert talked.bytes_sent - silent.bytes_sent == 1004


@pytest.mark.parametrize(
    ("talk", "code"),
    [
        (nothing, 1000),
        (functools.partial(ClientConnection.close, code=3000), 3000),
        (too_much, 1009),
        (vanish, 1006),
    ],
)
def test_close_codes(talk: Callable[[ClientConnection], Awaitable[object]], code: int) -> None:
    assert counted(talk, max_size=100).closed == {code: 1}


def test_a_handler_that_fails() -> None:
    async def fail(_connection: ServerConnection) -> None:
        raise RuntimeError

    async def listen(client: ClientConnection) -> None:
        await client.wait_closed()

    assert counted(listen, fail).closed == {1011: 1}
