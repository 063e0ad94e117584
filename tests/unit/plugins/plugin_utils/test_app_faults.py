# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault is named before anything changes, and nothing that works is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import websockets_fleet.config
from ansible_collections.websockets.fleet.plugins.plugin_utils import _app_faults
from ansible_collections.websockets.fleet.plugins.plugin_utils._app_faults import (
    app_faults,
    balancer_faults,
)

ROLE = _app_faults.SPECS.parents[1]
DEFAULTS: dict[str, Any] = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
# What a template of the role makes of the host's facts.
GOOD = DEFAULTS | {
    "app_name": "chat",
    "app_handler": "chat:handler",
    "app_requirements": ["chat"],
    "app_bind": "10.0.0.2",
}
PROGRAM = {"app_handler": "", "app_command": ["python", "server.py"]}


def faults(**changes: Any) -> list[str]:
    return app_faults(GOOD | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        PROGRAM,
        PROGRAM | {"app_health_path": ""},
        PROGRAM | {"app_health_path": None},
        {"app_handler": "chat.server:Chat.handle_1"},
        {"app_source": __file__, "app_requirements": []},
        {"app_requirements": str(_app_faults.SPECS)},
        {"app_pip_args": ["--index-url=https://pypi.example.com/simple", "--pre"]},
        {"app_pip_env": {"PIP_INDEX_URL": "https://ci:pass@pypi.example.com/simple", "N": 1}},
        {"app_requirements": ["chat @ git+ssh://git@example.com/chat@v1"]},
        {"app_lifespan": "chat:lifespan", "app_process_request": "chat.auth:check"},
        {"app_event_loop": "uvloop", "app_log_format": "json", "app_log_level": "error"},
        {"app_memory_high": "400M", "app_tasks_max": "16", "app_cpu_weight": 10000},
        {"app_name": "c"},
        {"app_name": "c" + 30 * "-"},
        {"app_processes": 1},
        {"app_processes": 1024},
        # From the command line everything comes as text.
        {"app_processes": "4", "app_port": "9000", "app_drain_seconds": "0.5"},
        {"app_listen": "port_per_process", "app_port": 65000, "app_processes": 534},
        {"app_listen": "unix_socket", "app_bind": "nonsense"},
        {"app_bind": "::"},
        {"app_compression": "disabled"},
        {"app_compression": {"window_bits": 9, "memory_level": "9"}},
        {"app_memory_max": "512M"},
        {"app_memory_max": 1000000},
        {"app_memory_high": 999999, "app_memory_max": "1000000"},
        {"app_memory_high": "900M", "app_memory_max": "1G"},
        {"app_memory_high": "900M"},
        {"app_env": {"PATH_2": "x", "_A": 1, "B": 0.5}, "app_secrets": {"TOKEN": "a\nb"}},
        PROGRAM | {"app_health_check": "websocket", "app_health_path": "/"},
        PROGRAM | {"app_health_check": "websocket", "app_health_path": "/chat/%C3?room=1&a=b"},
        PROGRAM | {"app_health_check": "tcp"},
        PROGRAM | {"app_health_check": "tcp", "app_health_path": None},
        {"app_cpu_affinity": "0-3,5", "app_processes": 4},
        {"app_cpu_affinity": 2, "app_processes": "1"},
        {"app_hardening": {"MemoryDenyWriteExecute": False, "ProtectProc": "default"}},
        {"app_hardening": {"RestrictAddressFamilies": ["AF_UNIX", "AF_INET"]}},
        {"app_hardening": {"ReadWritePaths": "/var/lib/chat", "SystemCallFilter": []}},
        {"app_whatever": "a variable of the user's own"},
    ],
)
def test_what_works_is_not_refused(changes: dict[str, Any]) -> None:
    assert faults(**changes) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"app_name": "Chat"}, ["app_name", "'Chat'", "lower-case"]),
        ({"app_name": ""}, ["app_name", "''"]),
        ({"app_name": "1chat"}, ["app_name", "'1chat'"]),
        ({"app_name": "chat\n"}, ["app_name"]),
        ({"app_name": "c" * 32}, ["app_name", "30"]),
        ({"app_name": "chat@2"}, ["app_name", "'chat@2'"]),
        ({"app_name": 7}, ["app_name", "7"]),
        ({"app_handler": "", "app_command": []}, ["app_handler", "app_command", "exactly one"]),
        ({"app_command": ["python"]}, ["app_handler", "app_command", "exactly one"]),
        ({"app_lifespan": "chat.lifespan"}, ["app_lifespan", "module:callable"]),
        ({"app_process_request": "auth"}, ["app_process_request", "module:callable"]),
        (PROGRAM | {"app_lifespan": "chat:lifespan"}, ["app_lifespan", "app_command"]),
        ({"app_event_loop": "gevent"}, ["app_event_loop", "'gevent'", "uvloop"]),
        ({"app_log_level": "debug"}, ["app_log_level", "'debug'", "info"]),
        ({"app_wheelhouse": "/does/not/exist"}, ["app_wheelhouse", "/does/not/exist"]),
        ({"app_memory_high": "lots"}, ["app_memory_high", "'lots'"]),
        (
            {"app_memory_high": "1G", "app_memory_max": "1024M"},
            ["app_memory_high is '1G'", "app_memory_max is '1024M'", "lower"],
        ),
        ({"app_tasks_max": 1}, ["app_tasks_max", "16"]),
        ({"app_cpu_weight": 0}, ["app_cpu_weight", "1"]),
        ({"app_handler": "chat"}, ["app_handler", "'chat'", "module:callable"]),
        ({"app_handler": "chat:handler()"}, ["app_handler", "module:callable"]),
        (PROGRAM | {"app_command": "python server.py"}, ["app_command", "list of words"]),
        (PROGRAM | {"app_command": ["python", ""]}, ["app_command", "none empty"]),
        (PROGRAM | {"app_command": 5}, ["app_command", "list of words"]),
        (
            {"app_pip_args": ["--index-url", "https://ci:s3cret@pypi.example.com/simple"]},
            ["app_pip_args", "app_pip_env", "PIP_EXTRA_INDEX_URL"],
        ),
        ({"app_requirements": ["a @ https://s3cret@example.com/a"]}, ["app_requirements"]),
        ({"app_pip_env": {"HOME": "s3cret"}}, ["app_pip_env has HOME"]),
        ({"app_pip_env": "PIP_INDEX_URL=s3cret"}, ["app_pip_env must be a dictionary"]),
        ({"app_requirements": []}, ["app_source", "app_requirements", "nothing to install"]),
        ({"app_requirements": {"a": "b"}}, ["app_requirements", "list or a path"]),
        ({"app_requirements": "/no/file"}, ["app_requirements", "'/no/file'", "controller"]),
        ({"app_source": "/no/folder"}, ["app_source", "'/no/folder'", "controller"]),
        ({"app_python": "python3"}, ["app_python", "'python3'", "absolute path"]),
        ({"app_processes": 0}, ["app_processes", "0", "1024"]),
        ({"app_processes": 1025}, ["app_processes", "1025"]),
        ({"app_processes": "many"}, ["app_processes", "'many'", "auto"]),
        ({"app_processes": 1.5}, ["app_processes", "1.5"]),
        ({"app_processes": "inf"}, ["app_processes", "'inf'"]),
        ({"app_processes": "nan"}, ["app_processes", "'nan'"]),
        ({"app_processes": True}, ["app_processes", "True"]),
        (
            {"app_listen": "port_per_process", "app_port": 65000, "app_processes": 535},
            ["app_port is 65000", "app_processes is 535", "65536"],
        ),
        ({"app_bind": "server"}, ["app_bind", "'server'", "IP address"]),
        ({"app_compression": "off"}, ["app_compression", "'off'", "disabled"]),
        ({"app_compression": None}, ["app_compression", "None"]),
        ({"app_compression": {"window_bits": 8, "memory_level": 5}}, ["window_bits", "8", "15"]),
        ({"app_compression": {"window_bits": 12, "memory_level": 1.5}}, ["memory_level", "1.5"]),
        ({"app_compression": {"window_bits": 12}}, ["app_compression.memory_level", "None"]),
        (
            {"app_compression": {"window_bits": 12, "memory_level": 5, "level": 1}},
            ["unknown key 'level'"],
        ),
        ({"app_memory_max": "50%"}, ["app_memory_max", "'50%'", "infinity"]),
        ({"app_memory_max": 0}, ["app_memory_max", "0"]),
        ({"app_env": {"A-B": "x"}}, ["app_env", "'A-B'"]),
        ({"app_env": {"PORT": "x"}}, ["app_env has PORT", "by itself"]),
        ({"app_secrets": {"APP_RELEASE": "x"}}, ["app_secrets has APP_RELEASE"]),
        ({"app_env": ["A=B"]}, ["app_env", "dictionary"]),
        ({"app_health_path": "healthz"}, ["app_health_path", "'healthz'", "/healthz"]),
        ({"app_health_path": "/a b"}, ["app_health_path", "'/a b'"]),
        ({"app_health_path": ""}, ["app_health_path", "''"]),
        ({"app_health_check": "ping"}, ["app_health_check", "'ping'", "websocket"]),
        ({"app_health_check": "tcp"}, ["app_health_check", "'tcp'", "admin socket"]),
        (
            PROGRAM | {"app_health_check": "websocket", "app_health_path": ""},
            ["app_health_path", "''", "handshake"],
        ),
        (
            PROGRAM | {"app_health_check": "websocket", "app_health_path": "/a\r\nX: y"},
            ["app_health_path", "handshake"],
        ),
        (
            PROGRAM | {"app_health_check": "websocket", "app_health_path": "/a#b"},
            ["app_health_path", "'/a#b'"],
        ),
        (PROGRAM | {"app_health_path": "/"}, ["app_health_path", "'/'"]),
        ({"app_cpu_affinity": "0-3"}, ["app_cpu_affinity", "'0-3'", "app_processes"]),
        ({"app_cpu_affinity": "3-0", "app_processes": 1}, ["app_cpu_affinity", "'3-0'", "0-3,5"]),
        ({"app_cpu_affinity": "0;1", "app_processes": 1}, ["app_cpu_affinity", "'0;1'"]),
        ({"app_cpu_affinity": "0\n", "app_processes": 1}, ["app_cpu_affinity"]),
        ({"app_hardening": ["PrivateUsers"]}, ["app_hardening", "dictionary"]),
        (
            {"app_hardening": {"PrivateUser": False}},
            ["app_hardening", "'PrivateUser'", "did you mean PrivateUsers?"],
        ),
        ({"app_hardening": {"ExecStart": "/bin/sh"}}, ["'ExecStart'", "docs/security.md"]),
        (
            {"app_hardening": {"ProtectProc": "default\nUser=root"}},
            ["app_hardening.ProtectProc", "one line"],
        ),
        ({"app_hardening": {"ReadWritePaths": ["/a\\"]}}, ["app_hardening.ReadWritePaths"]),
        ({"app_hardening": {"PrivateUsers": None}}, ["app_hardening.PrivateUsers", "None"]),
        ({"app_hardening": {"PrivateUsers": 0}}, ["app_hardening.PrivateUsers", "boolean"]),
        ({"app_procesess": 4}, ["app_procesess", "did you mean app_processes?"]),
        ({"app_secret": {}}, ["app_secret ", "did you mean app_secrets?"]),
    ],
)
def test_a_fault_names_variable_value_and_what_would_do(
    changes: dict[str, Any], words: list[str]
) -> None:
    found = faults(**changes)
    assert found
    assert [word for word in words if word not in found[0]] == []


@pytest.mark.parametrize("value", [True, None, ["correct horse"], "correct horse\0"])
def test_a_bad_secret_is_named_and_not_shown(value: object) -> None:
    (fault,) = faults(app_secrets={"TOKEN": value})
    assert "app_secrets.TOKEN" in fault
    assert "correct horse" not in fault


@pytest.mark.parametrize(
    "changes",
    [
        {"app_pip_args": ["--index-url=https://ci:s3cret@pypi.example.com/simple"]},
        {"app_requirements": ["a @ https://ci:s3cret@example.com/a"]},
        {"app_pip_env": {"PIP_PROXY": "http://ci:s3cret@example.com"}},
        {"app_pip_env": "s3cret"},
    ],
)
def test_a_password_of_an_index_is_not_shown(changes: dict[str, Any]) -> None:
    assert "s3cret" not in str(faults(**changes))


def test_a_wheelhouse_is_a_folder_of_wheels(tmp_path: Path) -> None:
    assert "there is no wheel (.whl) in it" in faults(app_wheelhouse=str(tmp_path))[0]
    (tmp_path / "a-1-py3-none-any.whl").touch()
    (tmp_path / "NOTES").touch()
    assert faults(app_wheelhouse=str(tmp_path)) == []
    (tmp_path / "b-1.tar.gz").touch()
    assert "it holds b-1.tar.gz, and a server" in faults(app_wheelhouse=str(tmp_path))[0]


def test_all_faults_are_told_at_once() -> None:
    found = faults(app_name="Chat", app_port=80, app_drain_seconds=-1, app_bind="x", app_prot=1)
    named = ("app_name", "app_port", "app_drain_seconds", "app_bind", "app_prot")
    assert len(found) == len(named)
    assert [name for name in named if not any(fault.startswith(name) for fault in found)] == []


@pytest.mark.parametrize("name", _app_faults.RANGES)
def test_ranges_hold_at_both_ends(name: str) -> None:
    low, high, unit = _app_faults.RANGES[name]
    assert name in DEFAULTS
    good: list[Any] = [low, high, str(low)]
    bad: list[Any] = [low - 1, high + 1, "nan", "", None, True]
    for value in good:
        assert faults(**{name: value}) == []
    for value in bad:
        found = faults(**{name: value})
        assert any(name in fault and unit in fault for fault in found), value


# Where a variable goes in the launcher's configuration.
KEYS = {
    "app_port": "listen.port",
    "app_backlog": "listen.backlog",
    "app_max_size": "websocket.max_size",
    "app_max_queue": "websocket.max_queue",
    "app_write_limit": "websocket.write_limit",
    "app_ping_interval": "websocket.ping_interval",
    "app_ping_timeout": "websocket.ping_timeout",
    "app_open_timeout": "websocket.open_timeout",
    "app_close_timeout": "websocket.close_timeout",
    "app_drain_seconds": "drain.seconds",
}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("end", [0, 1])
def test_the_launcher_takes_what_is_let_through(name: str, end: int) -> None:
    tables: dict[str, dict[str, Any]] = {
        "listen": {
            "mode": "shared_port",
            "host": "10.0.0.2",
            "port": 8765,
            "runtime_directory": "/run/chat",
        }
    }
    table, _dot, key = KEYS[name].partition(".")
    tables.setdefault(table, {})[key] = _app_faults.RANGES[name][end]
    lines = ['handler = "chat:handler"']
    for table, values in tables.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    websockets_fleet.config.parse("\n".join(lines))


def test_the_unit_sets_nothing_that_a_user_may_set_too() -> None:
    """A name that a template of the role sets and that is not reserved would be lost."""
    templates = ROLE / "templates" / "etc"
    unit = (templates / "systemd" / "system" / "app@.service.j2").read_text()
    env = (templates / "app" / "env.j2").read_text()
    names = {word for word in _app_faults.RESERVED if f"{word}=" in unit or f"'{word}'" in env}
    assert names == {"INSTANCE", "APP_FINGERPRINT", "UNIX_SOCKET", "PORT", "HOST", "APP_NAME"}


def test_sockets_are_refused_where_another_host_must_reach_them() -> None:
    values = GOOD | {"app_listen": "unix_socket"}
    assert balancer_faults(values, ["app1"], "app1") == []
    (fault,) = balancer_faults(values, ["lb1", "app1", "lb2"], "app1")
    assert "'unix_socket' on app1" in fault
    assert "lb1, lb2" in fault
    assert balancer_faults(GOOD, ["lb1"], "app1") == []


def test_the_specification_is_that_of_the_role() -> None:
    assert Path(_app_faults.SPECS).is_file()
    assert set(_app_faults.RANGES) <= set(DEFAULTS)


def test_every_directive_of_the_sandbox_is_explained() -> None:
    """What app_hardening may name is what docs/security.md says something of."""
    text = (ROLE.parents[1] / "docs" / "security.md").read_text()
    table = text.split("| directive |")[1].split("\n\n")[0]
    explained = re.findall(r"^\| `(\w+)` \|", table, re.M)
    assert explained == sorted(_app_faults._directives())
    # What a unix socket has otherwise is named so that app_hardening can give it back.
    variables = yaml.safe_load(_app_faults.VARIABLES.read_text())
    assert set(variables["__app_hardening_unix_socket"]) < set(variables["__app_hardening"])
