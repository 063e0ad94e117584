# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of what is logged."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request

from websockets_fleet import log
from websockets_fleet.log import JournalFormatter, JsonFormatter

ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


def connection(*request_ids: str) -> Any:
    headers = Headers([("X-Request-ID", value) for value in request_ids])
    return SimpleNamespace(id=ID, request=Request("/", headers))


def record(level: int = logging.INFO, message: str = "it is %s", **extra: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "app", "levelno": level, "msg": message, "args": ("so",)})
    made.levelname = logging.getLevelName(level)
    made.__dict__.update(extra)
    return made


def failure() -> Any:
    error = RuntimeError("two\nlines")
    return type(error), error, None


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.DEBUG, 7),
        (logging.INFO, 6),
        (logging.WARNING, 4),
        (logging.ERROR, 3),
        (logging.CRITICAL, 2),
        (logging.CRITICAL + 5, 2),
        (25, 6),
    ],
)
def test_the_priority_comes_first(level: int, priority: int) -> None:
    assert JournalFormatter().format(record(level)) == f"<{priority}>app: it is so"


def test_every_line_has_the_priority() -> None:
    lines = JournalFormatter().format(record(logging.ERROR, exc_info=failure())).split("\n")
    assert lines[0] == "<3>app: it is so"
    assert lines[-2:] == ["<3>RuntimeError: two", "<3>lines"]
    assert all(line.startswith("<3>") for line in lines)


def test_a_message_can_not_forge_a_line_of_another_priority() -> None:
    forged = record(message="%s\n<0>panic")
    assert JournalFormatter().format(forged) == "<6>app: so\n<6><0>panic"


@pytest.mark.parametrize(
    ("request_ids", "expected"),
    [
        pytest.param((), str(ID), id="the library's own"),
        pytest.param(("req-7.a_B",), "req-7.a_B", id="the proxy's"),
        pytest.param(("a b",), str(ID), id="not with a space"),
        pytest.param(("x" * 65,), str(ID), id="not a long one"),
        pytest.param(("first", "second"), "first", id="the first of many"),
    ],
)
def test_the_connection_is_named(request_ids: tuple[str, ...], expected: str) -> None:
    about = connection(*request_ids)
    assert JournalFormatter().format(record(websocket=about)) == f"<6>app [{expected}]: it is so"


@pytest.fixture
def serving() -> Iterator[None]:
    token = log.connection.set(connection())
    yield
    log.connection.reset(token)


@pytest.mark.usefixtures("serving")
def test_what_a_handler_logs_names_its_connection() -> None:
    assert JournalFormatter().format(record()) == f"<6>app [{ID}]: it is so"


def test_json() -> None:
    made = record(logging.ERROR, exc_info=failure(), websocket=connection())
    line = JsonFormatter().format(made)
    entry = json.loads(line)
    assert "\n" not in line
    assert entry.pop("time").endswith("+00:00")
    assert entry.pop("exception").endswith("RuntimeError: two\nlines")
    assert entry == {
        "level": "error",
        "logger": "app",
        "message": "it is so",
        "connection": str(ID),
    }


def test_json_leaves_out_what_is_not_there() -> None:
    assert set(json.loads(JsonFormatter().format(record()))) == {
        "time",
        "level",
        "logger",
        "message",
    }


@pytest.fixture
def _restored() -> Iterator[None]:
    root, library = logging.getLogger(), logging.getLogger("websockets")
    before = root.handlers[:], root.level, library.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    library.setLevel(before[2])


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_the_library_never_logs_contents(level: str) -> None:
    log.set_up(level)
    assert logging.getLogger("app").isEnabledFor(logging.getLevelName(level.upper()))
    assert not logging.getLogger("websockets.server").isEnabledFor(logging.INFO)
