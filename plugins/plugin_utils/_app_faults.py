# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in the variables of the role app that an argument spec can't tell. Private."""

from __future__ import annotations

import difflib
import functools
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.websockets.fleet.plugins.module_utils._pip_environment import (
    environment_faults,
    has_login,
)
from ansible_collections.websockets.fleet.plugins.plugin_utils._payload import wheelhouse_faults

__all__ = ["app_faults", "balancer_faults", "installation_faults"]

ROLE = Path(__file__).parents[2] / "roles" / "app"
SPECS = ROLE / "meta" / "argument_specs.yml"
VARIABLES = ROLE / "vars" / "main.yml"

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
HANDLER = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What the launcher and the role nginx take, both.
HEALTH_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+/?")
# The path of a handshake goes into a request as it is; nginx is not concerned.
HANDSHAKE_PATH = re.compile(r"/[!-\"$-~]*")
MEMORY = re.compile(r"infinity|[1-9][0-9]*[KMGT]?")
CPUS = re.compile(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", re.ASCII)
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)
WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
# What they name comes with systemd or with the collection: no look at a fresh host tells.
RESERVED_NAMES = frozenset({"nginx", "system", "websockets-fleet"})
# What the unit sets; a value of the user's would hide it.
RESERVED = frozenset(
    {
        "APP_FINGERPRINT",
        "APP_NAME",
        "APP_RELEASE",
        "HOST",
        "INSTANCE",
        "LISTEN_FDS",
        "NOTIFY_SOCKET",
        "PORT",
        "UNIX_SOCKET",
        "WATCHDOG_USEC",
    }
)
# What only a handler has, and does nothing unless it is set.
LAUNCHERS = ("app_lifespan", "app_process_request")
MOST_PROCESSES = 1024
LAST_PORT = 65535

# Variable: lowest and highest value, and the unit.
RANGES: dict[str, tuple[float, float, str]] = {
    "app_port": (1024, LAST_PORT, "TCP port"),
    "app_backlog": (1, 65535, "connections"),
    "app_max_size": (1, 2**30, "bytes"),
    "app_max_queue": (1, 65536, "frames"),
    "app_write_limit": (1, 2**30, "bytes"),
    "app_ping_interval": (0, 86400, "seconds"),
    "app_ping_timeout": (0, 86400, "seconds"),
    "app_open_timeout": (0.1, 600, "seconds"),
    "app_close_timeout": (0.1, 600, "seconds"),
    "app_start_seconds": (1, 3600, "seconds"),
    "app_drain_seconds": (0, 86400, "seconds"),
    "app_watchdog_seconds": (0, 3600, "seconds"),
    "app_keep_releases": (2, 1000, "releases"),
    "app_file_limit": (1024, 2**30, "descriptors"),
    "app_tasks_max": (16, 2**20, "tasks"),
    "app_cpu_weight": (1, 10000, "weight"),
}
COMPRESSION = {"window_bits": (9, 15), "memory_level": (1, 9)}


def _number(value: object) -> float | None:
    """Return the number behind a value, which comes as text from the command line."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    return float(value) if NUMBER.fullmatch(str(value)) else None


def _whole(value: object) -> int | None:
    """Return the whole number behind a value, which comes as text from the command line."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return int(value) if WHOLE.fullmatch(str(value)) else None


def _bytes(memory: object) -> int:
    """Return how many bytes a value such as ``512M`` stands for."""
    digits = str(memory).rstrip("KMGT")
    return int(digits) << 10 * " KMGT".index(str(memory)[len(digits) :] or " ")


@functools.cache
def _specification() -> dict[str, dict[str, Any]]:
    """Return the options of the role."""
    with SPECS.open() as stream:
        options: dict[str, dict[str, Any]] = yaml.safe_load(stream)["argument_specs"]["main"][
            "options"
        ]
    return options


@functools.cache
def _directives() -> list[str]:
    """Return the directives of the unit's sandbox."""
    with VARIABLES.open() as stream:
        return list(yaml.safe_load(stream)["__app_hardening"])


def _name(values: Mapping[str, Any]) -> list[str]:
    name = values.get("app_name", "")
    if name in RESERVED_NAMES:
        return [f"app_name is {name!r}: that belongs to the system; choose another name"]
    if isinstance(name, str) and NAME.fullmatch(name):
        return []
    shape = "a lower-case letter, then up to 30 lower-case letters, digits and dashes"
    return [f"app_name is {name!r}: it must be {shape}"]


def _what_runs(values: Mapping[str, Any]) -> list[str]:
    handler, command = values.get("app_handler"), values.get("app_command")
    faults = []
    if handler and command:
        faults.append(
            f"app_handler is {handler!r} and app_command is {command!r}: set exactly one of them"
        )
    if not handler and not command:
        faults.append("app_handler and app_command are both empty: set exactly one of them")
    for name in ("app_handler", *LAUNCHERS):
        value = values.get(name)
        if value and command and name in LAUNCHERS:
            faults.append(f"{name} is {value!r}: it is the launcher's, which serves no app_command")
        if value and not HANDLER.fullmatch(str(value)):
            faults.append(f"{name} is {value!r}: it must be module:callable, like chat:handler")
    words = [str(word) for word in command] if isinstance(command, list) else [""]
    # A word stands in a line of the unit.
    if command and not all(word and word.isprintable() for word in words):
        shape = "a list of words, none empty or of several lines"
        faults.append(f"app_command is {command!r}: it must be {shape}")
    return faults


def _what_is_installed(values: Mapping[str, Any]) -> list[str]:
    faults = []
    source, requirements = values.get("app_source"), values.get("app_requirements")
    if not source and not requirements:
        faults.append("app_source and app_requirements are both empty: there is nothing to install")
    if requirements and not isinstance(requirements, list | str):
        faults.append(f"app_requirements is {requirements!r}: it must be a list or a path")
    for name, value in {"app_source": source, "app_requirements": requirements}.items():
        if value and isinstance(value, str) and not Path(value).exists():
            faults.append(f"{name} is {value!r}: that does not exist on the controller")
    if not str(values.get("app_python", "/")).startswith("/"):
        faults.append(f"app_python is {values['app_python']!r}: it must be an absolute path")
    return faults


def installation_faults(values: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each fault in what says how a release is installed."""
    faults = []
    arguments = values.get("app_pip_args") or []
    texts = {"app_pip_args": arguments if isinstance(arguments, list) else [arguments]}
    requirements = values.get("app_requirements") or []
    if isinstance(requirements, list):
        texts["app_requirements"] = requirements
    elif isinstance(requirements, str) and Path(requirements).is_file():
        texts["app_requirements"] = [Path(requirements).read_text("utf-8", "replace")]
    for name, lines in texts.items():
        # Where the password is, and never what it is.
        if any(has_login(str(line)) for line in lines):
            faults.append(
                f"{name} has a user name or password in an address, which everybody can read on"
                " the servers; put the address into app_pip_env, such as PIP_EXTRA_INDEX_URL"
            )
    environment = values.get("app_pip_env") or {}
    if isinstance(environment, Mapping):
        faults += environment_faults(environment)
    else:
        faults.append("app_pip_env must be a dictionary of strings")
    if values.get("app_wheelhouse"):
        faults += wheelhouse_faults(Path(str(values["app_wheelhouse"])))
    return faults


def _ranges(values: Mapping[str, Any]) -> list[str]:
    faults = []
    for name, (low, high, unit) in RANGES.items():
        if name not in values:
            continue
        whole = _specification()[name]["type"] == "int"
        number = _whole(values[name]) if whole else _number(values[name])
        if number is None or not low <= number <= high:
            must = f"a whole number, {low} to {high}" if whole else f"{low} to {high}"
            faults.append(f"{name} is {values[name]!r}: it must be {must} ({unit})")
    for name in ("app_memory_max", "app_memory_high"):
        memory = values.get(name, "infinity")
        if not MEMORY.fullmatch(str(memory)):
            shape = "bytes, a number with K, M, G or T, or infinity"
            faults.append(f"{name} is {memory!r}: it must be {shape}")
    high, most = (values.get(f"app_memory_{name}", "infinity") for name in ("high", "max"))
    if "infinity" not in (high, most) and not faults and _bytes(high) >= _bytes(most):
        both = f"app_memory_high is {high!r} and app_memory_max is {most!r}"
        faults.append(f"{both}: it must be lower, to slow a process down before its end")
    return faults


def _kinds(values: Mapping[str, Any]) -> list[str]:
    """Hold values against the choices and the plain types of the specification."""
    faults = []
    for name in sorted(set(values) & set(_specification())):
        option, value = _specification()[name], values[name]
        choices = option.get("choices")
        if choices and str(value) not in map(str, choices):
            faults.append(f"{name} is {value!r}: it must be {' or '.join(map(str, choices))}")
        elif option["type"] == "str" and isinstance(value, Mapping | list):
            faults.append(f"{name} is {value!r}: it must be a string")
    origins = values.get("app_origins") or []
    if not isinstance(origins, list) or not all(isinstance(origin, str) for origin in origins):
        faults.append(f"app_origins is {origins!r}: it must be a list of strings")
    return faults


def _processes(values: Mapping[str, Any]) -> list[str]:
    processes = values.get("app_processes", "auto")
    if processes == "auto":
        return []
    number = _whole(processes)
    if number is None or not 1 <= number <= MOST_PROCESSES:
        return [f"app_processes is {processes!r}: it must be auto or 1 to {MOST_PROCESSES}"]
    port = _whole(values.get("app_port"))
    # One port more than processes, for the first of a rolling change.
    last = (port or 0) + number + 1
    if values.get("app_listen") == "port_per_process" and last > LAST_PORT:
        both = f"app_port is {values['app_port']} and app_processes is {processes}"
        return [f"{both}: the last port would be {last}, past {LAST_PORT}"]
    return []


def _cpus(values: Mapping[str, Any]) -> list[str]:
    affinity = str(values.get("app_cpu_affinity", ""))
    if not affinity:
        return []
    ranges = [CPUS.fullmatch(part) for part in affinity.split(",")]
    if not all(found and int(found[1]) <= int(found[2] or found[1]) for found in ranges):
        return [f"app_cpu_affinity is {affinity!r}: it must be numbers and ranges, like 0-3,5"]
    if values.get("app_processes", "auto") == "auto":
        both = f"app_cpu_affinity is {affinity!r} and app_processes is auto"
        return [f"{both}, which counts all CPUs of the host: set app_processes to a number"]
    return []


def _hardening(values: Mapping[str, Any]) -> list[str]:
    entries = values.get("app_hardening") or {}
    if not isinstance(entries, Mapping):
        return [f"app_hardening is {entries!r}: it must be a dictionary of directives"]
    faults = []
    for name, value in entries.items():
        if name not in _directives():
            close = difflib.get_close_matches(str(name), _directives(), 1)
            wish = f"did you mean {close[0]}?" if close else "docs/security.md lists them"
            faults.append(f"app_hardening has {name!r}, no directive of the sandbox: {wish}")
            continue
        words = value if isinstance(value, list) else [value]
        # Each stands on a line of the unit; a backslash would take in the next one.
        if not all(
            isinstance(word, bool)
            or (isinstance(word, str) and (word.isprintable() and not word.endswith("\\")))
            for word in words
        ):
            shape = "a boolean, a string of one line, or a list of such strings"
            faults.append(f"app_hardening.{name} is {value!r}: it must be {shape}")
    return faults


def _compression(values: Mapping[str, Any]) -> list[str]:
    compression = values.get("app_compression", "disabled")
    if compression == "disabled":
        return []
    shape = "it must be disabled or {window_bits: 9 to 15, memory_level: 1 to 9}"
    if not isinstance(compression, Mapping):
        return [f"app_compression is {compression!r}: {shape}"]
    faults = [
        f"app_compression has the unknown key {key!r}: {shape}"
        for key in compression
        if key not in COMPRESSION
    ]
    for key, (low, high) in COMPRESSION.items():
        number = _whole(compression.get(key))
        if number is None or not low <= number <= high:
            faults.append(f"app_compression.{key} is {compression.get(key)!r}: {shape}")
    return faults


def _environment(values: Mapping[str, Any]) -> list[str]:
    faults = []
    for variable in ("app_env", "app_secrets"):
        entries = values.get(variable) or {}
        if not isinstance(entries, Mapping):
            faults.append(f"{variable} must be a dictionary of strings")
            continue
        for name, value in entries.items():
            if not ENVIRONMENT_NAME.fullmatch(str(name)):
                faults.append(f"{variable} has {name!r}, which is no name of a variable")
            elif name in RESERVED:
                faults.append(f"{variable} has {name}, which the collection sets by itself")
            # The value itself is never shown: it may be a secret.
            elif isinstance(value, bool) or not isinstance(value, str | int | float):
                faults.append(f"{variable}.{name} is no string: quote its value")
            elif "\0" in str(value):
                faults.append(f"{variable}.{name} holds a NUL character")
    return faults


def _bind(values: Mapping[str, Any]) -> list[str]:
    bind = values.get("app_bind")
    if values.get("app_listen") == "unix_socket" or bind is None:
        return []
    try:
        ipaddress.ip_address(str(bind))
    except ValueError:
        return [f"app_bind is {bind!r}: it must be an IP address of the host"]
    return []


def _health(values: Mapping[str, Any]) -> list[str]:
    path = str(values.get("app_health_path", "/healthz") or "")
    kind = values.get("app_health_check", "http")
    handler = values.get("app_handler")
    if handler and kind != "http":
        return [f"app_health_check is {kind!r}: a handler is asked by its admin socket, leave it"]
    if kind == "websocket":
        shape, well = "a path for the handshake, such as /", bool(HANDSHAKE_PATH.fullmatch(path))
    else:
        shape = "a path such as /healthz"
        well = bool(HEALTH_PATH.fullmatch(path)) or (not path and not handler)
    return [] if well else [f"app_health_path is {path!r}: it must be {shape}"]


def _misspelt(values: Mapping[str, Any]) -> list[str]:
    """Name variables that are nearly, but not quite, one of the role's."""
    known = set(_specification())
    faults = []
    for name in sorted(set(values) - known):
        close = difflib.get_close_matches(name, known, 1, cutoff=0.85)
        if close:
            faults.append(f"{name} is no variable of this collection: did you mean {close[0]}?")
    return faults


RULES: tuple[Callable[[Mapping[str, Any]], list[str]], ...] = (
    _name,
    _what_runs,
    _what_is_installed,
    installation_faults,
    _kinds,
    _processes,
    _cpus,
    _hardening,
    _ranges,
    _bind,
    _health,
    _compression,
    _environment,
    _misspelt,
)


def app_faults(values: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each fault in the variables whose names start with ``app_``."""
    return [fault for rule in RULES for fault in rule(values)]


def balancer_faults(
    values: Mapping[str, Any], load_balancers: Sequence[str], host: str
) -> list[str]:
    """Return a sentence where other hosts than ``host`` itself must reach its unix sockets."""
    others = ", ".join(name for name in load_balancers if name != host)
    if values.get("app_listen") != "unix_socket" or not others:
        return []
    must = "a fleet with unix sockets is one host, in both groups"
    return [f"app_listen is 'unix_socket' on {host}, and {others} can't reach its sockets: {must}"]
