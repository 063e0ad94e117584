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
    print(f"newcomers: {came}")
    assert len(came) >= 3
    assert {status for _seconds, status in came} == {"101"}
    assert max(seconds for seconds, _status in came) < within


def test_a_flood_of_handshakes_from_everywhere(internet: Internet) -> None:
    result = internet.attack("flood", seconds=4, rate=10 * RATE, addresses=40)
    result.assert_nobody_else_notices()
    # The servers got no more than the cap, and ten times the cap was really asked for.
    assert max(result.facts["accepted"]) <= 1.05 * RATE
    assert median(result.facts["rate"]) > 9 * RATE
    assert set(result.seen) <= {"101", "503"}
    assert result.seen["503"] > result.seen["101"]


def test_a_flood_of_handshakes_from_one_address(internet: Internet) -> None:
    result = internet.attack("flood", seconds=4, rate=10 * RATE, addresses=1)
    result.assert_nobody_else_notices()
    assert max(result.facts["accepted"]) <= 1.05 * RATE
    assert median(result.facts["rate"]) > 9 * RATE
    assert set(result.seen) <= {"101", "503"}
    # What one address can put into the queue is half of its five seconds.
    assert_newcomers_get_in(result, within=4)


def test_one_address_hoards_connections(internet: Internet) -> None:
    result = internet.attack("hoard", seconds=5, rate=80)
    result.assert_nobody_else_notices()
    # All that it may have, and not one more.
    assert set(result.facts["held"]) == {CONNECTIONS}
    assert set(result.seen) <= {"101", "429", "503"}
    assert result.seen["429"] > 0
    assert_newcomers_get_in(result, within=4)


def test_connections_that_say_nothing(fleet: Fleet, internet: Internet) -> None:
    """One address opens more than nginx has room for, and others still get in."""
    room = slots(fleet["lb1"])
    if room > 16000:
        pytest.skip("more connections than one host can open: this machine has many CPUs")
    result = internet.attack("silent", rounds=1, quiet=6, rate=3000, connections=room)
    result.assert_nobody_else_notices()
    # Those that give way make room for those that come.
    assert result.seen["silent: closed"] > CLIENTS
    assert not [what for what in result.seen if what.endswith("stayed")]
    assert len(result.facts["half of TLS"]) == len(result.facts["after TLS"]) == 50
    assert max(result.facts["half of TLS"] + result.facts["after TLS"]) < PATIENCE + 1
    assert_newcomers_get_in(result, within=2)


def test_slow_headers_bodies_and_readers(internet: Internet) -> None:
    result = internet.attack("slow", rounds=1, quiet=6, seconds=18)
    result.assert_nobody_else_notices()
    for what in ("headers", "body"):
        assert result.facts[f"{what}: closed"][0] > 0
        assert max(result.facts[f"{what}: seconds"]) <= PATIENCE + 2
    assert_newcomers_get_in(result, within=2)


def test_headers_that_are_too_large(internet: Internet) -> None:
    result = internet.attack("oversized", quiet=3, seconds=3, rate=100)
    result.assert_nobody_else_notices()
    assert min(result.facts["rate"]) > 50
    assert set(result.seen) <= {"400", "414", "closed"}
    assert_newcomers_get_in(result, within=2)


def test_bytes_that_are_garbage(internet: Internet) -> None:
    result = internet.attack("garbage", quiet=3, seconds=3, rate=100)
    result.assert_nobody_else_notices()
    assert min(result.facts["rate"]) > 50
    # 1002: the application says that this is no frame.
    assert set(result.seen) <= {"400", "closed", "close 1002"}
    assert result.seen["close 1002"] > 0
    assert_newcomers_get_in(result, within=2)


def test_handshakes_from_pages_of_others(internet: Internet) -> None:
    result = internet.attack("origin", quiet=3, seconds=3, rate=100)
    result.assert_nobody_else_notices()
    assert min(result.facts["rate"]) > 50
    assert set(result.seen) == {"403"}
    assert_newcomers_get_in(result, within=2)


def test_the_memory_is_what_it_was(fleet: Fleet, memory_before: dict[str, int]) -> None:
    after = measured(fleet)
    print(f"MiB before {memory_before}, after {after}")
    for name, before in memory_before.items():
        assert after[name] <= 1.5 * before
