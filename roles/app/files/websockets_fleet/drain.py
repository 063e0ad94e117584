# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pace of a drain: how many connections to close now, and how long to wait then."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["CATCH_UP", "TICK", "Pace", "Step"]

TICK = 0.02
"""Shortest pause in seconds: below it, several connections are closed in one go."""

CATCH_UP = 0.25
"""Seconds of delay whose connections are closed in one go; no second gets many more for it."""


class Step(NamedTuple):
    """Close ``connections`` of them, then wait ``pause`` seconds before the next step."""

    connections: int
    pause: float


class Pace:
    """An even pace from ``now`` to ``end``.

    Steps are computed one at a time, from what is true at that time: connections that leave by
    themselves slow the pace down. Undisturbed, the pace is constant, the first connection is closed
    at once and the last one a pause before the end.

    An event loop that has much to do is late at every step. What it has missed meanwhile is closed
    with the step, as it would else gather and leave in a burst before the end. Only time lost to a
    loop that is blocked, longer than ``CATCH_UP``, is made up for by a faster pace of the rest.
    """

    def __init__(self, now: float, end: float) -> None:
        self._due = now
        self._end = end

    def next_step(self, remaining: int, now: float) -> Step:
        """The step to take ``now``, with so many ``remaining`` open; at the end, all of them."""
        if remaining <= 0:
            return Step(0, 0.0)
        if now >= self._end:
            return Step(remaining, 0.0)
        late = min(max(0.0, now - self._due), CATCH_UP)
        due = now - late
        left = self._end - due
        count = min(remaining, max(1, math.ceil(remaining * (late + TICK) / left)))
        self._due = due + left * count / remaining
        return Step(count, max(0.0, self._due - now))
