# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was measured to what it says: medians, their spread, bounds that are met or not.

The servers alternate, and soon: what else the machine does meets both of them alike. Two rates are
compared within a turn; a round is the median of its turns, the result the median of its rounds.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Self

__all__ = ["KINDS", "Rate", "Round", "Row", "Spread", "Turn", "comparisons", "rows", "table"]

KINDS = ("bare", "launched")


@dataclasses.dataclass(frozen=True, slots=True)
class Rate:
    """How often something was done, in how many seconds, with how many of the server's CPU."""

    count: int
    seconds: float
    cpu_seconds: float

    def __add__(self, other: Rate) -> Rate:
        return Rate(
            self.count + other.count,
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
        )


Turn = dict[str, Rate]
"""What each kind of server did, one soon after the other."""


@dataclasses.dataclass(frozen=True, slots=True)
class Round:
    """One process of each kind, measured side by side.

    ``memory`` is in KiB a connection, and empty where it was not measured.
    """

    event_loop: str
    memory: dict[str, float]
    messages: list[Turn]
    handshakes: list[Turn]

    def busy(self) -> float:
        """How much of the time in which it was asked for messages a server had a CPU."""
        rates = [turn[kind] for turn in self.messages for kind in KINDS]
        return sum(rate.cpu_seconds for rate in rates) / sum(rate.seconds for rate in rates)


@dataclasses.dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, and the quartiles around it."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """The spread of at least one value."""
        known = list(values)
        low, median, high = (
            statistics.quantiles(known, n=4, method="inclusive") if known[1:] else known * 3
        )
        return cls(low, median, high)


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One line of the result: ``compared`` is launched / bare, or launched - bare."""

    event_loop: str
    name: str
    unit: str
    bare: Spread
    launched: Spread
    compared: Spread
    is_ratio: bool
    bound: float | None = None

    @property
    def met(self) -> bool:
        """Whether the launcher keeps its bound: a ratio is at least that, a difference at most."""
        if self.bound is None:
            return True
        if self.is_ratio:
            return self.compared.median >= self.bound
        return self.compared.median <= self.bound


def _a_second(rate: Rate) -> float:
    return rate.count / rate.seconds


def _a_cpu_second(rate: Rate) -> float:
    return rate.count / rate.cpu_seconds


def _microseconds(rate: Rate) -> float:
    return rate.cpu_seconds / rate.count * 1e6


Compare = Callable[[float, float], float]


def _ratio(launched: float, bare: float) -> float:
    return launched / bare


def _difference(launched: float, bare: float) -> float:
    return launched - bare


def _row(
    event_loop: str,
    name: str,
    unit: str,
    rounds: Sequence[list[dict[str, float]]],
    compare: Compare,
    bound: float | None = None,
) -> Row:
    """A row from the values of each kind in each turn of each round."""

    def spread(value: Callable[[dict[str, float]], float]) -> Spread:
        return Spread.of(statistics.median(map(value, turns)) for turns in rounds)

    return Row(
        event_loop,
        name,
        unit,
        bare=spread(lambda turn: turn["bare"]),
        launched=spread(lambda turn: turn["launched"]),
        compared=spread(lambda turn: compare(turn["launched"], turn["bare"])),
        is_ratio=compare is _ratio,
        bound=bound,
    )


def rows(rounds: Sequence[Round]) -> list[Row]:
    """The result of some rounds, event loop by event loop.

    The bound on messages is on the CPU that they take: where nothing else runs, a server that is
    asked for as much as it can do has a CPU to itself, and this is the same as messages a second.
    Where something else does run, it is what the server is answerable for.
    """

    def values(turns: list[Turn], value: Callable[[Rate], float]) -> list[dict[str, float]]:
        return [{kind: value(turn[kind]) for kind in KINDS} for turn in turns]

    result = []
    for event_loop in dict.fromkeys(one.event_loop for one in rounds):
        own = [one for one in rounds if one.event_loop == event_loop]
        messages = [one.messages for one in own]
        handshakes = [one.handshakes for one in own]
        for name, unit, turns, value, compare, bound in (
            ("messages", "/s", messages, _a_second, _ratio, None),
            ("messages", "/CPU s", messages, _a_cpu_second, _ratio, 0.97),
            ("a message", "CPU µs", messages, _microseconds, _difference, None),
            ("handshakes", "/s", handshakes, _a_second, _ratio, None),
            ("handshakes", "/CPU s", handshakes, _a_cpu_second, _ratio, None),
        ):
            measured = [values(some, value) for some in turns]
            result.append(_row(event_loop, name, unit, measured, compare, bound))
        if memory := [[one.memory] for one in own if one.memory]:
            result.append(_row(event_loop, "a connection", "KiB", memory, _difference, 2.0))
    return result


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def _name(row: Row) -> str:
    return f"{row.name}{row.unit}" if row.unit[0] == "/" else f"{row.name}, {row.unit}"


def _form(row: Row) -> str:
    return "{:.3f}" if row.is_ratio else "{:+.2f}"


def comparisons(result: Sequence[Row]) -> list[tuple[str, str]]:
    """How the launched server compares, line by line."""
    return [(_name(row), _form(row).format(row.compared.median)) for row in result]


def _cells(row: Row) -> list[str]:
    form = _form(row)
    bound = ""
    if row.bound is not None:
        sign, value = (">=", f"{row.bound:g}") if row.is_ratio else ("<=", f"+{row.bound:g}")
        bound = f"{sign} {value}: {'met' if row.met else 'NOT met'}"
    return [
        row.event_loop,
        _name(row),
        _number(row.bare.median),
        _number(row.launched.median),
        form.format(row.compared.median),
        f"{form.format(row.compared.low)} to {form.format(row.compared.high)}",
        bound,
    ]


HEADINGS = ["loop", "", "bare", "launched", "compared", "middle half of the rounds", "bound"]


def table(result: Sequence[Row]) -> str:
    """The rows as a table that reads well in a terminal and in Markdown."""
    lines = [HEADINGS, *map(_cells, result)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = [
        [
            cell.rjust(width) if 2 <= index <= 4 else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    ]
    texts.insert(
        1,
        [
            "-" * (width - 1) + (":" if 2 <= index <= 4 else "-")
            for index, width in enumerate(widths)
        ],
    )
    return "".join(f"| {' | '.join(line)} |\n" for line in texts)
