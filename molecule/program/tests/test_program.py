"""A program that calls serve() by itself, unchanged: the same units, gates and limits."""

from __future__ import annotations

import asyncio
import http.client
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

if TYPE_CHECKING:
    from conftest import Fleet

PORTS = (8766, 8767, 8768)


def test_it_answers_through_the_load_balancer(fleet: Fleet) -> None:
    with fleet.client("lb1") as connection:
        connection.send("hello")
        assert connection.recv() == "HELLO"


def test_every_process_has_a_port_of_its_own(fleet: Fleet) -> None:
    server = fleet["app1"]
    for index, port in enumerate(PORTS, start=1):
        pid = server.main_pid(f"shout@{index}.service")
        listeners = server.run(f"ss -Htlnp sport = :{port}").splitlines()
        assert len(listeners) == 1
        assert f"pid={pid}," in listeners[0]
        environment = server.run(f"tr '\\0' '\\n' < /proc/{pid}/environ").splitlines()
        assert {f"PORT={port}", f"INSTANCE={index}", "APP_NAME=shout"} <= set(environment)
        assert f"HOST={server.address}" in environment
    assert server.run("ss -Htln sport = :8765") == ""


def test_the_program_is_the_process_and_not_the_child_of_a_shell(fleet: Fleet) -> None:
    server = fleet["app1"]
    pid = server.main_pid("shout@1.service")
    command = server.run(f"tr '\\0' ' ' < /proc/{pid}/cmdline").strip()
    assert command == "/opt/shout/current/venv/bin/python server.py"
    assert server.run(f"stat --format %U /proc/{pid}") == "shout"


def test_the_load_balancer_spreads_over_all_processes(fleet: Fleet) -> None:
    server = fleet["app1"]

    async def hold() -> list[int]:
        connections = [await fleet.connect("lb1") for _number in range(9)]
        counts = [
            len(server.run(f"ss -Htn state established sport = :{port}").splitlines())
            for port in PORTS
        ]
        for connection in connections:
            await connection.close()
        return counts

    # least_conn: nine connections over three processes.
    assert asyncio.run(hold()) == [3, 3, 3]


@pytest.mark.parametrize("port", PORTS)
def test_health_is_asked_of_the_program(fleet: Fleet, port: int) -> None:
    connection = http.client.HTTPConnection(fleet["app1"].address, port, timeout=5)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200


def test_sigterm_moves_its_own_clients_only(fleet: Fleet) -> None:
    server = fleet["app1"]
    with ExitStack() as stack:
        moved, stays = (
            stack.enter_context(connect(f"ws://{server.address}:{port}/")) for port in PORTS[:2]
        )
        server.run("systemctl stop shout@1.service")
        with pytest.raises(ConnectionClosed) as closed:
            moved.recv(timeout=5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        stays.send("still here")
        assert stays.recv(timeout=5) == "STILL HERE"
        # nginx goes to the others.
        with fleet.client("lb1") as connection:
            connection.send("hello")
            assert connection.recv() == "HELLO"
        assert server.run("systemctl show shout@1.service --property=Result --value") == "success"
    run = fleet.play("websockets.fleet.site")
    assert run.code == 0, run.output
    assert server.run("systemctl is-active shout@1.service") == "active"


def test_status_counts_its_connections(fleet: Fleet) -> None:
    with ExitStack() as stack:
        for port in (PORTS[0], PORTS[0], PORTS[2]):
            stack.enter_context(connect(f"ws://{fleet['app1'].address}:{port}/"))
        run = fleet.play("websockets.fleet.status")
    lines = [line for line in run.output.splitlines() if line.endswith(" ok")]
    heading = next(line for line in run.output.splitlines() if line.startswith("HOST"))
    end = heading.index("CONNECTIONS") + len("CONNECTIONS")
    assert [line[:end].split()[-1] for line in lines] == ["2", "0", "1"], run.output


def test_a_program_that_does_not_start_stops_the_run_and_names_itself(fleet: Fleet) -> None:
    server = fleet["app1"]
    others = [server.main_pid(f"shout@{index}.service") for index in (2, 3)]
    bad = ("-e", '{"app_command": ["python", "-c", "raise SystemExit(\'no database\')"]}')
    run = fleet.play("websockets.fleet.site", *bad)
    assert run.code != 0
    assert "shout@1.service did not stay up" in run.output
    assert "no database" in run.output
    assert [server.main_pid(f"shout@{index}.service") for index in (2, 3)] == others
    with fleet.client("lb1") as connection:
        connection.send("hello")
        assert connection.recv() == "HELLO"
    run = fleet.play("websockets.fleet.site")
    assert run.code == 0, run.output
    assert [server.main_pid(f"shout@{index}.service") for index in (2, 3)] == others
