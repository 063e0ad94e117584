# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration: TOML text in, frozen dataclasses out, every fault named.

Nothing here opens a socket, imports a handler or reads the environment.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

__all__ = [
    "Compression",
    "Config",
    "ConfigError",
    "Drain",
    "Health",
    "Listen",
    "Log",
    "Websocket",
    "keys",
    "parse",
]

# sun_path holds 107 bytes and a NUL; the longest name in the directory is "/65535.admin.sock".
DIRECTORY_BYTES = 107 - len("/65535.admin.sock")

Check = Callable[[object], "str | None"]


class ConfigError(Exception):
    """The configuration can't be used.

    ``faults`` holds one line for each thing that is wrong, without the file's name.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def _show(value: object) -> str:
    """A value as the operator wrote it, more or less, and never longer than a line."""
    if isinstance(value, dict):
        return "a table"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


# Each of these makes a check: a function that says what is wrong with a value, or None.


def _integer(low: int, high: int, unit: str) -> Check:
    def check(value: object) -> str | None:
        if not isinstance(value, int) or isinstance(value, bool):
            return f"{_show(value)} is not an integer ({unit})"
        return None if low <= value <= high else f"{value} is not in {low}..{high} ({unit})"

    return check


def _seconds(low: float, high: float) -> Check:
    def check(value: object) -> str | None:
        if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
            return f"{_show(value)} is not a number (seconds)"
        return None if low <= value <= high else f"{value} is not in {low:g}..{high:g} (seconds)"

    return check


def _boolean(value: object) -> str | None:
    return None if isinstance(value, bool) else f"{_show(value)} is not true or false"


def _one_of(*choices: str | int) -> Check:
    def check(value: object) -> str | None:
        if not isinstance(value, bool) and value in choices:
            return None
        return f"{_show(value)} is not one of {', '.join(map(str, choices))}"

    return check


def _text(pattern: str, meaning: str) -> Check:
    def check(value: object) -> str | None:
        if isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII):
            return None
        return f"{_show(value)} is not {meaning}"

    return check


def _texts(item: Check, meaning: str) -> Check:
    def check(value: object) -> str | None:
        if not isinstance(value, list):
            return f"{_show(value)} is not a list of {meaning}"
        return next(filter(None, map(item, value)), None)

    return check


def _directory(value: object) -> str | None:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        return f"{_show(value)} is not an absolute path"
    if len(value.encode()) > DIRECTORY_BYTES:
        return f"{_show(value)} is longer than {DIRECTORY_BYTES} bytes: no socket fits in it"
    return None


_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_reference = _text(rf"{_NAME}(\.{_NAME})*:{_NAME}(\.{_NAME})*", "module:callable")
_path = _text(r"/[\w.~!$&'()*+,;=:@%/-]*", "a path (it starts with /, without ? and #)")
_origin = _text(
    r"none|null|[a-z][a-z0-9+.-]*://[^/?#@\sA-Z]+", 'an origin (scheme://host[:port], or "none")'
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where the process listens."""

    mode: Annotated[str, _one_of("shared_port", "port_per_process", "unix_socket")]
    host: Annotated[str | None, _text(r"[^\s/]+", "an address or a host name")] = None
    port: Annotated[int | None, _integer(1, 65535, "port")] = None
    backlog: Annotated[int, _integer(1, 65535, "connections")] = 4096
    runtime_directory: Annotated[str, _directory]

    def address(self, instance: int) -> tuple[str, int]:
        """Host and port of process number ``instance``; for the two TCP modes only.

        Raises:
            ConfigError: the port is past 65535.

        """
        if self.host is None or self.port is None:
            raise ConfigError([f"listen.port: mode {self.mode} has none"])
        port = self.port + (instance if self.mode == "port_per_process" else 0)
        if port > 65535:
            raise ConfigError([f"listen.port: {self.port} + instance {instance} is past 65535"])
        return self.host, port

    def socket(self, instance: int) -> Path:
        """Unix socket of process number ``instance``, for the mode ``unix_socket``."""
        return Path(self.runtime_directory, f"{instance}.sock")

    def admin_socket(self, instance: int) -> Path:
        """Unix socket where process number ``instance`` answers its administrator."""
        return Path(self.runtime_directory, f"{instance}.admin.sock")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Websocket:
    """Limits and timeouts of each connection: bytes, frames and seconds."""

    max_size: Annotated[int, _integer(1, 2**30, "bytes")] = 2**20
    max_queue: Annotated[int, _integer(1, 65536, "frames")] = 16
    write_limit: Annotated[int, _integer(1, 2**30, "bytes")] = 2**15
    ping_interval: Annotated[float, _seconds(0, 86400)] = 20
    ping_timeout: Annotated[float, _seconds(0, 86400)] = 20
    open_timeout: Annotated[float, _seconds(0.1, 600)] = 10
    close_timeout: Annotated[float, _seconds(0.1, 600)] = 10
    origins: Annotated[tuple[str, ...], _texts(_origin, "origins")] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """permessage-deflate, both directions; off unless the table is there."""

    enabled: Annotated[bool, _boolean] = True
    window_bits: Annotated[int, _integer(9, 15, "bits")] = 12
    memory_level: Annotated[int, _integer(1, 9, "zlib memLevel")] = 5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The one thing that the public address answers over plain HTTP."""

    path: Annotated[str, _path] = "/healthz"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """How connections leave when the process has to stop."""

    seconds: Annotated[float, _seconds(0, 86400)] = 30
    close_code: Annotated[int, _one_of(1001, 1012)] = 1001


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What is written to standard output, and in what form.

    There is no ``debug``: websockets writes the content of messages at that level.
    """

    level: Annotated[str, _one_of("info", "warning", "error")] = "info"
    format: Annotated[str, _one_of("journal", "json")] = "journal"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All that one process has to know; ``compression`` is None where it is off."""

    handler: Annotated[str, _reference]
    lifespan: Annotated[str | None, _reference] = None
    process_request: Annotated[str | None, _reference] = None
    event_loop: Annotated[str, _one_of("asyncio", "uvloop")] = "asyncio"
    listen: Listen
    websocket: Websocket
    compression: Compression | None
    health: Health
    drain: Drain
    log: Log


TABLES: dict[str, type[Any]] = {
    "listen": Listen,
    "websocket": Websocket,
    "compression": Compression,
    "health": Health,
    "drain": Drain,
    "log": Log,
}


def _checks(table: str) -> dict[str, Check]:
    """The check of each key in a table, from its annotation; the table ``""`` is the top."""
    hints = get_type_hints(TABLES[table] if table else Config, include_extras=True)
    return {key: hint.__metadata__[0] for key, hint in hints.items() if key not in TABLES}


def _required(table: str) -> list[str]:
    fields = dataclasses.fields(TABLES[table] if table else Config)
    required = [field.name for field in fields if field.default is dataclasses.MISSING]
    return [key for key in required if key not in TABLES]


def keys() -> list[str]:
    """Every key that a configuration may hold, dotted: ``handler``, ``listen.mode``, ..."""
    return [f"{table}.{key}" if table else key for table in ("", *TABLES) for key in _checks(table)]


def _split(name: str) -> tuple[str, str]:
    """Table and key of a dotted name."""
    parts = name.rpartition(".")
    return parts[0], parts[2]


def _unknown(name: str) -> str:
    """The fault for a key that does not exist, with the key that was probably meant."""
    table, leaf = _split(name)
    known = [(*_split(key), key) for key in keys()]
    here = [known_leaf for known_table, known_leaf, key in known if known_table == table]
    if not table:
        here += TABLES
    elsewhere = [key for known_table, known_leaf, key in known if known_leaf == leaf]
    if close := difflib.get_close_matches(leaf, here, 1):
        return f"{name}: unknown key, did you mean {close[0]}?"
    if elsewhere:
        return f"{name}: unknown key, did you mean {elsewhere[0]}?"
    return f"{name}: unknown key, there are {', '.join(sorted(here))}"


def _values(table: str, given: Mapping[str, object], faults: list[str]) -> dict[str, Any]:
    """What is right in one table; what is wrong goes to ``faults``."""
    prefix = f"{table}." if table else ""
    checks = _checks(table)
    names = set(checks) | (set() if table else set(TABLES))
    faults += [_unknown(prefix + key) for key in given if key not in names]
    faults += [f"{prefix}{key}: is required" for key in _required(table) if key not in given]
    values: dict[str, Any] = {}
    for key, check in checks.items():
        if key not in given:
            continue
        value = given[key]
        if problem := check(value):
            faults.append(f"{prefix}{key}: {problem}")
        else:
            values[key] = tuple(value) if isinstance(value, list) else value
    return values


def _listen_faults(given: Mapping[str, object]) -> list[str]:
    """The faults that show only when several keys are seen together."""
    mode = given.get("mode")
    if mode in ("shared_port", "port_per_process"):
        return [
            f"listen.{key}: is required for mode {mode}"
            for key in ("host", "port")
            if key not in given
        ]
    if mode == "unix_socket":
        return [
            f"listen.{key}: is not for mode unix_socket, which listens in runtime_directory"
            for key in ("host", "port")
            if key in given
        ]
    return []


def parse(text: str) -> Config:
    """Turn the text of a ``server.toml`` into a configuration.

    Raises:
        ConfigError: it is not TOML, or a key is missing, unknown, of a wrong type or out of range;
            all faults are reported together.

    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([str(error)]) from None

    faults: list[str] = []
    top = _values("", document, faults)
    tables: dict[str, dict[str, Any]] = {}
    for name in TABLES:
        given = document.get(name, {})
        if isinstance(given, dict):
            tables[name] = _values(name, given, faults)
        else:
            faults.append(f"{name}: {_show(given)} is not a table")
    listen = document.get("listen")
    if isinstance(listen, dict):
        faults += _listen_faults(listen)
    if faults:
        raise ConfigError(faults)

    made = {name: cls(**tables[name]) for name, cls in TABLES.items()}
    if "compression" not in document or not made["compression"].enabled:
        made["compression"] = None
    return Config(**top, **made)
