# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pace of a drain."""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from websockets_fleet.drain import CATCH_UP, TICK, Pace, Step


def drain(
    total: int, seconds: float, leave: list[int] | None = None, late: list[float] | None = None
) -> list[float]:
    """When each connection is closed, if ``leave[i]`` others leave during step i.

    The step after that comes ``late[i]`` seconds too late; the lists begin again at their end.
    """
    leave, late = leave or [0], late or [0.0]
    began = 1000.0
    pace = Pace(began, began + seconds)
    now, remaining, closes, step = began, total, [], 0
    while remaining > 0:
        due, pause = pace.next_step(remaining, now)
        assert 1 <= due <= remaining
        assert pause >= 0
        closes += [now - began] * due
        remaining -= due
        remaining -= min(remaining, leave[step % len(leave)])
        now += pause + late[step % len(late)]
        step += 1
    return closes


def busiest_second(closes: list[float]) -> int:
    """The most closes in one second, whenever that second begins."""
    # What is due a second later is not to fall into it by a rounding error.
    return max(bisect_left(closes, when + 1 - 1e-6) - index for index, when in enumerate(closes))


TOTALS = st.integers(1, 5000)
SECONDS = st.floats(0.05, 600)


@given(TOTALS, SECONDS)
def test_everyone_is_closed_once_and_in_time(total: int, seconds: float) -> None:
    closes = drain(total, seconds)
    assert len(closes) == total
    assert closes[0] == 0
    assert closes[-1] <= seconds


@given(TOTALS, SECONDS)
def test_undisturbed_the_pace_is_constant(total: int, seconds: float) -> None:
    closes = drain(total, seconds)
    for index, when in enumerate(closes):
        # The ideal moment of each close, and no more than a tick beside it.
        assert when == pytest.approx(index * seconds / total, abs=TICK + 1e-6)


@given(st.integers(1, 50_000), st.floats(1, 600))
@example(2000, 10)
@example(50_000, 1)
def test_no_second_has_more_than_its_share(total: int, seconds: float) -> None:
    share = total / seconds
    # Where a second has one or two, a whole connection more is rounding.
    assert busiest_second(drain(total, seconds)) <= max(1.5 * share, math.ceil(share))


@given(
    st.integers(5, 2000),
    st.floats(2, 60),
    st.lists(st.floats(0, CATCH_UP), min_size=1, max_size=50),
    st.lists(st.integers(0, 10), min_size=1, max_size=50),
)
@example(200, 10, [0.005], [0])
@example(200, 10, [CATCH_UP], [0])
def test_nor_where_the_event_loop_is_always_late(
    share: int, seconds: float, late: list[float], leave: list[int]
) -> None:
    total = int(share * seconds)
    closes = drain(total, seconds, leave=leave, late=late)
    assert busiest_second(closes) <= 1.5 * total / seconds
    assert closes[-1] <= seconds + CATCH_UP


@given(TOTALS, SECONDS, st.lists(st.integers(0, 100), max_size=100))
def test_clients_that_leave_only_slow_it_down(total: int, seconds: float, leave: list[int]) -> None:
    closes = drain(total, seconds, leave=leave)
    assert len(closes) <= total
    assert closes[-1] <= seconds + 1e-6
    pauses = [b - a for a, b in pairwise(closes) if b > a]
    assert all(pause >= min(seconds / total, TICK) * 0.999 for pause in pauses)


@given(TOTALS, SECONDS, st.lists(st.floats(0, 30), min_size=1, max_size=20))
def test_a_stall_past_the_end_closes_the_rest_at_once(
    total: int, seconds: float, stalls: list[float]
) -> None:
    closes = drain(total, seconds, late=stalls)
    assert len(closes) == total
    late = [when for when in closes if when > seconds + 1e-6]
    assert len(set(late)) <= 1


def test_time_lost_to_a_stall_is_made_up_for_evenly() -> None:
    closes = drain(1000, 10, late=[5.0] + [0.0] * 1000)
    # What a quarter of a second has missed, and then the rest at twice the pace.
    assert closes.count(max(closes[:50])) == pytest.approx(1000 / 5 * CATCH_UP, rel=0.2)
    assert busiest_second([when for when in closes if when > 5.1]) <= 1.1 * 1000 / 5
    assert closes[-1] <= 10


@pytest.mark.parametrize(
    ("remaining", "seconds", "expected"),
    [
        pytest.param(0, 30, Step(0, 0.0), id="nobody"),
        pytest.param(1, 30, Step(1, 30.0), id="one leaves at once"),
        pytest.param(4, 30, Step(1, 7.5), id="a quarter of the time each"),
        pytest.param(7, 0, Step(7, 0.0), id="no time: everybody"),
        pytest.param(7, -3, Step(7, 0.0), id="late: everybody"),
        pytest.param(100_000, 10, Step(200, 0.02), id="many: in ticks"),
    ],
)
def test_step(remaining: int, seconds: float, expected: Step) -> None:
    assert Pace(0.0, seconds).next_step(remaining, 0.0) == expected
