"""Messages that are too large, and what a process may take at most."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fleet

    from .conftest import Echoes, Hold, OpenOne, Unit

MIB = 2**20
MAX_SIZE = MIB
ATTACKERS = 10


async def fragments() -> AsyncIterator[bytes]:
    """More than a message may have, in parts that are each small enough."""
    for _number in range(5):
        yield bytes(MAX_SIZE // 4)


@pytest.mark.parametrize(
    "message",
    [bytes(MAX_SIZE + 1), "x" * (MAX_SIZE + 1), fragments()],
    ids=["binary", "text", "in fragments"],
)
def test_a_message_that_is_too_large_gets_1009(
    fleet: Fleet,
    units: dict[str, list[Unit]],
    open_one: OpenOne,
    message: bytes | str | AsyncIterable[bytes],
) -> None:
    assert units

    async def send() -> int | None:
        _hello, connection = await open_one(fleet["app1"])
        await connection.send(message)
        await connection.wait_closed()
        return connection.close_code

    assert asyncio.run(send()) == 1009


def test_the_largest_message_that_may_be_is_served(
    fleet: Fleet, open_one: OpenOne, echoes: Echoes
) -> None:
    async def send() -> None:
        _hello, connection = await open_one(fleet["app1"], max_size=None)
        assert await echoes(connection, "x" * MAX_SIZE)
        await connection.close()

    asyncio.run(send())


@pytest.mark.parametrize("name", ["app1", "app2"])
def test_a_compressed_bomb_is_refused_before_it_is_inflated(
    fleet: Fleet, units: dict[str, list[Unit]], hold: Hold, name: str
) -> None:
    unit = units[name][0]

    async def peak(pid: str) -> int:
        return int(await unit.run(f"awk '/^VmHWM/ {{print $2}}' /proc/{pid}/status")) * 1024

    async def bomb() -> None:
        (pid,) = await unit.show("MainPID")
        async with hold(fleet[name], unit.index, ATTACKERS, compression="deflate") as crowd:
            # The peak counts from here on.
            await unit.run(f"echo 5 > /proc/{pid}/clear_refs")
            before = await unit.status()
            for connection in crowd.here:
                await connection.send(bytes(64 * MIB))
            await asyncio.gather(*(connection.wait_closed() for connection in crowd.here))
            assert {connection.close_code for connection in crowd.here} == {1009}
            # 640 MiB have come through the wire in less than one.
            after = await unit.status()
            assert after["bytes_received_total"] - before["bytes_received_total"] < MIB
            assert await peak(pid) - before["memory_bytes"] < 16 * MIB
        assert await unit.show("MainPID") == [pid]

    asyncio.run(bomb())


@pytest.mark.parametrize("name", ["app1", "app2"])
def test_systemd_has_the_limits_that_the_inventory_asks_for(
    fleet: Fleet, units: dict[str, list[Unit]], name: str
) -> None:
    """What systemd means to enforce: the lab has no controllers for it, a real host does."""
    shown = fleet[name].run(
        f"systemctl show {units[name][0].name} -p MemoryHigh -p MemoryMax -p TasksMax -p OOMPolicy"
    )
    assert sorted(shown.splitlines()) == [
        f"MemoryHigh={384 * MIB}",
        f"MemoryMax={512 * MIB}",
        "OOMPolicy=kill",
        "TasksMax=64",
    ]
