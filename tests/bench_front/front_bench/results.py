# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came out: numbers of one measurement, and all of them as a table."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from .clients import Crowd

__all__ = ["Outcome", "percentile", "table"]


def percentile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that is not below this part of all; 0 without any."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fault did to the clients."""

    clients: int
    connected: int
    """Of the clients that were there before: how many are at the end."""

    handshakes: int
    """All tries since the fault began, also those that failed."""

    failed: int
    p50: float
    p99: float
    longest: float
    """Seconds that handshakes took which succeeded."""

    back: float | None
    """Seconds from the return of what was away to its first client; None without one."""

    share: float
    """Its part of all clients at the end, 1 being as many as the others have."""

    fullest: float
    """The most that one process had at a time, 1 being its fair part of the first clients."""

    failures: Counter[str]

    @classmethod
    def of(cls, crowd: Crowd, clients: int, began: float, gone: str, back: float) -> Self:
        """Sum up what a crowd saw since a fault began."""
        tries = [one for one in crowd.handshakes if one.began >= began]
        took = [one.seconds for one in tries if not one.failure]
        ends = [one.began + one.seconds for one in tries if one.place.startswith(gone)]
        first = min((end - back for end in ends if end >= back), default=None)
        places = Counter(crowd.places.values())
        there = sum(count for place, count in places.items() if place.startswith(gone))
        names = {one.place for one in crowd.handshakes if one.place}
        part = sum(name.startswith(gone) for name in names) / max(1, len(names))
        share = there / (places.total() * part) if places and part else 0.0
        return cls(
            clients=clients,
            connected=crowd.connected(clients),
            handshakes=len(tries),
            failed=sum(bool(one.failure) for one in tries),
            p50=percentile(took, 0.5),
            p99=percentile(took, 0.99),
            longest=max(took, default=0.0),
            back=first,
            share=share,
            fullest=crowd.fullest * len(names) / clients,
            failures=Counter(one.failure for one in tries if one.failure),
        )


HEAD = (
    ("set-up", "fault", "connected", "failed", "handshakes"),
    ("p50 s", "p99 s", "longest s", "back after s", "share then", "fullest"),
)


def _row(name: str, fault: str, outcomes: Sequence[Outcome]) -> list[str]:
    """Medians; where there is one only, its numbers."""

    def middle(values: Sequence[float]) -> float:
        return statistics.median(values)

    backs = [one.back for one in outcomes]
    known = [back for back in backs if back is not None]
    back = f"{middle(known):.1f}" if len(known) == len(backs) else "never"
    return [
        name,
        fault,
        f"{middle([one.connected for one in outcomes]):.0f} of {outcomes[0].clients}",
        f"{middle([one.failed for one in outcomes]):,.0f}",
        f"{middle([one.handshakes for one in outcomes]):,.0f}",
        f"{middle([one.p50 for one in outcomes]):.2f}",
        f"{middle([one.p99 for one in outcomes]):.1f}",
        f"{middle([one.longest for one in outcomes]):.1f}",
        back,
        f"{middle([one.share for one in outcomes]):.0%}",
        f"{middle([one.fullest for one in outcomes]):.1f}x",
    ]


def table(results: dict[tuple[str, str], list[Outcome]]) -> str:
    """Give the table, in Markdown: a line for each set-up and fault."""
    lines = [[*HEAD[0], *HEAD[1]]]
    lines += [_row(name, fault, outcomes) for (name, fault), outcomes in results.items()]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    left = 2

    def cells(line: Sequence[str]) -> str:
        padded = [
            text.ljust(width) if column < left else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * width if column < left else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    return "\n".join([cells(lines[0]), cells(rule), *map(cells, lines[1:])]) + "\n"
