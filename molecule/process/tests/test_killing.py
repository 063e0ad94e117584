"""A bad night: kill -9 in a loop, for a minute."""

from __future__ import annotations

import asyncio
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
MOMENT = 3


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


class Killer:
    """Kills a process again and again, a while after it has come up."""

    def __init__(self, unit: Unit, mercy: float) -> None:
        self.unit = unit
        self.mercy = mercy
        self.kills = 0

    async def kill(self, until: asyncio.Event) -> None:
        """Go on until told to stop."""
        while not until.is_set():
            pid, state = await self.unit.show("MainPID", "ActiveState")
            if pid != "0" and state == "active":
                await self.unit.run(f"kill -KILL {pid}")
                self.kills += 1
                await asyncio.sleep(self.mercy)
            await asyncio.sleep(0.1)


def test_clients_that_come_back_find_the_service(
    fleet: Fleet, units: dict[str, list[Unit]], echoes: Echoes
) -> None:
    killers = [
        # On each host one process that never gets far, and one that is killed now and then.
        Killer(unit, mercy)
        for pair in units.values()
        for unit, mercy in zip(pair, (0, 8), strict=True)
    ]

    async def restarts() -> list[int]:
        return [int((await killer.unit.show("NRestarts"))[0]) for killer in killers]

    async def night() -> None:
        before = await restarts()
        context = fleet.authority("app1")
        clients = [Client(fleet, context, echoes) for _number in range(CLIENTS)]
        morning, over = asyncio.Event(), asyncio.Event()
        staying = [asyncio.create_task(client.stay(over)) for client in clients]
        await asyncio.sleep(2)
        killing = []
        for killer in killers:
            killing.append(asyncio.create_task(killer.kill(morning)))
            await asyncio.sleep(1)
        await asyncio.sleep(SECONDS)
        morning.set()
        await asyncio.gather(*killing)
        # Those that wait to be started again are, however long their delay has grown.
        for killer in killers:
            await killer.unit.back("0", time.monotonic(), 30)
        over.set()
        await asyncio.gather(*staying)

        assert sum(client.losses for client in clients) > CLIENTS
        assert max(client.longest for client in clients) < MOMENT
        kills = [killer.kills for killer in killers]
        assert min(kills[::2]) > 8
        assert [now - then for now, then in zip(await restarts(), before, strict=True)] == kills
        for killer in killers:
            assert await killer.unit.show("ActiveState", "Result") == ["active", "success"]
        for name in units:
            assert fleet[name].run("systemctl --failed --no-legend --plain") == ""

    asyncio.run(night())
