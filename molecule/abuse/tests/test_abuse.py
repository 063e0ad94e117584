"""Abuse bounces, and a thousand clients who behave do not notice.

inventory/group_vars/all.yml has the limits; docs/front_door.md says what happens to whom.
"""

from __future__ import annotations

import re
from statistics import median
from typing import TYPE_CHECKING

import pytest

from .conftest import CLIENTS

if TYPE_CHECKING:
    from conftest import Fleet, Server

    from .conftest import Internet, Result

# As inventory/group_vars/all.yml says.
RATE = 40
CONNECTIONS = 100
# What a connection gets that does not come to the point.
PATIENCE = 10


def slots(server: Server) -> int:
    """Return how many connections all of nginx's workers can have."""
    found = re.search(r"worker_connections (\d+)", server.run("cat /etc/nginx/nginx.conf"))
    assert found is not None
    return int(found[1]) * len(server.run("pgrep --full 'nginx: worker process$'").split())


def memory(server: Server, processes: str) -> int:
    """Return the memory of processes in MiB, each shared page counted once."""
    script = f"cat $(printf '/proc/%s/smaps_rollup ' {processes})"
    kibibytes = server.run(f"{script} | awk '/^Pss:/ {{sum += $2}} END {{print sum}}'")
    return int(kibibytes) // 1024


@pytest.fixture(scope="module", autouse=True)
def memory_before(fleet: Fleet, internet: Internet) -> dict[str, int]:
    """What nginx and the application have before the first abuse, with everybody connected."""
    return measured(fleet)


def measured(fleet: Fleet) -> dict[str, int]:
    """Return the memory of nginx and of the application."""
    return {
        "nginx": memory(fleet["lb1"], "$(pgrep nginx)"),
        "application": memory(
            fleet["app1"], "$(systemctl show --property=MainPID --value echo@1 echo@2)"
        ),
    }


def assert_newcomers_get_in(result: Result, within: float) -> None:
    """Who comes during the attack gets in, in time."""
    came = result.came()
    print(f"newcomers: {came}, rates: {result.facts.get('rate')}")
    assert len(came) >= 3
    assert {status for _seconds, status in came} == {"101"}
    assert max(seconds for seconds, _status in came) < within


def assert_flooded(result: Result) -> None:
    """The servers got no more than the cap, and much more was really asked for."""
    assert max(result.facts["accepted"]) <= 1.05 * RATE
    assert median(result.facts["rate"]) > 5 * RATE
    assert set(result.seen) <= {"101", "503"}
    assert result.seen["503"] > result.seen["101"]


def test_a_flood_of_handshakes_from_everywhere(internet: Internet) -> None:
    internet.attack("flood", assert_flooded, seconds=4, rate=10 * RATE, addresses=40)


def test_a_flood_of_handshakes_from_one_address(internet: Internet) -> None:
    def check(result: Result) -> None:
        assert_flooded(result)
        # What one address can put into the queue is half of its five seconds.
        assert_newcomers_get_in(result, within=4)

    internet.attack("flood", check, seconds=4, rate=10 * RATE, addresses=1)


def test_one_address_hoards_connections(internet: Internet) -> None:
    def check(result: Result) -> None:
        # All that it may have, and not one more.
        assert set(result.facts["held"]) == {CONNECTIONS}
        assert set(result.seen) <= {"101", "429", "503"}
        assert result.seen["429"] > 0
        assert_newcomers_get_in(result, within=4)

    # After five seconds of quiet it may make 50 handshakes at once, and then 10 a second.
    internet.attack("hoard", check, seconds=7, rate=80)


def test_connections_that_say_nothing(fleet: Fleet, internet: Internet) -> None:
    """One address opens more than nginx has room for, and others still get in."""

    def check(result: Result) -> None:
        # Those that give way make room for those that come.
        assert result.seen["silent: closed"] > CLIENTS
        assert not [what for what in result.seen if what.endswith("stayed")]
        assert len(result.facts["half of TLS"]) == len(result.facts["after TLS"]) == 50
        assert max(result.facts["half of TLS"] + result.facts["after TLS"]) < PATIENCE + 3
        assert_newcomers_get_in(result, within=2)

    room = slots(fleet["lb1"])
    internet.attack("silent", check, rounds=1, quiet=6, rate=3000, connections=room)


def test_slow_headers_bodies_and_readers(internet: Internet) -> None:
    def check(result: Result) -> None:
        for what in ("headers", "body"):
            assert result.facts[f"{what}: closed"][0] > 0
            assert max(result.facts[f"{what}: seconds"]) <= PATIENCE + 3
        # Nothing but the limit on connections is there against readers: all came, and cost nobody.
        assert result.facts["read: opened"] == [50]
        assert_newcomers_get_in(result, within=2)

    internet.attack("slow", check, rounds=1, quiet=6, seconds=18)


def test_headers_that_are_too_large(internet: Internet) -> None:
    def check(result: Result) -> None:
        assert min(result.facts["rate"]) > 50
        assert set(result.seen) <= {"400", "414", "closed"}
        assert_newcomers_get_in(result, within=2)

    internet.attack("oversized", check, rounds=2, quiet=3, seconds=3, rate=100)


def test_bytes_that_are_garbage(internet: Internet) -> None:
    def check(result: Result) -> None:
        assert min(result.facts["rate"]) > 50
        # 1002: the application says that this is no frame.
        assert set(result.seen) <= {"400", "closed", "close 1002"}
        assert result.seen["close 1002"] > 0
        assert_newcomers_get_in(result, within=2)

    internet.attack("garbage", check, rounds=2, quiet=3, seconds=3, rate=100)


def test_handshakes_from_pages_of_others(internet: Internet) -> None:
    def check(result: Result) -> None:
        assert min(result.facts["rate"]) > 50
        assert set(result.seen) == {"403"}
        assert_newcomers_get_in(result, within=2)

    internet.attack("origin", check, rounds=2, quiet=3, seconds=3, rate=100)


def test_the_memory_is_what_it_was(fleet: Fleet, memory_before: dict[str, int]) -> None:
    after = measured(fleet)
    print(f"MiB before {memory_before}, after {after}")
    for name, before in memory_before.items():
        assert after[name] <= 1.5 * before
