# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pace of a drain: how many connections to close now, and how long to wait then."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["TICK", "Step", "next_step"]

TICK = 0.02
"""Shortest pause in seconds: below it, several connections are closed in one go."""


class Step(NamedTuple):
    """Close ``connections`` of them, then wait ``pause`` seconds before the next step."""

    connections: int
    pause: float


def next_step(remaining: int, seconds: float) -> Step:
    """The next step for ``remaining`` open connections with ``seconds`` left for all of them.

    Steps are computed one at a time, from what is true at that time: connections that leave by
    themselves slow the pace down, and time lost to a blocked event loop is made up for by a
    slightly faster pace, not by a burst. Undisturbed, the pace is constant, the first connection
    is closed at once and the last one a pause before the end. At or past the end, everything that
    remains is closed.
    """
    if remaining <= 0:
        return Step(0, 0.0)
    if seconds <= 0:
        return Step(remaining, 0.0)
    count = min(remaining, max(1, math.ceil(remaining * TICK / seconds)))
    return Step(count, seconds * count / remaining)
