"""SIGTERM to processes whose handlers behave badly."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fleet

    from .conftest import Hold, Unit

DRAIN_SECONDS = 10
# The launcher's promise: app_drain_seconds + app_close_timeout + 5, and 4 for its lifespan.
LIMIT = DRAIN_SECONDS + 2 + 5 + 4


@pytest.mark.parametrize(
    ("deed", "heard"),
    [
        ("never return", "cancelling 1 handlers that did not return"),
        ("swallow", "leaving 1 handlers behind"),
        ("block 5", ""),
    ],
)
def test_the_process_ends_in_time_and_the_others_get_their_close_frame(
    fleet: Fleet, units: dict[str, list[Unit]], hold: Hold, deed: str, heard: str
) -> None:
    async def end(name: str) -> None:
        unit = units[name][0]
        (pid,) = await unit.show("MainPID")
        async with hold(fleet[name], unit.index, 20) as crowd:
            await crowd.here[0].send(deed)
            await asyncio.sleep(0.3)
            began = await unit.stop()
            await asyncio.gather(*(connection.wait_closed() for connection in crowd.here))
            assert {connection.close_code for connection in crowd.here} == {1012}
            ending = await unit.ending(began, LIMIT + 5)
            assert (ending.status, ending.result) == ("0", "success")
            assert ending.seconds < LIMIT
        log = await unit.run(f"journalctl --no-pager --output=cat _PID={pid}")
        assert heard in log

    async def both() -> None:
        await asyncio.gather(end("app1"), end("app2"))

    asyncio.run(both())
