"""Processes that stand still: stopped by a signal, or by a handler that blocks the event loop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import ClientConnection

if TYPE_CHECKING:
    from conftest import Fleet

    from .conftest import Echoes, Hold, Unit

WATCHDOG_SECONDS = 12


@pytest.mark.parametrize("how", ["SIGSTOP", "block 60"])
def test_it_is_back_in_time_and_the_others_never_notice(
    fleet: Fleet, units: dict[str, list[Unit]], hold: Hold, echoes: Echoes, how: str
) -> None:
    async def keep_talking(connection: ClientConnection, until: asyncio.Event) -> int:
        answers = 0
        while not until.is_set():
            assert await echoes(connection)
            answers += 1
            await asyncio.sleep(0.2)
        return answers

    async def stand_still(name: str) -> None:
        unit = units[name][0]
        pid, restarts = await unit.show("MainPID", "NRestarts")
        async with hold(fleet[name], unit.index, 5, 5) as crowd:
            back = asyncio.Event()
            talks = [asyncio.create_task(keep_talking(one, back)) for one in crowd.elsewhere]
            began = time.monotonic()
            if how == "SIGSTOP":
                await unit.signal(how)
            else:
                await crowd.here[0].send(how)
            took = await unit.back(pid, began, WATCHDOG_SECONDS + 15)
            back.set()
            assert took < WATCHDOG_SECONDS + 5
            # As often as a second allows: each answered, none of them late.
            assert min(await asyncio.gather(*talks)) > WATCHDOG_SECONDS
            await asyncio.gather(*(connection.wait_closed() for connection in crowd.here))
        assert await unit.show("NRestarts") == [str(int(restarts) + 1)]
        if how != "SIGSTOP":
            # The journal tells whoever has to mend it where the loop stood.
            log = await unit.run(f"journalctl --no-pager --output=cat _PID={pid}")
            assert "faults.py" in log
            assert "in handler" in log

    async def both() -> None:
        await asyncio.gather(stand_still("app1"), stand_still("app2"))

    asyncio.run(both())
