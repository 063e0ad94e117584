"""A process that is reached through a unix socket has no network, unless it is given one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Fleet, Server

UNITS = ("echo-one@1.service", "echo-one@2.service")
# As docs/security.md has it.
NETWORK = (
    '{"app_hardening": {"PrivateNetwork": false,'
    ' "RestrictAddressFamilies": ["AF_INET", "AF_INET6", "AF_UNIX"]}}'
)


def score(server: Server, unit: str) -> float:
    """Return what systemd makes of a unit's sandbox: 10 is none."""
    words = server.run(f"systemd-analyze security --no-pager {unit} | tail -1").split()
    return float(words[words.index(f"{unit}:") + 1])


def answer(fleet: Fleet) -> None:
    with fleet.client("box") as connection:
        assert connection.recv() == "welcome"
        connection.send("hello")
        assert connection.recv() == "hello"


def test_a_process_that_serves_has_no_network(fleet: Fleet) -> None:
    box = fleet["box"]
    answer(fleet)
    for unit in UNITS:
        assert score(box, unit) <= 0.5
        links = box.run(f"nsenter --target {box.main_pid(unit)} --net ip -oneline link")
        assert [line.split()[1] for line in links.splitlines()] == ["lo:"]


def test_an_application_with_a_database_is_given_the_network(fleet: Fleet) -> None:
    box = fleet["box"]
    run = fleet.play("websockets.fleet.site", "-e", NETWORK)
    assert run.code == 0, run.output
    answer(fleet)
    for unit in UNITS:
        assert score(box, unit) <= 1.2
        namespaces = [f"readlink /proc/{pid}/ns/net" for pid in (1, box.main_pid(unit))]
        assert box.run(namespaces[0]) == box.run(namespaces[1])
    run = fleet.play("websockets.fleet.site")
    assert run.code == 0, run.output
    test_a_process_that_serves_has_no_network(fleet)
