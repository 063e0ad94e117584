"""What a rendered table looks like."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.websockets.fleet.plugins.plugin_utils._table import (
    Column,
    TableError,
    render,
)

COLUMNS = [Column("host", "HOST"), Column("pid", "PID", "right"), Column("health", "HEALTH")]


def test_columns_are_aligned_and_no_line_ends_in_blanks() -> None:
    rows = [
        {"host": "application-1", "pid": 7, "health": "ok"},
        {"host": "app2", "pid": 12345, "health": "draining"},
    ]
    assert render(COLUMNS, rows, title="chat") == [
        "chat",
        "HOST             PID  HEALTH",
        "-------------  -----  --------",
        "application-1      7  ok",
        "app2           12345  draining",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("text", "text"),
        (0, "0"),
        (1.5, "1.5"),
        (True, "yes"),
        (False, "no"),
        (None, "-"),
        ("", "-"),
        ("two\nlines", "two lines"),
        ("\x1b[31mred", " [31mred"),
        ("über", "über"),
    ],
)
def test_a_value_becomes_one_line_of_text(value: Any, shown: str) -> None:
    assert render([Column("a", "A")], [{"a": value}])[-1] == shown


def test_a_missing_key_is_a_dash() -> None:
    assert render(COLUMNS, [{"host": "app1"}])[-1].split() == ["app1", "-", "-"]


def test_without_rows_the_empty_line_stands_in() -> None:
    assert render(COLUMNS, [], title="chat", empty="no process runs") == ["chat", "no process runs"]


@pytest.mark.parametrize(
    ("lengths", "widths"),
    [
        ([10, 20], [10, 20]),
        ([59, 59], [59, 59]),
        ([100, 100], [59, 59]),
        ([10, 300], [10, 108]),
        ([300, 10, 300], [53, 10, 53]),
        # Too many to fit: they keep what can still be read.
        ([20] * 20, [8] * 20),
    ],
)
def test_the_widest_columns_are_cut_to_fit_120_characters(
    lengths: list[int], widths: list[int]
) -> None:
    columns = [Column(f"c{number}", "T") for number in range(len(lengths))]
    row = {f"c{number}": "x" * length for number, length in enumerate(lengths)}
    lines = render(columns, [row])
    assert [len(dashes) for dashes in lines[1].split()] == widths
    for cell, length, width in zip(lines[2].split(), lengths, widths, strict=True):
        assert cell == ("x" * length if length <= width else "x" * (width - 1) + "…")


@pytest.mark.parametrize(
    ("columns", "rows", "sentence"),
    [
        ([], [], "columns is empty"),
        ([Column("a", "A"), Column("a", "B")], [], "columns names the key 'a' twice"),
        (COLUMNS, [{"host": "app1"}, {"hots": "app2"}], "row 2 has the key 'hots', columns has"),
        (COLUMNS, [{"pid": [1]}], "row 1: pid is a list, not a text or a number"),
        (COLUMNS, [{"pid": {"a": 1}}], "row 1: pid is a dict"),
    ],
)
def test_what_is_no_table_is_refused(
    columns: list[Column], rows: list[dict[str, Any]], sentence: str
) -> None:
    with pytest.raises(TableError, match=sentence):
        render(columns, rows)
