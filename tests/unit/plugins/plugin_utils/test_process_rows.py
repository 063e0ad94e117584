"""What an engineer reads in the table of processes."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.websockets.fleet.plugins.plugin_utils._process_rows import process_rows


def process(**changes: Any) -> dict[str, Any]:
    known = {
        "index": 1,
        "pid": 12,
        "release": "abc",
        "uptime_seconds": 8,
        "restarts": 0,
        "connections": 0,
        "memory_bytes": 3 * 2**20,
        "health": "ok",
    }
    return known | changes


def test_a_process_is_a_row() -> None:
    assert process_rows({"app1": {"processes": [process()]}}) == [
        {
            "host": "app1",
            "process": 1,
            "pid": 12,
            "release": "abc",
            "uptime": "8s",
            "restarts": 0,
            "connections": 0,
            "memory": "3.0 MiB",
            "health": "ok",
        }
    ]


def test_what_is_not_known_is_left_out_and_zero_is_not() -> None:
    dead = process(pid=None, release=None, uptime_seconds=None, memory_bytes=None)
    row = process_rows({"app1": {"processes": [dead]}})[0]
    assert set(row) == {"host", "process", "restarts", "connections", "health"}
    assert row["connections"] == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59, "59s"),
        (60, "1m 0s"),
        (3599, "59m 59s"),
        (3600, "1h 0m"),
        (90061, "1d 1h"),
    ],
)
def test_uptimes_have_two_units(seconds: int, text: str) -> None:
    row = process_rows({"a": {"processes": [process(uptime_seconds=seconds)]}})[0]
    assert row["uptime"] == text


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (None, "no answer"),
        ({"unreachable": True, "msg": "Connection timed out\nmore"}, "Connection timed out"),
        ({"processes": []}, "no processes"),
    ],
)
def test_a_host_that_tells_nothing_has_a_row(info: Any, words: str) -> None:
    assert process_rows({"app1": info}) == [{"host": "app1", "health": words}]
