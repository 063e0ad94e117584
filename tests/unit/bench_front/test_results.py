# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How what clients saw becomes numbers and a table."""

from __future__ import annotations

from collections import Counter

import pytest

from front_bench.clients import Crowd, Handshake, Target
from front_bench.results import Outcome, percentile, table


def crowd() -> Crowd:
    """Give four clients that came, of whom three are there, and a newcomer."""
    made = Crowd(Target("ws://front/", "10.0.0.1", 80))
    made.handshakes += [
        Handshake(1.0, 9.0, "app1/1", ""),
        Handshake(1.0, 9.0, "app2/1", ""),
        # From here on there is a fault.
        Handshake(10.0, 1.0, "app1/1", ""),
        Handshake(11.0, 2.0, "", "HTTP 502"),
        Handshake(12.0, 3.0, "app2/1", ""),
        Handshake(20.0, 0.5, "app2/1", ""),
    ]
    made.places |= {0: "app1/1", 1: "app1/1", 3: "app2/1", 4: "app2/1"}
    made.fullest = 3
    return made


def outcome() -> Outcome:
    return Outcome.of(crowd(), clients=4, began=10.0, gone="app2/", back=18.0)


def test_what_came_before_the_fault_does_not_count() -> None:
    seen = outcome()
    assert (seen.handshakes, seen.failed) == (4, 1)
    assert seen.failures == Counter({"HTTP 502": 1})
    assert (seen.p50, seen.longest) == (1.0, 3.0)


def test_newcomers_are_none_of_those_who_were_there() -> None:
    assert outcome().connected == 3


def test_a_server_is_back_with_its_first_client_after_its_return() -> None:
    assert outcome().back == 2.5
    assert Outcome.of(crowd(), clients=4, began=10.0, gone="app2/", back=30.0).back is None


def test_a_share_of_one_is_as_much_as_the_others_have() -> None:
    assert outcome().share == 1.0
    # Of four clients one of two processes had three.
    assert outcome().fullest == 1.5


@pytest.mark.parametrize(
    ("values", "part", "found"),
    [([], 0.5, 0.0), ([3.0], 0.99, 3.0), ([4.0, 1.0, 3.0, 2.0], 0.5, 3.0)],
)
def test_percentiles(values: list[float], part: float, found: float) -> None:
    assert percentile(values, part) == found


def test_the_table_has_a_line_for_each_set_up_and_fault() -> None:
    lines = table({("role", "restarts"): [outcome()], ("guide", "restarts"): [outcome()]})
    head, rule, *rows = lines.splitlines()
    assert len({len(line) for line in (head, rule, *rows)}) == 1
    assert [row.split("|")[1].strip() for row in rows] == ["role", "guide"]
    assert "3 of 4" in rows[0]


def test_who_did_not_come_back_every_time_is_said_to_be_gone() -> None:
    gone = Outcome.of(crowd(), clients=4, began=10.0, gone="app2/", back=30.0)
    assert "never" in table({("role", "restarts"): [outcome(), gone, outcome()]})
