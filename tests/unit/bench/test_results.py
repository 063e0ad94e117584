# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmark makes of its numbers: medians, comparisons, bounds, a table."""

from __future__ import annotations

import pytest

from fleet_bench.results import Rate, Round, Row, Spread, rows, table

BARE = Rate(1000, 1.0, 0.5)


def one_round(
    *launched: Rate, event_loop: str = "asyncio", memory: tuple[float, float] = (50, 50)
) -> Round:
    turns = [{"bare": BARE, "launched": rate} for rate in launched or (BARE,)]
    return Round(event_loop, dict(zip(("bare", "launched"), memory, strict=True)), turns, turns)


def find(result: list[Row], name: str, unit: str) -> Row:
    (row,) = [row for row in result if (row.name, row.unit) == (name, unit)]
    return row


def test_rates_of_one_turn_add_up() -> None:
    assert Rate(10, 1.0, 0.5) + Rate(30, 1.5, 0.75) == Rate(40, 2.5, 1.25)


@pytest.mark.parametrize(
    ("values", "spread"),
    [
        ([7], (7, 7, 7)),
        ([4, 8], (5, 6, 7)),
        ([9, 1, 5, 3, 7], (3, 5, 7)),
    ],
)
def test_a_spread_is_the_median_and_the_quartiles(
    values: list[float], spread: tuple[float, float, float]
) -> None:
    assert Spread.of(values) == Spread(*spread)


def test_servers_are_compared_within_a_turn() -> None:
    """Where the machine is half as fast for a turn, both servers are."""
    slow = {"bare": Rate(500, 1.0, 0.5), "launched": Rate(490, 1.0, 0.5)}
    fast = {"bare": Rate(1000, 1.0, 0.5), "launched": Rate(980, 1.0, 0.5)}
    memory = {"bare": 50.0, "launched": 51.0}
    result = rows([Round("asyncio", memory, [slow, fast, slow], [slow])])
    assert find(result, "messages", "/s").compared.median == pytest.approx(0.98)
    assert find(result, "messages", "/CPU s").compared.median == pytest.approx(0.98)
    assert find(result, "a connection", "KiB").compared.median == pytest.approx(1.0)


def test_time_and_cpu_are_told_apart() -> None:
    """A launched server that got the CPU half of the time did as much with it as the bare one."""
    result = rows([one_round(Rate(500, 1.0, 0.25))])
    assert find(result, "messages", "/s").compared.median == pytest.approx(0.5)
    assert find(result, "messages", "/CPU s").compared.median == pytest.approx(1.0)
    assert find(result, "a message", "CPU µs").bare.median == pytest.approx(500)


def test_one_bad_round_decides_nothing() -> None:
    result = rows([one_round(), one_round(Rate(100, 1.0, 0.5)), one_round()])
    assert all(row.met for row in result)


@pytest.mark.parametrize(
    ("launched", "memory", "missed"),
    [
        pytest.param(Rate(971, 1.0, 0.5), 51.9, [], id="just met"),
        pytest.param(Rate(969, 1.0, 0.5), 51.9, ["messages"], id="too slow"),
        pytest.param(Rate(971, 1.0, 0.5), 52.1, ["a connection"], id="too big"),
    ],
)
def test_bounds(launched: Rate, memory: float, missed: list[str]) -> None:
    result = rows([one_round(launched, memory=(50, memory))])
    assert [row.name for row in result if not row.met] == missed


def test_each_event_loop_is_compared_with_itself() -> None:
    half = Rate(500, 1.0, 0.5)
    result = rows([one_round(), one_round(half, event_loop="uvloop")])
    assert [row.event_loop for row in result if not row.met] == ["uvloop"]


def test_a_server_that_waited_was_not_busy() -> None:
    assert one_round(Rate(1000, 1.0, 1.0)).busy() == pytest.approx(0.75)


def test_the_table_says_what_was_compared_and_what_is_missed() -> None:
    lines = table(rows([one_round(Rate(900, 1.0, 0.5), memory=(50, 50.75))])).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[3][:5] == ["asyncio", "messages/CPU s", "2,000", "1,800", "0.900"]
    assert cells[3][-1] == ">= 0.97: NOT met"
    assert cells[-1][:5] == ["asyncio", "a connection, KiB", "50.0", "50.8", "+0.75"]
    assert cells[-1][-1] == "<= +2: met"
    assert len({len(line) for line in lines}) == 1
