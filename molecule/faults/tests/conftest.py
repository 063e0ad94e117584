"""Clients that stay and clients that come, and what each of them saw."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from conftest import Fleet

LOAD_BALANCERS = ("lb1", "lb2")
HELD = 200
FRESH_A_SECOND = 20
# What clients of websockets wait for a handshake if nobody tells them otherwise.
PATIENCE = 10.0
# For a machine that does something else too: what the slowest of hundreds may take longer.
MARGIN = 5.0


@dataclass(frozen=True)
class Place:
    """Where a connection is: through which load balancer, in which process of which server."""

    load_balancer: str
    server: str
    process: int
    release: int


@dataclass(frozen=True)
class Handshake:
    """One client that wanted in; with an error it failed."""

    began: float
    seconds: float
    place: Place | None
    certificate: str = ""
    error: str = ""


@dataclass(frozen=True)
class Cut:
    """One held connection that ended, and whether its client talked."""

    at: float
    place: Place
    code: int
    talked: bool


class Load:
    """Held clients over both load balancers and a steady stream of new ones, while it is entered.

    The load balancers are the addresses of one name: where the first one refuses, a client takes
    the other. Of the held clients every other one talks, the rest only listens. Who is cut comes
    back within a second; who fails waits twice as long as before, eight seconds at most.
    """

    def __init__(self, fleet: Fleet) -> None:
        # Whatever is asked of the hosts is asked here: the clients' loop must not wait for it.
        self.context = fleet.authority("lb1")
        self.url = f"wss://{fleet['lb1'].variables['nginx_domain']}/"
        self.addresses = {name: fleet[name].address for name in LOAD_BALANCERS}
        self.handshakes: list[Handshake] = []
        self.cuts: list[Cut] = []
        self.held: dict[int, Place] = {}
        self.echoed: dict[int, float] = {}

    def __enter__(self) -> Load:
        self.loop = asyncio.new_event_loop()
        self.stop = asyncio.Event()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=[self.clients()])
        self.thread.start()
        try:
            self.until(self.well, 60)
        except BaseException:
            self.__exit__()
            raise
        # How a fleet fills that was empty is no part of any fault.
        self.handshakes.clear()
        return self

    def __exit__(self, *_details: object) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()
        self.loop.close()

    async def clients(self) -> None:
        """All of them, until told to stop."""
        tasks = {asyncio.create_task(self.hold(number)) for number in range(HELD)}
        number = 0
        while not self.stop.is_set():
            number += 1
            come = asyncio.create_task(self.come(number))
            tasks.add(come)
            come.add_done_callback(tasks.discard)
            await asyncio.sleep(1 / FRESH_A_SECOND)
        await asyncio.gather(*tasks)

    async def open(self, number: int) -> tuple[ClientConnection, Place] | None:
        """Ask for a connection and hear where it is; note how it went."""
        began = time.monotonic()
        names = LOAD_BALANCERS if number % 2 else LOAD_BALANCERS[::-1]
        opened, certificate, error = None, "", ""
        for name in names:
            door = socket.socket()
            door.setblocking(False)
            try:
                await self.loop.sock_connect(door, (self.addresses[name], 443))
            except OSError as refused:
                door.close()
                error = f"{name}: {refused!r}"
                continue
            try:
                connection = await connect(
                    self.url,
                    sock=door,
                    ssl=self.context,
                    compression=None,
                    # What is seen is the fleet's doing, not the client's.
                    ping_interval=None,
                    open_timeout=PATIENCE,
                    close_timeout=2,
                )
            except Exception as failed:  # noqa: BLE001
                error = f"{name}: {failed!r}"
                break
            error = ""
            certificate = connection.transport.get_extra_info("peercert")["serialNumber"]
            # Who is cut before a word is said was in all the same.
            with suppress(ConnectionClosed):
                server, process, release = str(await connection.recv()).split()
                opened = connection, Place(name, server, int(process), int(release))
            break
        seconds = time.monotonic() - began
        place = opened[1] if opened else None
        self.handshakes.append(Handshake(began, seconds, place, certificate, error))
        return opened

    async def come(self, number: int) -> None:
        """Come, see, and leave."""
        if opened := await self.open(number):
            await opened[0].close()

    async def hold(self, number: int) -> None:
        """Stay connected."""
        wait = 1.0
        while not self.stop.is_set():
            opened = await self.open(number)
            if opened:
                await self.stay(number, *opened)
            wait = 1.0 if opened else min(2 * wait, 8.0)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), random.uniform(0, wait))

    async def stay(self, number: int, connection: ClientConnection, place: Place) -> None:
        """Listen, and perhaps talk, until the connection ends or the test does."""
        talks = number % 4 < 2
        self.held[number] = place
        others = [asyncio.create_task(self.leave(connection))]
        if talks:
            others.append(asyncio.create_task(self.talk(connection)))
        with suppress(ConnectionClosed):
            async for _message in connection:
                self.echoed[number] = time.monotonic()
        del self.held[number]
        if not self.stop.is_set():
            assert connection.close_code is not None
            self.cuts.append(Cut(time.monotonic(), place, connection.close_code, talks))
        for other in others:
            other.cancel()

    async def leave(self, connection: ClientConnection) -> None:
        """Close the connection when the test is over."""
        await self.stop.wait()
        await connection.close()

    async def talk(self, connection: ClientConnection) -> None:
        """Say something each second, whether it is answered or not."""
        with suppress(ConnectionClosed):
            while True:
                await connection.send("x")
                await asyncio.sleep(1)

    def until(self, holds: Callable[[], bool], seconds: float = 30) -> float:
        """Wait until something holds, not for ever; return the seconds that took."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() - began < seconds, self.summary()
            time.sleep(0.05)
        return time.monotonic() - began

    def well(self) -> bool:
        """Say whether all clients are held and all that talk are answered."""
        late = time.monotonic() - 3
        talkers = [number for number in range(HELD) if number % 4 < 2]
        return len(self.held) == HELD and all(
            self.echoed.get(number, 0) > late for number in talkers
        )

    def failed(self) -> list[str]:
        """Return what went wrong with handshakes."""
        return [shake.error for shake in self.handshakes if shake.error]

    def longest(self) -> float:
        """Return how long the slowest client waited until it was in."""
        return max(shake.seconds for shake in self.handshakes)

    def assert_all_got_in(self, longest: float = MARGIN) -> None:
        """All who came got in: most of them fast, the slowest before clients lose patience."""
        self.assert_in_time(longest)
        assert self.failed() == []

    def assert_in_time(self, longest: float = MARGIN) -> None:
        """Most handshakes were fast, and the slowest was not slower than this."""
        assert self.longest() < longest, self.summary()
        assert median(shake.seconds for shake in self.handshakes) < 1, self.summary()

    def places(self) -> Counter[Place]:
        """Count who is held where."""
        return Counter(list(self.held.values()))

    def cut(self, code: int) -> Counter[Place]:
        """Count who was cut where with this close code."""
        return Counter(one.place for one in self.cuts if one.code == code)

    def arrives(self, holds: Callable[[Place], bool]) -> float:
        """Wait until somebody who comes from now on gets to such a place; return the seconds."""
        seen = len(self.handshakes)
        return self.until(
            lambda: any(shake.place and holds(shake.place) for shake in self.handshakes[seen:])
        )

    def summary(self) -> str:
        """Return the numbers of a test in a line."""
        codes = Counter(
            (one.place.load_balancer, one.place.server, int(one.code)) for one in self.cuts
        )
        return (
            f"{len(self.handshakes)} handshakes, failed {self.failed()}, longest "
            f"{self.longest():.2f} s; held {len(self.held)}; cut {dict(codes)}"
        )


@pytest.fixture
def load(fleet: Fleet) -> Load:
    """The clients of a test, who come when it enters them."""
    return Load(fleet)
