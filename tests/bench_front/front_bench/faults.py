# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults as they happen to the clients: what is done, when, and what is seen."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .clients import Crowd, Target
from .fleet import Fleet
from .results import Outcome

__all__ = ["FAULTS", "Plan", "measure"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How many clients stay, how many more come a second, and how long things last, in seconds."""

    clients: int = 400
    newcomers: float = 5.0
    between_restarts: float = 4.0
    down: float = 20.0
    """A server that is off or refuses; a process that stands still is ended by its watchdog."""

    after: float = 15.0


Fault = Callable[[Fleet, Plan], Awaitable[tuple[str, float]]]
"""Returns what was taken away, the beginning of its places' names, and when it was back."""


async def _restarts(fleet: Fleet, plan: Plan) -> tuple[str, float]:
    place, back = "", 0.0
    for host, unit in fleet.units:
        await asyncio.sleep(max(0.0, back + plan.between_restarts - time.monotonic()))
        await fleet.run(host, f"systemctl restart {unit}")
        place, back = f"{host}/{_number(unit)}", time.monotonic()
    return place, back


async def _power_off(fleet: Fleet, plan: Plan) -> tuple[str, float]:
    host = fleet.servers[-1]
    async with fleet.powered_off(host):
        await asyncio.sleep(plan.down)
    return f"{host}/", time.monotonic()


async def _refused(fleet: Fleet, plan: Plan) -> tuple[str, float]:
    host = fleet.servers[-1]
    units = [unit for name, unit in fleet.units if name == host]
    if fleet.listen == "port_per_process":
        units = units[-1:]
    async with fleet.stopped(host, units):
        await asyncio.sleep(plan.down)
    return (f"{host}/{_number(units[0])}" if len(units) == 1 else f"{host}/"), time.monotonic()


async def _frozen(fleet: Fleet, plan: Plan) -> tuple[str, float]:
    host, unit = fleet.units[-1]
    show = f"systemctl show --property=MainPID --value {unit}"
    main = await fleet.run(host, show)
    async with fleet.frozen(host, unit):
        # The watchdog ends it, then systemd starts it.
        for _turn in range(100):
            if await fleet.run(host, show) not in {main, "0\n"}:
                break
            await asyncio.sleep(0.5)
        await fleet.well()
    return f"{host}/{_number(unit)}", time.monotonic()


def _number(unit: str) -> str:
    return unit.partition("@")[2].partition(".")[0]


FAULTS: dict[str, Fault] = {
    "restarts": _restarts,
    "power-off": _power_off,
    "refused": _refused,
    "frozen": _frozen,
}


async def measure(
    fleet: Fleet, target: Target, plan: Plan, fault: Fault, *, probed: bool
) -> Outcome:
    """Let a fault happen to clients."""
    crowd = Crowd(target)
    beside = [asyncio.create_task(crowd.watch())]
    try:
        if probed:
            beside.append(asyncio.create_task(fleet.probe()))
        await crowd.gather(plan.clients)
        beside.append(asyncio.create_task(crowd.newcomers(plan.newcomers)))
        await asyncio.sleep(2)
        began = time.monotonic()
        gone, back = await fault(fleet, plan)
        await asyncio.sleep(max(0.0, back + plan.after - time.monotonic()))
        return Outcome.of(crowd, plan.clients, began, gone, back)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(30):
                await crowd.leave()
