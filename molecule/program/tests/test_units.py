"""The units of a program: shut in and started again as a handler's, asked as it can be asked."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fleet, Run

UNITS = tuple(f"shout@{index}.service" for index in (1, 2, 3))
# Takes connections, as the kernel does that for it, and never says a word.
SILENT = (
    "import os, socket, time; "
    "listener = socket.create_server((os.environ['HOST'], int(os.environ['PORT']))); "
    "time.sleep(10000)"
)


def variables(**values: object) -> tuple[str, str]:
    return ("-e", json.dumps(values))


def health(run: Run) -> list[str]:
    """Return the last column of what the playbook status shows, by process."""
    heading = next(line for line in run.output.splitlines() if line.startswith("HOST"))
    start = heading.index("HEALTH")
    rows = [line for line in run.output.splitlines() if line.startswith("app1 ")]
    return [line[start:].strip() for line in rows if line.split()[1] in {"1", "2", "3"}]


def test_a_program_that_serves_is_shut_in(fleet: Fleet) -> None:
    server = fleet["app1"]
    with fleet.client("lb1") as connection:
        connection.send("hello")
        assert connection.recv() == "HELLO"
    for unit in UNITS:
        words = server.run(f"systemd-analyze security --no-pager {unit} | tail -1").split()
        assert float(words[words.index(f"{unit}:") + 1]) <= 1.2


def test_a_program_that_ends_well_is_started_again(fleet: Fleet) -> None:
    server = fleet["app1"]
    pid = server.main_pid(UNITS[1])
    server.run(f"kill -TERM {pid}")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if server.main_pid(UNITS[1]) not in {0, pid}:
            break
        time.sleep(0.2)
    else:
        pytest.fail(f"{UNITS[1]} did not come back")
    assert server.run(f"systemctl show {UNITS[1]} --property=Result --value") == "success"


def test_a_program_is_asked_by_a_handshake(fleet: Fleet) -> None:
    asked = {"app_health_path": "/room", "app_start_seconds": 3}
    # It answers a plain request with 426 there, and takes handshakes.
    shown = fleet.play("websockets.fleet.status", *variables(**asked))
    assert health(shown) == 3 * ["GET /room: 426"], shown.output
    asked |= {"app_health_check": "websocket", "app_health_path": "/room?number=1"}
    shown = fleet.play("websockets.fleet.status", *variables(**asked))
    assert health(shown) == 3 * ["ok"], shown.output


def test_nginx_passes_a_health_path_only_where_it_is_one(fleet: Fleet) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    def status() -> int:
        through = http.client.HTTPSConnection(fleet["lb1"].address, 443, timeout=5, context=context)
        through.request("GET", "/healthz", headers={"Host": "shout.example.test"})
        return through.getresponse().status

    assert status() == 200
    change = variables(app_health_check="websocket", app_health_path="/")
    run = fleet.play("websockets.fleet.site", *change)
    assert run.code == 0, run.output
    # No process had to be restarted for it, and no plain request gets through any more.
    assert run.changed["app1"] == 0
    assert status() == 426


def test_a_program_that_takes_no_handshake_is_not_healthy(fleet: Fleet) -> None:
    server = fleet["app1"]
    others = [server.main_pid(unit) for unit in UNITS[1:]]
    asked = {
        "app_command": ["python", "-c", SILENT],
        "app_health_check": "websocket",
        "app_health_path": "/",
        "app_start_seconds": 3,
    }
    run = fleet.play("websockets.fleet.site", *variables(**asked))
    assert run.code != 0
    words = "shout@1.service is not healthy after 3 s: handshake on /: timed out"
    assert words in run.output, run.output
    assert [server.main_pid(unit) for unit in UNITS[1:]] == others
    # A mere connection is what the kernel gives it.
    asked["app_health_check"] = "tcp"
    assert health(fleet.play("websockets.fleet.status", *variables(**asked))) == 3 * ["ok"]

    run = fleet.play("websockets.fleet.site")
    assert run.code == 0, run.output
    assert [server.main_pid(unit) for unit in UNITS[1:]] == others
