"""What happens to clients when a process stops, and how it comes back."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

if TYPE_CHECKING:
    from conftest import Fleet, Server

DRAIN_SECONDS = 3
CLOSE_SECONDS = 10
CLIENTS = 60


def wait_until_healthy(server: Server, unit: str, other_than: int, seconds: float = 20) -> int:
    """Return the new process id; fail where the unit is not back in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pid = server.main_pid(unit)
        if pid not in {0, other_than} and server.host.run(f"systemctl is-active {unit}").rc == 0:
            return pid
        time.sleep(0.3)
    pytest.fail(f"{unit} did not come back in {seconds} s")


def close_code(connection: ClientConnection, seconds: float) -> int | None:
    """Wait for the server's close frame; ``None`` where the connection stays."""
    try:
        connection.recv(timeout=seconds)
    except TimeoutError:
        return None
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006
    raise AssertionError("nobody sent anything")


def test_sigterm_closes_its_own_connections_with_1001_and_no_others(fleet: Fleet) -> None:
    server = fleet["app1"]
    with ExitStack() as stack:
        clients = [
            stack.enter_context(connect(f"ws://{server.address}:8765/", ping_interval=None))
            for _number in range(CLIENTS)
        ]
        held = server.status(2)["connections"]
        assert 0 < held < CLIENTS
        started = time.monotonic()
        server.run("systemctl stop --no-block echo@2.service")
        with ThreadPoolExecutor(CLIENTS) as pool:
            codes = list(pool.map(lambda c: close_code(c, DRAIN_SECONDS + CLOSE_SECONDS), clients))
        assert time.monotonic() - started < DRAIN_SECONDS + CLOSE_SECONDS + 5
        assert codes.count(1001) == held
        assert codes.count(None) == CLIENTS - held
        for client, code in zip(clients, codes, strict=True):
            if code is None:
                client.send("still here")
                assert client.recv(timeout=5) == "still here"
    for name, value in (
        ("Result", "success"),
        ("ExecMainStatus", "0"),
        ("ActiveState", "inactive"),
    ):
        shown = server.run(f"systemctl show echo@2.service --property={name} --value")
        assert (name, shown) == (name, value)
    # A run finds it missing and starts it, and touches no other.
    others = [server.main_pid(f"echo@{index}.service") for index in (1, 3)]
    run = fleet.play("websockets.fleet.site")
    assert run.code == 0, run.output
    assert run.changed["app1"] == 1
    assert run.changed["app2"] == 0
    assert [server.main_pid(f"echo@{index}.service") for index in (1, 3)] == others
    assert server.run("systemctl is-active echo@2.service") == "active"


@pytest.mark.parametrize("name", ["app1", "app2"])
def test_a_process_that_is_killed_comes_back_alone(fleet: Fleet, name: str) -> None:
    server = fleet[name]
    others = [server.main_pid(f"echo@{index}.service") for index in (1, 2)]
    killed = server.main_pid("echo@3.service")
    server.run(f"kill -KILL {killed}")
    wait_until_healthy(server, "echo@3.service", killed)
    assert [server.main_pid(f"echo@{index}.service") for index in (1, 2)] == others


class Load:
    """Opens handshakes through the load balancer, one after the other, until told to stop."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.context = fleet.authority("lb1")
        self.well = 0
        self.failed: list[str] = []
        self.stop = threading.Event()

    async def client(self) -> None:
        while not self.stop.is_set():
            try:
                async with self.fleet.connect("lb1", self.context, close_timeout=2) as connection:
                    await connection.send("x")
                    assert await connection.recv() == "x"
                self.well += 1
            except ConnectionClosed as closed:
                # It was open, and moved in an orderly way: the process behind it stopped.
                if closed.rcvd is None or closed.rcvd.code != 1001:
                    self.failed.append(repr(closed))
            except Exception as error:  # noqa: BLE001
                self.failed.append(repr(error))

    async def clients(self) -> None:
        await asyncio.gather(*(self.client() for _number in range(4)))

    def __enter__(self) -> Load:
        self.thread = threading.Thread(target=asyncio.run, args=[self.clients()])
        self.thread.start()
        return self

    def __exit__(self, *_details: object) -> None:
        self.stop.set()
        self.thread.join()


def test_no_client_can_tell_that_processes_restart(fleet: Fleet) -> None:
    with Load(fleet) as load:
        for name in ("app1", "app2"):
            for index in (1, 2, 3):
                fleet[name].run(f"systemctl restart echo@{index}.service")
    assert load.failed == []
    assert load.well > 100


def test_a_changed_setting_is_rolled_out_process_by_process(fleet: Fleet) -> None:
    server = fleet["app1"]
    before = [server.main_pid(f"echo@{index}.service") for index in (1, 2, 3)]
    change = ("-e", '{"app_max_size": 2048}')
    with Load(fleet) as load:
        run = fleet.play("websockets.fleet.site", *change)
    assert run.code == 0, run.output
    assert load.failed == []
    assert load.well > 100
    after = [server.main_pid(f"echo@{index}.service") for index in (1, 2, 3)]
    assert not set(before) & set(after)
    with fleet.client("lb1") as connection:
        connection.send("x" * 2049)
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    restarts = [line for line in run.output.splitlines() if line.startswith("app1: restarting")]
    assert len(restarts) == 3, run.output
