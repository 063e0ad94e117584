"""The processes' units: how far they are shut in, bounded, and started again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from conftest import Fleet, Server

SERVERS = ("app1", "app2")
UNITS = tuple(f"echo@{index}.service" for index in (1, 2, 3))
HOST = ("--limit", "app2,localhost")
VARIABLES = Path(__file__).parents[3] / "roles" / "app" / "vars" / "main.yml"


def show(server: Server, unit: str, *names: str) -> dict[str, str]:
    """Return what systemd has of a unit."""
    shown = server.run(f"systemctl show {unit} {' '.join(f'-p {name}' for name in names)}")
    return dict(line.split("=", 1) for line in shown.splitlines())


def back(server: Server, unit: str, other_than: int, seconds: float) -> int:
    """Wait until another process serves; return its id."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = show(server, unit, "MainPID", "ActiveState")
        if found["MainPID"] not in ("0", str(other_than)) and found["ActiveState"] == "active":
            return int(found["MainPID"])
        time.sleep(0.2)
    pytest.fail(f"{unit} did not come back in {seconds} s")


@pytest.mark.parametrize("name", SERVERS)
def test_a_process_that_serves_is_shut_in(fleet: Fleet, name: str) -> None:
    server = fleet[name]
    for index, unit in enumerate(UNITS, start=1):
        assert server.admin(index, "/healthz") == (200, "ok")
        words = server.run(f"systemd-analyze security --no-pager {unit} | tail -1").split()
        assert float(words[words.index(f"{unit}:") + 1]) <= 1.2
        # What the kernel itself has of it: system calls are filtered, and it is root nowhere.
        status = server.run(f"cat /proc/{server.main_pid(unit)}/status").splitlines()
        assert {"NoNewPrivs:\t1", "Seccomp:\t2"} <= set(status)
        owners = server.run(f"cat /proc/{server.main_pid(unit)}/uid_map").split()
        assert owners == ["0", "0", "1", *2 * [server.run("id -u echo")], "1"]


@pytest.mark.parametrize("name", SERVERS)
def test_systemd_understands_every_line(fleet: Fleet, name: str) -> None:
    server = fleet[name]
    server.run("systemctl daemon-reload")
    server.run(f"systemd-analyze verify --man=no --recursive-errors=no {UNITS[0]}")
    assert server.run("journalctl --quiet -b _PID=1 --grep 'echo@.service:[0-9]' || true") == ""


def test_without_a_network_it_would_be_shut_in_on_debian_12_too(fleet: Fleet) -> None:
    """The scenario one_host serves over unix sockets, on Debian 13: here is its unit on 12."""
    changes = yaml.safe_load(VARIABLES.read_text())["__app_hardening_unix_socket"]
    # What systemd joins is emptied first.
    lines = ["[Service]", "UMask=0007", "RestrictAddressFamilies="]
    for directive, value in changes.items():
        lines += [f"{directive}={word}" for word in (value if isinstance(value, list) else [value])]
    unit = "/run/unix-socket@.service"
    added = "\\n".join(lines)
    server = fleet["app1"]
    try:
        server.run(f"(cat /etc/systemd/system/echo@.service; printf '{added}\\n') > {unit}")
        words = server.run(f"systemd-analyze security --no-pager --offline=true {unit} | tail -1")
    finally:
        server.run(f"rm {unit}")
    assert float(words.split(".service:")[1].split()[0]) <= 0.5


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("signal", ["TERM", "ABRT", "KILL"])
def test_a_process_that_ends_by_itself_comes_back(fleet: Fleet, name: str, signal: str) -> None:
    """One that is told to end by somebody else than systemd ends well, and leaves a gap too."""
    server = fleet[name]
    others = [server.main_pid(unit) for unit in UNITS[:2]]
    pid = server.main_pid(UNITS[2])
    server.run(f"kill -{signal} {pid}")
    # Up to 3 s to drain, and 3 s until it is started.
    back(server, UNITS[2], pid, 15)
    assert [server.main_pid(unit) for unit in UNITS[:2]] == others


def test_limits_and_a_relaxed_directive_reach_the_processes(fleet: Fleet) -> None:
    server = fleet["app2"]
    change = (
        '{"app_memory_high": "400M", "app_memory_max": "512M", "app_tasks_max": 64,'
        ' "app_cpu_weight": 200, "app_cpu_affinity": "0",'
        ' "app_hardening": {"MemoryDenyWriteExecute": false, "ReadWritePaths": "/var/tmp"}}'
    )
    run = fleet.play("websockets.fleet.site", *HOST, "-e", change)
    assert run.code == 0, run.output
    for unit in UNITS:
        shown = show(
            server,
            unit,
            *("MemoryHigh", "MemoryMax", "TasksMax", "CPUWeight", "OOMPolicy"),
            *("MemoryDenyWriteExecute", "ReadWritePaths", "ProtectSystem", "PrivateUsers"),
        )
        assert shown == {
            "MemoryHigh": str(400 * 2**20),
            "MemoryMax": str(512 * 2**20),
            "TasksMax": "64",
            "CPUWeight": "200",
            "OOMPolicy": "kill",
            "MemoryDenyWriteExecute": "no",
            "ReadWritePaths": "/var/tmp",
            # The others are as they were.
            "ProtectSystem": "strict",
            "PrivateUsers": "yes",
        }
        status = server.run(f"cat /proc/{server.main_pid(unit)}/status").splitlines()
        assert "Cpus_allowed_list:\t0" in status


def test_a_sandbox_that_cannot_be_made_is_named_and_leaves_the_others(fleet: Fleet) -> None:
    server = fleet["app2"]
    others = [server.main_pid(unit) for unit in UNITS[1:]]
    change = '{"app_hardening": {"ReadWritePaths": "/var/lib/not-there"}}'
    run = fleet.play("websockets.fleet.site", *HOST, "-e", change)
    assert run.code != 0
    assert "echo@1.service did not stay up: exit-code (status 226)" in run.output
    assert "/var/lib/not-there: No such file or directory" in run.output
    assert "app_hardening" in run.output
    assert [server.main_pid(unit) for unit in UNITS[1:]] == others


def test_a_unit_that_systemd_would_not_understand_does_not_land(fleet: Fleet) -> None:
    server = fleet["app2"]
    before = server.run("cat /etc/systemd/system/echo@.service")
    change = '{"app_hardening": {"SystemCallFilter": ["@systm-service"]}}'
    run = fleet.play("websockets.fleet.site", *HOST, "-e", change)
    assert run.code != 0
    assert "echo@.service was refused, nothing was written" in run.output
    assert "@systm-service" in run.output
    assert server.run("cat /etc/systemd/system/echo@.service") == before


def test_a_host_that_gives_fewer_files_is_named_once(fleet: Fleet) -> None:
    """Last, as it also brings back what the tests above have changed."""
    servers = ("--limit", "app_servers,localhost")
    assert fleet.play("websockets.fleet.site", *servers).code == 0
    run = fleet.play("websockets.fleet.site", *servers)
    assert set(run.changed.values()) == {0}, run.output
    for name in SERVERS:
        limits = f"/proc/{fleet[name].main_pid(UNITS[0])}/limits"
        has = int(fleet[name].run(f"awk '/Max open files/ {{print $4}}' {limits}"))
        words = f"{name}: a process of echo may open {has} files, not the 65536 of app_file_limit"
        assert " ".join(run.output.split()).count(words) == (has < 65536)
