"""A reload ends no connection; what it leaves behind is seen, and goes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fleet, Run

    from .conftest import Door

LOAD_BALANCERS = ("lb1", "lb2")
# Until it has happened: nobody is left with the old configuration who takes new connections.
RELOAD = (
    "systemctl reload nginx"
    " && timeout 20 sh -c 'until pgrep --full \"shutting dow[n]\"; do sleep 0.1; done'"
)


def row(run: Run, name: str) -> list[str]:
    """Return the words of a load balancer's line."""
    assert run.code == 0, run.output
    lines = [line.split() for line in run.output.splitlines()]
    (found,) = [words for words in lines if words[:2] == [name, "running"]]
    return found


@pytest.mark.parametrize("name", LOAD_BALANCERS)
def test_status_shows_old_workers_until_their_last_client_leaves(fleet: Fleet, name: str) -> None:
    async def hold() -> Run:
        async with fleet.connect(name) as one, fleet.connect(name) as other:
            fleet[name].run(RELOAD)
            run = await asyncio.to_thread(fleet.play, "websockets.fleet.status")
            for connection in (one, other):
                await connection.send("still here")
                assert await connection.recv() == "still here"
        return run

    run = asyncio.run(hold())
    assert "OLD WORKERS  THEIR CONNECTIONS  SINCE" in run.output
    _host, _running, connections, workers, held, since = row(run, name)
    assert int(connections) == 2
    assert int(workers) in (1, 2)
    assert int(held) == 2
    assert since.startswith("0:0")
    deadline = time.monotonic() + 30
    while (left := row(fleet.play("websockets.fleet.status"), name)[2:]) != ["0", "0", "0", "-"]:
        assert time.monotonic() < deadline, left


def test_what_an_address_holds_counts_on_after_a_reload(fleet: Fleet, strict: Door) -> None:
    async def hoard() -> None:
        async with strict.crowd(5, "192.0.2.50") as held:
            assert {answer.status for answer in held} == {101}
            fleet["lb2"].run(RELOAD)
            assert (await strict.ask("192.0.2.50")).status == 429
            for answer in held:
                answer.close()
            again = await strict.ask_until(101, "192.0.2.50")
            again.close()
            assert again.status == 101

    asyncio.run(hoard())
