"""What a process says of itself, and what it says to the journal."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

if TYPE_CHECKING:
    from conftest import Fleet

    from .conftest import Echoes, Hold, OpenOne, Unit

SERVERS = ("app1", "app2")
SECRET = "what-clients-say-to-each-other"
COUNTERS = {
    "opened_total": "connections_opened_total",
    "messages_received_total": "messages_received_total",
    "messages_sent_total": "messages_sent_total",
    "bytes_received_total": "received_bytes_total",
    "bytes_sent_total": "sent_bytes_total",
}


def metrics(text: str) -> dict[str, float]:
    """The values of all metrics, by name and labels."""
    found = re.findall(r"^([^#]\S+) (\S+)$", text, re.MULTILINE)
    return {name.removeprefix("websockets_fleet_"): float(value) for name, value in found}


def difference(after: dict[str, Any], before: dict[str, Any]) -> dict[str, int]:
    """How much each counter has grown."""
    return {key: after[key] - before[key] for key in COUNTERS}


@pytest.mark.parametrize("name", SERVERS)
def test_the_counts_are_those_of_the_clients(
    fleet: Fleet, units: dict[str, list[Unit]], hold: Hold, echoes: Echoes, name: str
) -> None:
    server, unit = fleet[name], units[name][0]

    async def leave(connection: ClientConnection, code: int) -> None:
        if code == 1006:
            connection.transport.abort()
            await connection.wait_closed()
        else:
            await connection.close(code)

    async def talk() -> None:
        idle = await unit.status()
        # Nobody else comes to this process: not through the load balancer either.
        async with hold(server, unit.index, 12) as crowd:
            before = await unit.status()
            assert before["connections"] - idle["connections"] == 12
            assert before["opened_total"] - idle["opened_total"] >= 12
            for connection in crowd.here[:8]:
                assert await echoes(connection, "x" * 1000)
                await connection.send([b"in ", b"three ", b"parts"])
                assert await connection.recv() == b"in three parts"
            codes = [1000, 1000, 1000, 3001, 3001, 1006]
            for connection, code in zip(crowd.here, codes, strict=False):
                await leave(connection, code)
            # The kernel gives it to one of the two; it says nothing yet.
            _reader, opening = await asyncio.open_connection(server.address, 8765)
            await asyncio.sleep(0.5)

            after = await unit.status()
            other = await units[name][1].status()
            assert sorted((after["opening"], other["opening"])) == [0, 1]
            grown = difference(after, before)
            assert after["connections"] == before["connections"] - len(codes)
            assert grown["opened_total"] == 0
            assert (grown["messages_received_total"], grown["messages_sent_total"]) == (16, 16)
            # Each message's content, and a few bytes around each.
            content = 8 * (1000 + len("in three parts"))
            assert content < grown["bytes_received_total"] < content + 1000
            assert content < grown["bytes_sent_total"] < content + 1000
            closed = Counter(after["closed_total"])
            closed.subtract(before["closed_total"])
            assert +closed == {"1000": 3, "3001": 2, "1006": 1}
            opening.close()

    asyncio.run(talk())


@pytest.mark.parametrize("name", SERVERS)
def test_it_tells_who_and_how_it_is(
    fleet: Fleet, units: dict[str, list[Unit]], open_one: OpenOne, name: str
) -> None:
    server, unit = fleet[name], units[name][0]
    status = server.status(1)
    pid = server.main_pid(unit.name)
    environment = dict(
        line.partition("=")[::2]
        for line in server.run(f"tr '\\0' '\\n' < /proc/{pid}/environ").splitlines()
    )
    assert status["pid"] == pid
    assert status["release"] == server.run("basename $(readlink /opt/process/current)")
    assert status["fingerprint"] == environment["APP_FINGERPRINT"] != ""
    started = server.run(f"systemctl show --value -p ExecMainStartTimestampMonotonic {unit.name}")
    now = float(server.run("cut -d ' ' -f 1 /proc/uptime"))
    assert status["uptime_seconds"] == pytest.approx(now - int(started) / 1e6, abs=10)
    resident = int(server.run(f"awk '/^VmRSS/ {{print $2}}' /proc/{pid}/status")) * 1024
    assert status["memory_bytes"] == pytest.approx(resident, rel=0.1)
    assert 0 <= status["event_loop_lag_seconds"] <= status["event_loop_lag_max_seconds"] < 60

    async def loop() -> str:
        hello, connection = await open_one(server)
        await connection.close()
        return str(hello["loop"])

    assert asyncio.run(loop()) == {"app1": "asyncio", "app2": "uvloop"}[name]


@pytest.mark.parametrize("name", SERVERS)
def test_the_metrics_say_the_same(fleet: Fleet, units: dict[str, list[Unit]], name: str) -> None:
    server = fleet[name]
    assert units
    before = server.status(1)
    code, text = server.admin(1, "/metrics")
    after = server.status(1)
    assert code == 200
    found = metrics(text)
    assert found["connections"] == before["connections"]
    assert found["draining"] == 0
    for key, metric in COUNTERS.items():
        assert before[key] <= found[metric] <= after[key]
    closed = {
        re.sub(r"\D", "", name): value
        for name, value in found.items()
        if name.startswith("connections_closed_total{")
    }
    assert closed == after["closed_total"]
    assert f'release="{after["release"]}"' in text
    # The library's own, for which it looks around in /proc.
    assert found["process_resident_memory_bytes"] == pytest.approx(after["memory_bytes"], rel=0.1)
    up = time.time() - found["process_start_time_seconds"]
    assert up == pytest.approx(after["uptime_seconds"], abs=10)


@pytest.mark.parametrize("name", SERVERS)
def test_the_public_port_answers_the_health_check_and_the_applications_gate_stands(
    fleet: Fleet, units: dict[str, list[Unit]], open_one: OpenOne, name: str
) -> None:
    server = fleet[name]
    assert units
    for path, status in (
        ("/healthz", 200),
        ("/forbidden", 403),
        ("/", 426),
        ("/status", 426),
        ("/metrics", 426),
    ):
        connection = http.client.HTTPConnection(server.address, 8765, timeout=5)
        connection.request("GET", path)
        assert (path, connection.getresponse().status) == (path, status)
        connection.close()

    async def knock() -> None:
        with pytest.raises(InvalidStatus) as refused:
            await open_one(server, path="forbidden")
        assert refused.value.response.status_code == 403

    asyncio.run(knock())


@pytest.mark.parametrize("name", SERVERS)
def test_the_lifespan_is_entered_once_before_anybody_is_served_and_left_at_the_end(
    fleet: Fleet, units: dict[str, list[Unit]], open_one: OpenOne, name: str
) -> None:
    server = fleet[name]
    pids = [server.main_pid(unit.name) for unit in units[name]]

    async def talk() -> None:
        hello, connection = await open_one(server)
        assert hello["entered"] == 1
        await connection.close()

    asyncio.run(talk())
    server.run(f"systemctl restart {units[name][1].name}")
    ends = (
        ["lifespan entered", "serving"],
        ["lifespan entered", "serving", "draining", "lifespan left", "stopped"],
    )
    for pid, expected in zip(pids, ends, strict=True):
        log = server.run(f"journalctl --no-pager --output=cat _PID={pid}")
        messages = [json.loads(line)["message"] for line in log.splitlines()]
        told = [re.match("lifespan .*|(serving|draining|stopped)", text) for text in messages]
        assert [found[0] for found in told if found] == expected


def test_the_journal_names_connections_and_tells_nothing_of_what_they_say(
    fleet: Fleet, units: dict[str, list[Unit]], open_one: OpenOne, echoes: Echoes
) -> None:
    server = fleet["app1"]
    pids = [server.main_pid(unit.name) for unit in units["app1"]]

    async def talk() -> None:
        headers = {"X-Request-ID": "given-by-a-proxy"}
        _hello, one = await open_one(server, additional_headers=headers)
        assert await echoes(one, SECRET)
        await one.send("log")
        await one.close(1000, SECRET)
        _hello, two = await open_one(server, additional_headers=headers)
        await two.send(SECRET)
        await two.send("fail")
        await two.wait_closed()
        assert two.close_code == 1011
        # Not UTF-8, too large: what fails while it is read.
        for message in (f"{SECRET} \udcff", SECRET * 100_000):
            _hello, bad = await open_one(server)
            await bad.send(message.encode(errors="surrogateescape"), text=True)
            await bad.wait_closed()
            assert bad.close_code in (1007, 1009)
        async with fleet.connect("app1") as through:
            await through.recv()
            await through.send("log")

    asyncio.run(talk())
    log = server.run(
        "journalctl --no-pager --output=cat " + " ".join(f"_PID={pid}" for pid in pids)
    )
    assert SECRET not in log
    entries = [json.loads(line) for line in log.splitlines()]
    asked = [entry["connection"] for entry in entries if entry["message"] == "asked to log"]
    assert "given-by-a-proxy" in asked
    failed = [entry for entry in entries if "asked to fail" in entry.get("exception", "")]
    assert {entry["connection"] for entry in failed} == {"given-by-a-proxy"}
    assert {entry["level"] for entry in failed} == {"error"}
