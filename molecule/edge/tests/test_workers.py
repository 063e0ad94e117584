"""nginx's workers share the work, whoever comes when."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fleet

    from .conftest import Door

CONNECTIONS = 120


def test_connections_that_come_one_by_one_are_shared(fleet: Fleet, usual: Door) -> None:
    """From 1.21.6 on nginx does that without ``reuseport``, of which sites could not agree."""

    async def come() -> str:
        held = [await usual.ask() for _number in range(CONNECTIONS)]
        shown = await asyncio.to_thread(
            fleet["lb1"].run, "ss --no-header --tcp --numeric --processes 'sport = :443'"
        )
        for answer in held:
            answer.close()
        return shown

    workers = fleet["lb1"].run("pgrep --full 'nginx: worker process$'").split()
    if len(workers) < 2:
        pytest.skip("one CPU, one worker")
    # One that gets no time from a busy machine gets nobody either.
    tries: list[Counter[str]] = []
    while len(tries) < 3:
        shares = Counter(re.findall(r"pid=(\d+)", asyncio.run(come())))
        assert sum(shares.values()) >= CONNECTIONS
        if min(shares[pid] for pid in workers) > CONNECTIONS / len(workers) / 2:
            return
        tries.append(shares)
    pytest.fail(f"one of {workers} has too few: {tries}")


@pytest.mark.parametrize("name", ["lb1", "lb2"])
def test_a_storm_finds_room_to_queue(fleet: Fleet, name: str) -> None:
    shown = fleet[name].run("ss --no-header --listening --tcp --numeric 'sport = :443'")
    assert {line.split()[2] for line in shown.splitlines()} == {"4096"}


@pytest.mark.parametrize(("name", "seconds"), [("lb1", ""), ("lb2", "600")])
def test_old_workers_have_the_time_that_was_asked_for(
    fleet: Fleet, name: str, seconds: str
) -> None:
    shown = fleet[name].run("nginx -T 2> /dev/null | awk '$1 == \"worker_shutdown_timeout\"'")
    assert shown.partition(";")[0] == (f"worker_shutdown_timeout {seconds}" if seconds else "")
