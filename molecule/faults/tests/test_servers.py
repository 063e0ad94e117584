"""What clients see when a server, or a process of one, fails: docs/front_door.md promises it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

from .conftest import MARGIN

if TYPE_CHECKING:
    from conftest import Fleet

    from .conftest import Load, Place

# As the scenario's inventory has them, or the roles' defaults.
CONNECT_SECONDS = 0.5
READ_SECONDS = 15
# Five times again, each after twice as long as before.
RETRIES_SECONDS = 13
WATCHDOG_SECONDS = 6
DRAIN_SECONDS = 3


@contextmanager
def powered_off(fleet: Fleet, name: str) -> Iterator[None]:
    """Nothing comes from a server any more, and when it is back it knows of no connection."""
    routes = [f"blackhole {fleet[one].address}/32" for one in ("lb1", "lb2")]
    fleet[name].run(" && ".join(f"ip route add {route}" for route in routes))
    try:
        fleet[name].run("systemctl kill --signal=KILL 'where@*'")
        yield
    finally:
        fleet[name].run(" && ".join(f"ip route del {route}" for route in routes))


def of(load: Load, server: str, *processes: int) -> Counter[Place]:
    """Count the clients that some processes of a server hold."""
    found = {
        place: number
        for place, number in load.places().items()
        if place.server == server and place.process in processes
    }
    assert sum(found.values()) > 10
    return Counter(found)


def test_the_power_of_a_server_goes_and_comes(fleet: Fleet, load: Load) -> None:
    with load:
        lost = of(load, "app2", 1, 2)
        with powered_off(fleet, "app2"):
            began = time.monotonic()
            load.until(lambda: len(load.cuts) == lost.total())
            load.until(load.well)
            end = time.monotonic()
        for talked, seconds in ((False, READ_SECONDS), (True, RETRIES_SECONDS)):
            ends = [cut.at - began for cut in load.cuts if cut.talked is talked]
            assert len(ends) > 10
            assert max(ends) < READ_SECONDS + MARGIN
            assert median(ends) < seconds + 2
        assert load.arrives(lambda place: place.server == "app2") < CONNECT_SECONDS + MARGIN
        time.sleep(CONNECT_SECONDS)
    load.assert_all_got_in(CONNECT_SECONDS + MARGIN)
    # The dead processes are tried first once they have the fewest connections, and cost this.
    meanwhile = [shake.seconds for shake in load.handshakes if began < shake.began < end]
    assert median(meanwhile) < 2 * CONNECT_SECONDS
    assert load.cut(1006) == lost
    assert len(load.cuts) == lost.total(), load.summary()


def test_a_process_stands_still(fleet: Fleet, load: Load) -> None:
    with load:
        lost = of(load, "app1", 1)
        fleet["app1"].run("systemctl kill --signal=STOP where@1")
        load.until(lambda: len(load.cuts) == lost.total())
        load.until(load.well)
    # Who came to it waited for the watchdog and was passed on.
    load.assert_all_got_in(WATCHDOG_SECONDS + MARGIN)
    assert load.longest() > 1, load.summary()
    assert load.cut(1006) == lost
    assert len(load.cuts) == lost.total(), load.summary()


def test_a_server_is_stopped(fleet: Fleet, load: Load) -> None:
    with load:
        lost = of(load, "app1", 1, 2)
        began = time.monotonic()
        fleet["app1"].run("systemctl stop 'where@*'")
        assert time.monotonic() - began < DRAIN_SECONDS + 2 * MARGIN
        # Connections are refused for some time.
        load.until(load.well)
        time.sleep(2)
        assert {place.server for place in load.places()} == {"app2"}
        fleet["app1"].run("systemctl start where@1 where@2")
        load.arrives(lambda place: place.server == "app1")
    load.assert_all_got_in()
    assert load.cut(1001) == lost
    assert len(load.cuts) == lost.total(), load.summary()


def test_the_processes_of_a_server_are_killed(fleet: Fleet, load: Load) -> None:
    with load:
        lost = of(load, "app2", 1, 2)
        fleet["app2"].run("systemctl kill --signal=KILL 'where@*'")
        load.until(lambda: len(load.cuts) == lost.total())
        load.until(load.well)
        load.arrives(lambda place: place.server == "app2")
    load.assert_all_got_in()
    assert load.cut(1006) == lost
    assert len(load.cuts) == lost.total(), load.summary()
