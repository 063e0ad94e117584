# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render rows as an aligned text table. Private to the collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Column", "TableError", "render"]

WIDTH = 120
# A column is not cut below this many characters, however many columns there are.
NARROWEST = 8
GAP = "  "
MISSING = "-"
CUT = "…"


class TableError(ValueError):
    """A table can't be made of this; the message says which row, key and value."""


@dataclass(frozen=True)
class Column:
    """One column: the key of its values in each row, the title above them, their side."""

    key: str
    title: str
    align: str = "left"

    def place(self, text: str, width: int) -> str:
        """Cut or fill ``text`` to ``width`` characters."""
        if len(text) > width:
            return text[: width - 1] + CUT
        return text.rjust(width) if self.align == "right" else text.ljust(width)


def render(
    columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], title: str = "", empty: str = ""
) -> list[str]:
    """Return the lines of a table, at most 120 characters wide while columns have 8 each.

    Without rows the line ``empty`` takes their place. Raises TableError for a key that no column
    shows, and for a value that is neither text, number nor truth.
    """
    _check(columns, rows)
    cells = [[_text(row.get(column.key)) for column in columns] for row in rows]
    lines = [title] if title else []
    if not cells:
        return [*lines, empty]
    head = [column.title for column in columns]
    widths = _widths([head, *cells])
    lines.append(_line(columns, head, widths))
    lines.append(GAP.join("-" * width for width in widths))
    lines.extend(_line(columns, row, widths) for row in cells)
    return lines


def _check(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> None:
    if not columns:
        raise TableError("columns is empty: a table has at least one")
    keys = [column.key for column in columns]
    for key in keys:
        if keys.count(key) > 1:
            raise TableError(f"columns names the key {key!r} twice")
    for number, row in enumerate(rows, 1):
        for key, value in row.items():
            if key not in keys:
                raise TableError(f"row {number} has the key {key!r}, columns has {', '.join(keys)}")
            if value is not None and not isinstance(value, (str, int, float)):
                kind = type(value).__name__
                raise TableError(f"row {number}: {key} is a {kind}, not a text or a number")


def _text(value: Any) -> str:
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    # A line break would break the table, an escape sequence could do worse to a terminal.
    return "".join(character if character.isprintable() else " " for character in str(value))


def _widths(cells: list[list[str]]) -> list[int]:
    """Return each column's width: what its longest cell needs, the widest ones cut to fit."""
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    room = WIDTH - len(GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _line(columns: Sequence[Column], cells: list[str], widths: list[int]) -> str:
    placed = map(Column.place, columns, cells, widths)
    return GAP.join(placed).rstrip()
