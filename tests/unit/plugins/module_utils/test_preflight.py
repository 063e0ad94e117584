"""What preflight sees before anything changes."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.websockets.fleet.plugins.module_utils import _preflight
from ansible_collections.websockets.fleet.plugins.module_utils._preflight import (
    Listener,
    conflicts,
    examine,
    parse_listeners,
    ports_of,
)

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"


def look(
    name: str, python: str, system_python: str, bind: str = "", port: int = 0
) -> tuple[dict[str, Any], list[str]]:
    listen = "shared_port" if port else "unix_socket"
    return examine(name, python, system_python, listen, bind, port, "auto")


def line(address: str, state: str = "0A", uid: int = 0) -> str:
    queues = "00000000:00000000 00:00000000 00000000"
    return f"   0: {address} 00000000:0000 {state} {queues} {uid} 0 77 1\n"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("0100007F:223D", ("127.0.0.1", 8765)),
        ("00000000:0016", ("0.0.0.0", 22)),
        ("00000000000000000000000000000000:01BB", ("::", 443)),
        ("B80D0120000000000000000001000000:0050", ("2001:db8::1", 80)),
        ("0000000000000000FFFF00000100007F:0050", ("127.0.0.1", 80)),
    ],
)
def test_listeners_are_read_in_both_families(address: str, expected: tuple[str, int]) -> None:
    found = parse_listeners(HEADER + line(address, uid=33) + line(address, state="01"))
    assert [(listener.address, listener.port) for listener in found] == [expected]
    assert found[0].uid == 33


@pytest.mark.parametrize(
    ("listening", "bind", "taken"),
    [
        ("10.0.0.2", "10.0.0.2", True),
        ("10.0.0.3", "10.0.0.2", False),
        ("0.0.0.0", "10.0.0.2", True),
        ("::", "10.0.0.2", True),
        ("0.0.0.0", "2001:db8::1", False),
        ("10.0.0.2", "0.0.0.0", True),
        ("10.0.0.2", "::", True),
        ("2001:db8::1", "0.0.0.0", False),
    ],
)
def test_addresses_overlap_as_the_kernel_sees_it(listening: str, bind: str, taken: bool) -> None:
    listeners = [Listener(listening, 8765, 0, "1"), Listener(listening, 9999, 0, "2")]
    assert bool(conflicts(listeners, bind, [8765, 8766], None)) is taken


def test_the_applications_own_listeners_are_no_conflict() -> None:
    own = Listener("0.0.0.0", 8765, 990, "1")
    assert conflicts([own], "10.0.0.2", [8765], 990) == []
    assert conflicts([own], "10.0.0.2", [8765], 991) == [own]


def test_a_taken_port_names_the_process_that_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        _facts, faults = look("no-such-app", sys.executable, sys.executable, "127.0.0.1", port)
    assert any(f"port {port}" in fault and f"(pid {os.getpid()})" in fault for fault in faults)


def test_an_address_of_another_host_is_refused() -> None:
    _facts, faults = look("no-such-app", sys.executable, sys.executable, "192.0.2.250", 8765)
    assert any("app_bind '192.0.2.250' is not an address of this host" in fault for fault in faults)
    _facts, faults = look("no-such-app", sys.executable, sys.executable, "server", 8765)
    assert any("app_bind 'server' is not an IP address" in fault for fault in faults)


def interpreter(folder: Path, script: str) -> str:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            """echo '{"version": [3, 10, 9], "venv": true}'""",
            "is Python 3.10.9; it must be Python 3.11 or later",
        ),
        ("""echo '{"version": [3, 12, 1], "venv": false}'""", "has no venv"),
        ("echo broken >&2; exit 1", "does not run: broken"),
        ("exit 3", "does not run: it exits with 3"),
        ("echo no json", "is no Python"),
    ],
)
def test_interpreters_that_will_not_do(tmp_path: Path, script: str, message: str) -> None:
    _facts, faults = look("no-such-app", interpreter(tmp_path, script), "/usr/bin/python3", "")
    assert any(message in fault for fault in faults)


def test_a_missing_interpreter_is_named() -> None:
    _facts, faults = look("no-such-app", "/no/python3", "/usr/bin/python3", "")
    fault = "app_python '/no/python3' does not run: No such file or directory; it must be"
    assert any(fault in each for each in faults)


def test_a_good_interpreter_tells_its_version() -> None:
    facts, faults = look("no-such-app", sys.executable, sys.executable, "")
    assert facts["python_version"] == ".".join(map(str, sys.version_info[:3]))
    assert not any("app_python" in fault for fault in faults)


def test_a_name_that_belongs_to_the_system_is_refused() -> None:
    _facts, faults = look("daemon", sys.executable, sys.executable, "")
    assert any("app_name 'daemon' is taken" in fault for fault in faults)
    _facts, faults = look("ssl", sys.executable, sys.executable, "")
    assert any("/etc/ssl" in fault for fault in faults)


def test_a_group_of_the_system_is_refused_as_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_preflight, "_account", lambda _name: None)
    group = grp.getgrgid(os.getgid()).gr_name
    _facts, faults = look(group, sys.executable, sys.executable, "")
    assert any(f"the group {group}" in fault for fault in faults)


def test_processes_that_share_a_taken_port_are_one_fault() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as first:
        port = first.getsockname()[1]
        with socket.create_server(("127.0.0.1", port), reuse_port=True):
            _facts, faults = look("no-such-app", sys.executable, sys.executable, "127.0.0.1", port)
    assert [fault.count("pid") for fault in faults if f"port {port}" in fault] == [1]


def test_the_collections_own_account_marks_the_name_as_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = pwd.struct_passwd(("ssl", "x", 990, 990, _preflight.ACCOUNT_COMMENT, "/", "/bin/false"))
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: own)
    _facts, faults = look("ssl", sys.executable, sys.executable, "")
    assert not any("taken" in fault for fault in faults)


@pytest.mark.parametrize(
    ("listen", "ports"),
    [
        ("shared_port", [8765]),
        ("port_per_process", [8766, 8767, 8768]),
        ("unix_socket", []),
    ],
)
def test_a_port_per_process_leaves_one_for_a_rolling_change(listen: str, ports: list[int]) -> None:
    assert ports_of(listen, 8765, 2) == ports


def test_cpus_that_the_host_has_not_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 4})
    asked = ("chat", sys.executable, sys.executable, "unix_socket", "", 8765, "auto")

    def faults(cpu_affinity: str) -> list[str]:
        found = _preflight.examine(*asked, cpu_affinity=cpu_affinity)[1]
        return [fault for fault in found if "app_cpu_affinity" in fault]

    # The kernel leaves out those that are not there, and refuses where none is left.
    for good in ("", "0", "0-63", "2-3,4"):
        assert faults(good) == []
    (fault,) = faults("2-3,8")
    assert "'2-3,8'" in fault
    assert "0, 1, 4" in fault


def test_the_version_of_systemd_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _preflight._systemd_version() == 0
    for words, version in (("systemd 252 (252.39-1~deb12u2)\n+PAM", 252), ("systemd 258~rc1", 258)):
        script = tmp_path / "systemctl"
        script.write_text(f"#!/bin/sh\necho '{words}'\n")
        script.chmod(0o755)
        assert _preflight._systemd_version() == version
