"""A bad night: kill -9 in a loop, for a minute."""

from __future__ import annotations

import asyncio
import itertools
import random
import ssl
import time
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed, InvalidHandshake

if TYPE_CHECKING:
    from conftest import Fleet

    from .conftest import Echoes, Unit

SECONDS = 60
CLIENTS = 20
MERCY = 5
MOMENT = 5


class Client:
    """Somebody who wants to be connected, always."""

    def __init__(self, fleet: Fleet, context: ssl.SSLContext, echoes: Echoes) -> None:
        self.fleet = fleet
        self.context = context
        self.echoes = echoes
        self.losses = 0
        self.longest = 0.0

    async def stay(self, until: asyncio.Event) -> None:
        """Talk until told to stop; connect again whenever the connection is lost."""
        last = time.monotonic()
        backoff = 0.1
        while not until.is_set():
            try:
                connecting = self.fleet.connect("app1", self.context, open_timeout=MOMENT)
                async with connecting as connection:
                    await connection.recv()
                    while not until.is_set():
                        assert await self.echoes(connection)
                        self.longest = max(self.longest, time.monotonic() - last)
                        last = time.monotonic()
                        backoff = 0.1
                        await asyncio.sleep(0.2)
            except (ConnectionClosed, InvalidHandshake, OSError):
                self.losses += 1
                await asyncio.sleep(backoff * random.uniform(0.5, 1))
                backoff = min(1, backoff * 2)


class Victim:
    """A process that is killed again and again."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.kills = 0
        self._killed = "0"

    async def kill(self) -> None:
        """Kill it if it is up, and not the one that was killed the last time and is not buried."""
        pid, state = await self.unit.show("MainPID", "ActiveState")
        if state == "active" and pid not in ("0", self._killed):
            await self.unit.run(f"kill -KILL {pid}")
            self._killed = pid
            self.kills += 1

    async def back(self) -> None:
        """Wait until it serves again, however long its delay has grown."""
        await self.unit.back(self._killed, time.monotonic(), 30)


async def kill_young(victim: Victim, until: asyncio.Event) -> None:
    """Kill a process whenever it has come up, until told to stop."""
    while not until.is_set():
        await victim.kill()
        await asyncio.sleep(0.1)


async def kill_in_turn(victims: list[Victim], until: asyncio.Event) -> None:
    """Kill one after the other, each when the last one serves again, until told to stop."""
    for victim in itertools.cycle(victims):
        await victim.kill()
        await victim.back()
        await asyncio.sleep(MERCY)
        if until.is_set():
            return


def test_clients_that_come_back_find_the_service(
    fleet: Fleet, units: dict[str, list[Unit]], echoes: Echoes
) -> None:
    # On each host one process that never gets far, and one that is killed now and then.
    young = [Victim(pair[0]) for pair in units.values()]
    old = [Victim(pair[1]) for pair in units.values()]
    victims = [*young, *old]

    async def restarts() -> list[int]:
        return [int((await victim.unit.show("NRestarts"))[0]) for victim in victims]

    async def night() -> None:
        before = await restarts()
        context = fleet.authority("app1")
        clients = [Client(fleet, context, echoes) for _number in range(CLIENTS)]
        morning, over = asyncio.Event(), asyncio.Event()
        staying = [asyncio.create_task(client.stay(over)) for client in clients]
        await asyncio.sleep(2)
        killing = [asyncio.create_task(kill_young(victim, morning)) for victim in young]
        killing.append(asyncio.create_task(kill_in_turn(old, morning)))
        await asyncio.sleep(SECONDS)
        morning.set()
        await asyncio.gather(*killing)
        await asyncio.gather(*(victim.back() for victim in victims))
        over.set()
        await asyncio.gather(*staying)

        assert sum(client.losses for client in clients) > CLIENTS
        assert max(client.longest for client in clients) < MOMENT
        kills = [victim.kills for victim in victims]
        assert min(kills[:2]) > 8
        assert min(kills[2:]) > 2
        assert [now - then for now, then in zip(await restarts(), before, strict=True)] == kills
        for victim in victims:
            assert await victim.unit.show("ActiveState", "Result") == ["active", "success"]
        for name in units:
            assert fleet[name].run("systemctl --failed --no-legend --plain") == ""

    asyncio.run(night())
