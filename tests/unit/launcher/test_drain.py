# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pace of a drain."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from websockets_fleet.drain import TICK, Step, next_step


def drain(
    total: int, seconds: float, leave: list[int] | None = None, stalls: list[float] | None = None
) -> list[float]:
    """When each connection is closed, if ``leave[i]`` others leave and time stalls at step i."""
    leave, stalls = leave or [], stalls or []
    now, remaining, closes, step = 0.0, total, [], 0
    while remaining > 0:
        due, pause = next_step(remaining, seconds - now)
        assert 1 <= due <= remaining
        assert pause >= 0
        closes += [now] * due
        remaining -= due
        remaining -= min(remaining, leave[step] if step < len(leave) else 0)
        now += pause + (stalls[step] if step < len(stalls) else 0.0)
        step += 1
    return closes


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


@given(st.integers(100, 5000), st.integers(4, 60))
def test_no_second_has_more_than_its_share(total: int, seconds: int) -> None:
    closes = drain(total, seconds)
    buckets = [0] * (seconds + 1)
    for when in closes:
        buckets[int(when)] += 1
    # One more than the share is rounding: 10.5 a second has to be 11 in some of them.
    assert max(buckets) <= max(1.5 * total / seconds, total / seconds + 1)


@given(TOTALS, SECONDS, st.lists(st.integers(0, 100), max_size=100))
def test_clients_that_leave_only_slow_it_down(total: int, seconds: float, leave: list[int]) -> None:
    closes = drain(total, seconds, leave=leave)
    assert len(closes) <= total
    assert closes[-1] <= seconds + 1e-6
    pauses = [b - a for a, b in pairwise(closes) if b > a]
    assert all(pause >= min(seconds / total, TICK) * 0.999 for pause in pauses)


@given(TOTALS, SECONDS, st.lists(st.floats(0, 30), max_size=20))
def test_a_stall_past_the_end_closes_the_rest_at_once(
    total: int, seconds: float, stalls: list[float]
) -> None:
    closes = drain(total, seconds, stalls=stalls)
    assert len(closes) == total
    late = [when for when in closes if when > seconds + 1e-6]
    assert len(set(late)) <= 1


def test_time_lost_to_a_stall_is_made_up_for_evenly() -> None:
    closes = drain(100, 10, stalls=[5])
    after = [when for when in closes if when > 0]
    pauses = [b - a for a, b in pairwise(after)]
    assert max(pauses) == pytest.approx(min(pauses))
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
    assert next_step(remaining, seconds) == expected
