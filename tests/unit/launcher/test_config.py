# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and validating the configuration."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from websockets_fleet.config import (
    Compression,
    Config,
    ConfigError,
    Drain,
    Health,
    Listen,
    Log,
    Websocket,
    keys,
    parse,
)

EVERYTHING = """
handler = "package.module:object.method"
lifespan = "package.module:lifespan"
process_request = "package.module:process_request"
event_loop = "uvloop"
[listen]
mode = "port_per_process"
host = "10.0.0.2"
port = 9000
backlog = 512
runtime_directory = "/run/chat"
[websocket]
max_size = 1000
max_queue = 8
write_limit = 2000
ping_interval = 0
ping_timeout = 1.5
open_timeout = 2
close_timeout = 3
origins = ["https://chat.example", "http://localhost:3000", "null", "none"]
[compression]
enabled = true
window_bits = 9
memory_level = 1
[health]
path = "/-/alive"
[drain]
seconds = 0
close_code = 1012
[log]
level = "warning"
format = "json"
"""

UNIX = '[listen]\nmode = "unix_socket"\nruntime_directory = "/run/chat"\n'
LEAST = f'handler = "app:handler"\n{UNIX}'


def faults(text: str) -> list[str]:
    """What is wrong with ``text``; it is an error if nothing is."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value) == "\n".join(caught.value.faults)
    return caught.value.faults


def with_value(key: str, value: object) -> str:
    """The least configuration, and ``key`` set to ``value``."""
    table, _dot, name = key.rpartition(".")
    line = f"{name} = {json.dumps(value)}\n"
    if table == "":
        return line + UNIX if name == "handler" else line + LEAST
    if table == "listen":
        mode = "" if name == "mode" else 'mode = "shared_port"\n'
        rest = {"host": '"h"', "port": "1", "runtime_directory": '"/run/chat"'}
        lines = "".join(f"{k} = {v}\n" for k, v in rest.items() if k != name)
        return f'handler = "app:handler"\n[listen]\n{mode}{lines}{line}'
    return f"{LEAST}[{table}]\n{line}"


def value_of(config: Config, key: str) -> Any:
    found: Any = config
    for name in key.split("."):
        found = getattr(found, name)
    return found


def test_everything() -> None:
    assert parse(EVERYTHING) == Config(
        handler="package.module:object.method",
        lifespan="package.module:lifespan",
        process_request="package.module:process_request",
        event_loop="uvloop",
        listen=Listen(
            mode="port_per_process",
            host="10.0.0.2",
            port=9000,
            backlog=512,
            runtime_directory="/run/chat",
        ),
        websocket=Websocket(
            max_size=1000,
            max_queue=8,
            write_limit=2000,
            ping_interval=0,
            ping_timeout=1.5,
            open_timeout=2,
            close_timeout=3,
            origins=("https://chat.example", "http://localhost:3000", "null", "none"),
        ),
        compression=Compression(window_bits=9, memory_level=1),
        health=Health(path="/-/alive"),
        drain=Drain(seconds=0, close_code=1012),
        log=Log(level="warning", format="json"),
    )


def test_the_example_above_has_every_key() -> None:
    for key in keys():
        assert f"{key.rpartition('.')[2]} = " in EVERYTHING


def test_defaults() -> None:
    config = parse(LEAST)
    assert config.websocket == Websocket(
        max_size=1_048_576,
        max_queue=16,
        write_limit=32_768,
        ping_interval=20,
        ping_timeout=20,
        open_timeout=10,
        close_timeout=10,
        origins=(),
    )
    assert config.compression is None
    assert config.health.path == "/healthz"
    assert config.drain == Drain(seconds=30, close_code=1001)
    assert config.listen.backlog == 4096
    assert config.log == Log(level="info", format="journal")
    assert (config.lifespan, config.process_request, config.event_loop) == (None, None, "asyncio")


def test_a_configuration_can_not_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse(LEAST).drain.seconds = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", None),
        ("[compression]\nenabled = false\nwindow_bits = 10\n", None),
        ("[compression]\n", Compression(window_bits=12, memory_level=5)),
    ],
)
def test_compression(table: str, expected: Compression | None) -> None:
    assert parse(LEAST + table).compression == expected


def test_addresses() -> None:
    shared = parse(with_value("listen.port", 9000)).listen
    assert shared.address(3) == ("h", 9000)
    assert str(shared.admin_socket(3)) == "/run/chat/3.admin.sock"
    assert str(shared.socket(3)) == "/run/chat/3.sock"
    own = parse(EVERYTHING).listen
    assert own.address(3) == ("10.0.0.2", 9003)
    with pytest.raises(ConfigError, match=r"listen\.port: 9000 \+ instance 60000 is past 65535"):
        own.address(60000)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("handler", "app", '"app" is not module:callable'),
        ("handler", "app:", '"app:" is not module:callable'),
        ("handler", "app.py:handler()", '"app.py:handler()" is not module:callable'),
        ("handler", 5, "5 is not module:callable"),
        ("event_loop", "trio", '"trio" is not one of asyncio, uvloop'),
        (
            "listen.mode",
            "tcp",
            '"tcp" is not one of shared_port, port_per_process, unix_socket',
        ),
        ("listen.host", "", '"" is not an address or a host name'),
        ("listen.host", "a b", '"a b" is not an address or a host name'),
        ("listen.port", 0, "0 is not in 1..65535 (port)"),
        ("listen.port", 65536, "65536 is not in 1..65535 (port)"),
        ("listen.backlog", 0, "0 is not in 1..65535 (connections)"),
        ("listen.runtime_directory", "run", '"run" is not an absolute path'),
        (
            "listen.runtime_directory",
            "/" + "x" * 90,
            f'"/{"x" * 55}... is longer than 90 bytes: no socket fits in it',
        ),
        ("websocket.max_size", 0, "0 is not in 1..1073741824 (bytes)"),
        ("websocket.max_size", 1.5, "1.5 is not an integer (bytes)"),
        ("websocket.max_size", "1M", '"1M" is not an integer (bytes)'),
        ("websocket.max_size", True, "true is not an integer (bytes)"),
        ("websocket.max_queue", -3, "-3 is not in 1..65536 (frames)"),
        ("websocket.write_limit", 0, "0 is not in 1..1073741824 (bytes)"),
        ("websocket.ping_interval", -1, "-1 is not in 0..86400 (seconds)"),
        ("websocket.ping_interval", "20s", '"20s" is not a number (seconds)'),
        ("websocket.ping_timeout", False, "false is not a number (seconds)"),
        ("websocket.open_timeout", 0, "0 is not in 0.1..600 (seconds)"),
        ("websocket.close_timeout", 601, "601 is not in 0.1..600 (seconds)"),
        ("websocket.origins", "https://a", '"https://a" is not a list of origins'),
        (
            "websocket.origins",
            ["https://a", "https://b/"],
            '"https://b/" is not an origin (scheme://host[:port], or "none")',
        ),
        ("compression.enabled", 1, "1 is not true or false"),
        ("compression.window_bits", 8, "8 is not in 9..15 (bits)"),
        ("compression.memory_level", 10, "10 is not in 1..9 (zlib memLevel)"),
        ("health.path", "healthz", '"healthz" is not a path (it starts with /, without ? and #)'),
        ("health.path", "/h?x", '"/h?x" is not a path (it starts with /, without ? and #)'),
        ("drain.seconds", -0.5, "-0.5 is not in 0..86400 (seconds)"),
        ("drain.close_code", 1000, "1000 is not one of 1001, 1012"),
        ("drain.close_code", True, "true is not one of 1001, 1012"),
        ("log.level", "debug", '"debug" is not one of info, warning, error'),
        ("log.format", "xml", '"xml" is not one of journal, json'),
        ("websocket", 5, "5 is not a table"),
    ],
)
def test_wrong_values(key: str, value: object, problem: str) -> None:
    assert faults(with_value(key, value)) == [f"{key}: {problem}"]


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_numbers_that_are_none(number: str) -> None:
    (fault,) = faults(f"{LEAST}[drain]\nseconds = {number}\n")
    assert fault.startswith("drain.seconds: ")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f'handlr = "a:b"\n{LEAST}', "handlr: unknown key, did you mean handler?"),
        (
            f"{LEAST}[websocket]\nmax_sise = 5\n",
            "websocket.max_sise: unknown key, did you mean max_size?",
        ),
        (
            f"{LEAST}max_size = 5\n",
            "listen.max_size: unknown key, did you mean websocket.max_size?",
        ),
        (f"{LEAST}[drian]\n", "drian: unknown key, did you mean drain?"),
        (
            f"{LEAST}[health]\nxyz = 5\n",
            "health.xyz: unknown key, there are path",
        ),
    ],
)
def test_unknown_keys_are_named_with_the_one_that_was_meant(text: str, fault: str) -> None:
    assert faults(text) == [fault]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "",
            [
                "handler: is required",
                "listen.mode: is required",
                "listen.runtime_directory: is required",
            ],
        ),
        (
            'handler = "a:b"\n[listen]\nmode = "shared_port"\nruntime_directory = "/r"\n',
            [
                "listen.host: is required for mode shared_port",
                "listen.port: is required for mode shared_port",
            ],
        ),
        (
            f'{LEAST}host = "10.0.0.1"\n',
            ["listen.host: is not for mode unix_socket, which listens in runtime_directory"],
        ),
    ],
)
def test_keys_that_must_or_must_not_be_there(text: str, expected: list[str]) -> None:
    assert faults(text) == expected


def test_all_faults_are_reported_together() -> None:
    assert faults(
        f"{LEAST}backlog = 0\n[websocket]\nmax_queue = 0\nmax_qeue = 0\n[drain]\nx = 1"
    ) == [
        "listen.backlog: 0 is not in 1..65535 (connections)",
        "websocket.max_qeue: unknown key, did you mean max_queue?",
        "websocket.max_queue: 0 is not in 1..65536 (frames)",
        "drain.x: unknown key, there are close_code, seconds",
    ]


def test_what_is_no_toml_says_where() -> None:
    (fault,) = faults("handler = \n")
    assert "line 1" in fault


NUMBERS = {
    "listen.port": (1, 65535),
    "listen.backlog": (1, 65535),
    "websocket.max_size": (1, 2**30),
    "websocket.max_queue": (1, 65536),
    "websocket.write_limit": (1, 2**30),
    "websocket.ping_interval": (0, 86400),
    "websocket.ping_timeout": (0, 86400),
    "websocket.open_timeout": (1, 600),
    "websocket.close_timeout": (1, 600),
    "compression.window_bits": (9, 15),
    "compression.memory_level": (1, 9),
    "drain.seconds": (0, 86400),
}


@given(key=st.sampled_from(sorted(NUMBERS)), value=st.integers(-(2**40), 2**40))
def test_a_number_is_taken_as_it_is_or_refused_by_name(key: str, value: int) -> None:
    low, high = NUMBERS[key]
    if low <= value <= high:
        assert value_of(parse(with_value(key, value)), key) == value
    else:
        (fault,) = faults(with_value(key, value))
        assert fault.startswith(f"{key}: {value} is not in ")


VALUES = st.recursive(
    st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="ascii", exclude_characters="\x7f")),
    st.lists,
    max_leaves=5,
)


@given(key=st.sampled_from([*keys(), *sorted(NUMBERS)]), value=VALUES)
def test_any_value_is_accepted_or_one_line_about_its_key(key: str, value: object) -> None:
    try:
        parse(with_value(key, value))
    except ConfigError as error:
        for fault in error.faults:
            assert fault.startswith(key.partition(".")[0])
            assert len(fault.splitlines()) == 1


@given(st.text())
def test_any_text_is_accepted_or_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)
