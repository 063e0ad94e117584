"""What an engineer sees who runs the playbooks again, in check mode, or is interrupted."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Fleet


def test_a_converged_fleet_in_check_mode_has_nothing_to_change(fleet: Fleet) -> None:
    # Whatever the other tests left is brought back first.
    assert fleet.play("websockets.fleet.site").code == 0
    run = fleet.play("websockets.fleet.site", "--check", "--diff")
    assert run.code == 0, run.output
    assert set(run.changed.values()) == {0}, run.output


def test_check_mode_shows_a_change_and_makes_none(fleet: Fleet) -> None:
    pids = [fleet["app1"].main_pid(f"echo@{index}.service") for index in (1, 2, 3)]
    change = ("-e", '{"app_max_queue": 7, "app_processes": 4}')
    run = fleet.play("websockets.fleet.site", "--check", "--diff", *change)
    assert run.code == 0, run.output
    assert "+max_queue = 7" in run.output
    assert "+echo@4.service: release" in run.output
    assert run.changed["app1"] > 0
    assert [fleet["app1"].main_pid(f"echo@{index}.service") for index in (1, 2, 3)] == pids
    assert "max_queue = 16" in fleet["app1"].run("cat /etc/echo/server.toml")
    assert fleet["app1"].main_pid("echo@4.service") == 0


def test_a_run_that_is_killed_is_finished_by_the_next(fleet: Fleet) -> None:
    change = ("-e", '{"app_env": {"RUN": "interrupted"}}')
    command = fleet.command("websockets.fleet.site", *change)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        seen = next((line for line in process.stdout if "app1: restarting" in line), "")
        process.send_signal(signal.SIGKILL)
    assert seen, "no process was restarted"
    run = fleet.play("websockets.fleet.site", *change)
    assert run.code == 0, run.output
    for name in ("app1", "app2"):
        for index in (1, 2, 3):
            pid = fleet[name].main_pid(f"echo@{index}.service")
            assert "RUN=interrupted" in fleet[name].run(f"tr '\\0' '\\n' < /proc/{pid}/environ")
    again = fleet.play("websockets.fleet.site", *change)
    assert set(again.changed.values()) == {0}, again.output


def test_status_shows_every_process(fleet: Fleet) -> None:
    run = fleet.play("websockets.fleet.status")
    assert run.code == 0, run.output
    rows = [line.split() for line in run.output.splitlines() if line.endswith(" ok")]
    shown = {(row[0], int(row[1]), int(row[2])) for row in rows}
    real = {
        (name, index, fleet[name].main_pid(f"echo@{index}.service"))
        for name in ("app1", "app2")
        for index in (1, 2, 3)
    }
    assert shown == real, run.output
    assert re.search(r"HOST +PROCESS +PID +RELEASE +UPTIME", run.output)


def test_status_shows_what_does_not_run(fleet: Fleet) -> None:
    fleet["app2"].run("systemctl stop echo@2.service")
    run = fleet.play("websockets.fleet.status")
    assert run.code == 0, run.output
    rows = [line.split() for line in run.output.splitlines() if line.startswith("app2 ")]
    assert [row[-2:] for row in rows if row[1] == "2"] == [["not", "running"]], run.output
    assert "app2: starting echo@2.service" in fleet.play("websockets.fleet.site").output


def test_a_load_balancer_alone_can_be_brought_up_to_date(fleet: Fleet) -> None:
    run = fleet.play("websockets.fleet.site", "--limit", "lb1,localhost")
    assert run.code == 0, run.output
    assert run.changed["lb1"] == 0, run.output


def test_a_server_that_is_down_is_left_out_and_taken_in_again(fleet: Fleet, tmp_path: Path) -> None:
    # Nobody answers on that port: for Ansible the host is down.
    (tmp_path / "down.ini").write_text("[app_servers]\napp2 ansible_port=1\n")
    down = ("-i", str(tmp_path / "down.ini"))

    everything = fleet.play("websockets.fleet.site", *down)
    assert everything.code != 0
    assert set(everything.changed.values()) == {0}, everything.output

    others = fleet.play("websockets.fleet.site", *down, "--limit", "!app2")
    assert others.code == 0, others.output
    assert "No address is known of app2" in others.output
    named = f"grep -q '{fleet['app2'].address}:8765' /etc/nginx/conf.d/echo.conf"
    assert fleet["lb1"].host.run(named).rc == 1
    with fleet.client("lb1") as connection:
        connection.send("hello")
        assert connection.recv() == "hello"

    status = fleet.play("websockets.fleet.status", *down)
    rows = [line.split() for line in status.output.splitlines() if line.startswith("app2 ")]
    assert ["app2", "-"] in [row[:2] for row in rows], status.output

    back = fleet.play("websockets.fleet.site")
    assert back.code == 0, back.output
    assert fleet["lb1"].host.run(named).rc == 0
