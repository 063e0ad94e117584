# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/launcher.md says what the code does."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from websockets.asyncio.server import ServerConnection

from websockets_fleet import config, metrics, server
from websockets_fleet.application import Application

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "launcher.md").read_text()


def tables() -> dict[str, list[list[str]]]:
    """The rows of each table, by the title of its first column; without their backquotes."""
    found: dict[str, list[list[str]]] = {}
    rows: list[list[str]] = []
    for line in PAGE.splitlines():
        if line.startswith("|---"):
            continue
        if not line.startswith("|"):
            rows = []
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if rows:
            rows.append(cells)
        else:
            rows = found.setdefault(cells[0].replace("`", ""), [cells])
    return {title: rows[1:] for title, rows in found.items()}


def quoted(cell: str) -> list[str]:
    """What a cell has in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


ROWS = {quoted(row[0])[0]: row for row in tables()["key"]}


def test_every_key_is_in_the_page_and_no_other() -> None:
    assert list(ROWS) == config.keys()


def default(key: str) -> Any:
    """The default of a key; MISSING where there is none."""
    table, _dot, name = key.rpartition(".")
    cls = config.TABLES[table] if table else config.Config
    (field,) = (field for field in dataclasses.fields(cls) if field.name == name)
    return field.default


@pytest.mark.parametrize("key", config.keys())
def test_defaults_are_those_of_the_code(key: str) -> None:
    value = default(key)
    cell = ROWS[key][1]
    if value is None or value is dataclasses.MISSING:
        assert cell == ""
    else:
        assert json.loads(cell.strip("`")) == (list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize("key", config.keys())
def test_ranges_are_those_of_the_code(key: str) -> None:
    table, _dot, name = key.rpartition(".")
    cls = config.TABLES[table] if table else config.Config
    check = get_type_hints(cls, include_extras=True)[name].__metadata__[0]
    cell = ROWS[key][2]
    if bounds := re.match(r"([\d.]+)\.\.(\d+)", cell):
        low, high = (json.loads(bound) for bound in bounds.groups())
        assert check(low) is None
        assert check(high) is None
        assert f"{low}..{high}" in check(low - 1)
        assert f"{low}..{high}" in check(high + 1)
    elif "`" in cell and ":" not in cell:
        for choice in quoted(cell):
            value = json.loads(choice) if choice in ("true", "false", "1001", "1012") else choice
            assert check(value) is None
        assert check("none of these") is not None


def test_the_example_is_valid() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert config.parse(example).compression == config.Compression()


def service(lifespan: Any = None) -> server.Service:
    async def handler(_connection: ServerConnection) -> None: ...

    settings = config.parse(
        'handler = "a:b"\n[listen]\nmode = "unix_socket"\nruntime_directory = "/r"\n'
    )
    identity = server.Identity("", 1, "", "")
    return server.Service(settings, identity, Application(handler, lifespan), {})


def test_every_part_of_the_status_is_in_the_page_and_no_other() -> None:
    named = [name for row in tables()["in /status"] for name in quoted(row[0])]
    assert sorted(named) == sorted(service().status())


def test_every_metric_is_in_the_page_and_no_other() -> None:
    named = {quoted(row[0])[0]: row[1].partition(",")[0] for row in tables()["metric"]}
    assert named.pop("websockets_fleet_info").startswith("labels")
    assert named.pop("websockets_fleet_connections_closed_total") == "counter"
    assert named == {
        **{metrics.PREFIX + name: "gauge" for name, _text in metrics.GAUGES.values()},
        **{f"{metrics.PREFIX}{name}_total": "counter" for name, _text in metrics.COUNTERS.values()},
    }


def test_every_endpoint_is_in_the_page() -> None:
    assert [quoted(row[0])[0] for row in tables()["path"]] == ["/healthz", "/status", "/metrics"]


def test_the_times_of_the_end_are_those_of_the_code() -> None:
    words = " ".join(PAGE.split())
    assert f"`websocket.close_timeout` + {server.HANDLER_GRACE:g} seconds after the last" in words
    assert f"get {server.CANCEL_GRACE:g} second more" in words
    assert f"`websocket.close_timeout` + {server.LAST_RESORT:g} seconds" in words
    assert f"with a `lifespan` {server.LIFESPAN_GRACE:g} seconds more" in words


def test_lines_are_short() -> None:
    assert [line for line in PAGE.splitlines() if len(line) > 120 and "|" not in line] == []
