"""SIGTERM to a process that holds 2,000 connections."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.protocol import State

if TYPE_CHECKING:
    from conftest import Fleet

    from .conftest import Echoes, Hold, OpenOne, Unit

CONNECTIONS = 2000
DRAIN_SECONDS = 10
CLOSE_TIMEOUT = 2
CLOSE_CODE = 1012
SHARE = CONNECTIONS / DRAIN_SECONDS
# The clients stamp what they see, and share the machine with all else that runs there: an even
# drain looks uneven when they are late at its beginning. An uneven one never looks even.
TRIES = 3


async def closed_at(connection: ClientConnection) -> float:
    """When the connection has ended."""
    await connection.wait_closed()
    return time.monotonic()


@pytest.mark.parametrize("name", ["app1", "app2"])
def test_2000_connections_are_closed_evenly_and_nobody_else_notices(
    fleet: Fleet,
    units: dict[str, list[Unit]],
    hold: Hold,
    open_one: OpenOne,
    echoes: Echoes,
    name: str,
) -> None:
    server, unit = fleet[name], units[name][0]
    # Asked for now: nothing may hold up the clients' event loop while they watch.
    context = fleet.authority("app1")

    async def drain() -> Counter[int]:
        async with hold(server, unit.index, CONNECTIONS, 20) as crowd:
            assert (await unit.status())["connections"] == CONNECTIONS
            watched = [asyncio.create_task(closed_at(connection)) for connection in crowd.here]
            began = await unit.stop()
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)

            # In the middle of it: this process says so, and takes nobody new.
            health = await asyncio.to_thread(server.admin, unit.index, "/healthz")
            assert health == (503, "draining")
            earlier = sum(task.done() for task in watched)
            status = await unit.status()
            later = sum(task.done() for task in watched)
            assert status["draining"] is True
            # What a client and its server know of each other's end may be a turn apart.
            assert earlier - 20 <= status["closed_total"][str(CLOSE_CODE)] <= later + 20
            assert later < CONNECTIONS
            assert await units[name][1].healthy()
            for _number in range(20):
                hello, connection = await open_one(server)
                assert hello["instance"] != unit.index
                await connection.close()
            async with fleet.connect("app1", context) as through:
                await through.recv()
                assert await echoes(through)
            # Who is not closed yet is served as before.
            still = next(one for one in reversed(crowd.here) if one.state is State.OPEN)
            assert await echoes(still)

            when = sorted(await asyncio.gather(*watched))
            ending = await unit.ending(began, DRAIN_SECONDS + CLOSE_TIMEOUT + 5)
            assert (ending.status, ending.result) == ("0", "success")
            assert ending.seconds < DRAIN_SECONDS + CLOSE_TIMEOUT
            assert {connection.close_code for connection in crowd.here} == {CLOSE_CODE}
            # A busy machine may begin a little late; it ends no later for that.
            assert 0.8 * DRAIN_SECONDS < when[-1] - when[0] < DRAIN_SECONDS + 0.5
            seconds = Counter(int(one - when[0]) for one in when)
            assert all(await asyncio.gather(*map(echoes, crowd.elsewhere)))
            return seconds

    seen = []
    for _try in range(TRIES):
        seen.append(asyncio.run(drain()))
        if max(seen[-1].values()) <= 1.5 * SHARE:
            return
        unit.server.run(f"systemctl start {unit.name}")
    pytest.fail(f"connections closed in each second of the drains: {seen}")
