# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that stay connected, others that keep coming, and what their handshakes took."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import Counter
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

__all__ = ["Crowd", "Handshake", "Target", "any_certificate"]

RETRY_SECONDS = 0.5
"""A client whose handshake failed tries again after this, one whose connection ended at once."""

PING_SECONDS = 4.0
"""A client that hears nothing for twice as long connects anew. Browsers wait much longer."""

PATIENCE_SECONDS = 30.0
"""So long a client waits for a handshake: what fails before that, the fleet has failed."""

AT_ONCE = 50
"""So many connect at a time when the crowd gathers."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where clients connect: ``uri``, at an address that need not be the name's."""

    uri: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Handshake:
    """One try: when it began, how long it took, and which process answered, or why none did."""

    began: float
    seconds: float
    place: str
    failure: str


def any_certificate() -> ssl.SSLContext:
    """The certificate is not what is measured."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(slots=True)
class Crowd:
    """The clients of one measurement."""

    target: Target
    handshakes: list[Handshake] = field(default_factory=list)
    closings: Counter[int] = field(default_factory=Counter)
    """How connections ended that the clients did not end, by close code."""

    places: dict[int, str] = field(default_factory=dict)
    """Of each client that is connected: which process serves it."""

    fullest: int = 0
    """The most clients that one process had at a time, of those that were watched."""

    _context: ssl.SSLContext = field(default_factory=any_certificate)
    _gate: asyncio.Semaphore | None = None
    _wanted: int = 0
    _complete: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def _open(self) -> tuple[ClientConnection, str]:
        connection = await connect(
            self.target.uri,
            host=self.target.address,
            port=self.target.port,
            ssl=self._context if self.target.uri.startswith("wss:") else None,
            proxy=None,
            compression=None,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            open_timeout=PATIENCE_SECONDS,
            close_timeout=1,
        )
        try:
            async with asyncio.timeout(10):
                return connection, str(await connection.recv())
        except BaseException:
            connection.transport.abort()
            raise

    async def _try(self) -> tuple[ClientConnection, str] | None:
        began = time.monotonic()
        place = failure = ""
        opened = None
        try:
            opened = await self._open()
            place = opened[1]
        except (OSError, TimeoutError, WebSocketException, EOFError) as error:
            failure = str(error) or type(error).__name__
        self.handshakes.append(Handshake(began, time.monotonic() - began, place, failure))
        return opened

    async def _stay(self, number: int) -> None:
        """Be connected, again and again."""
        while True:
            async with self._gate or contextlib.nullcontext():
                opened = await self._try()
            if opened is None:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            connection, self.places[number] = opened
            if len(self.places) == self._wanted:
                self._complete.set()
            try:
                await connection.wait_closed()
                code = connection.close_code
                self.closings[1006 if code is None else code] += 1
            finally:
                del self.places[number]
                connection.transport.abort()

    async def gather(self, count: int) -> None:
        """Connect so many clients that stay."""
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._wanted = count
        self._tasks += [asyncio.create_task(self._stay(number)) for number in range(count)]
        async with asyncio.timeout(60):
            await self._complete.wait()
        # From now on they come as they like.
        self._gate = None

    async def newcomers(self, a_second: float) -> None:
        """Let more come, evenly, for ever; they stay as well."""
        began = time.monotonic()
        number = 0
        while True:
            number += 1
            await asyncio.sleep(max(0.0, began + number / a_second - time.monotonic()))
            self._tasks.append(asyncio.create_task(self._stay(len(self._tasks))))

    async def watch(self) -> None:
        """Keep an eye, for ever, on how full the fullest process is."""
        while True:
            await asyncio.sleep(0.25)
            most = max(Counter(self.places.values()).values(), default=0)
            self.fullest = max(self.fullest, most)

    def connected(self, count: int) -> int:
        """How many of the first clients are connected."""
        return sum(number in self.places for number in range(count))

    async def leave(self) -> None:
        """End all of them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
