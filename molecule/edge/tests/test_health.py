"""What /healthz of a load balancer says to keepalived, to DNS or to a balancer in front of it."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fleet

LOAD_BALANCERS = ("lb1", "lb2")
SERVERS = ("app1", "app2")
UNITS = "echo@1.service echo@2.service"
# A load balancer waits so long for a server that does not answer,
TRIED_SECONDS = 1
# and asks it again after this.
LEFT_OUT_SECONDS = 2
# keepalived, HAProxy and the clouds give a health check five seconds or more.
PATIENCE = 5.0


def health(fleet: Fleet, load_balancer: str) -> tuple[int, float]:
    """Ask a load balancer how it is; return the status and the seconds it took."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    address = fleet[load_balancer].address
    began = time.monotonic()
    # By address, as such checks do.
    connection = http.client.HTTPSConnection(address, 443, timeout=30, context=context)
    connection.request("GET", "/healthz")
    status = connection.getresponse().status
    connection.close()
    return status, time.monotonic() - began


@contextmanager
def vanished(fleet: Fleet, server: str) -> Iterator[None]:
    """What the load balancers send to a server is never answered, as if its power was off."""
    routes = [f"blackhole {fleet[name].address}/32" for name in LOAD_BALANCERS]
    for route in routes:
        fleet[server].run(f"ip route add {route}")
    try:
        yield
    finally:
        for route in routes:
            fleet[server].run(f"ip route del {route}")


@contextmanager
def stopped(fleet: Fleet, server: str) -> Iterator[None]:
    """Nobody listens on a server: connections are refused."""
    fleet[server].run(f"systemctl stop {UNITS}")
    try:
        yield
    finally:
        fleet[server].run(f"systemctl start {UNITS}")


@contextmanager
def frozen(fleet: Fleet, server: str) -> Iterator[None]:
    """The processes of a server stand still: the kernel takes connections, nobody answers."""
    fleet[server].run(f"systemctl kill --signal=STOP {UNITS}")
    try:
        yield
    finally:
        fleet[server].run(f"systemctl kill --signal=CONT {UNITS}")


FAULTS: dict[str, Callable[[Fleet, str], AbstractContextManager[None]]] = {
    "vanished": vanished,
    "stopped": stopped,
    "frozen": frozen,
}


@pytest.mark.parametrize("load_balancer", LOAD_BALANCERS)
def test_a_load_balancer_is_well_when_its_servers_are(fleet: Fleet, load_balancer: str) -> None:
    answers = [health(fleet, load_balancer) for _ in range(3)]
    assert {status for status, _seconds in answers} == {200}
    assert min(seconds for _status, seconds in answers) < 1


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("server", SERVERS)
def test_one_server_that_is_well_is_enough(fleet: Fleet, server: str, fault: str) -> None:
    # Of the test before.
    time.sleep(LEFT_OUT_SECONDS + 1)
    with FAULTS[fault](fleet, server):
        for load_balancer in LOAD_BALANCERS:
            answers = [health(fleet, load_balancer) for _ in range(10)]
            assert {status for status, _seconds in answers} == {200}
            assert max(seconds for _status, seconds in answers) < PATIENCE
            # The first one finds out, the others know, until it is time to look again. Were none
            # left out, it would be every second one.
            slow = sum(seconds > 0.9 * TRIED_SECONDS for _status, seconds in answers)
            total = sum(seconds for _status, seconds in answers)
            assert slow <= 1 + int(total / LEFT_OUT_SECONDS), answers


@pytest.mark.parametrize("fault", FAULTS)
def test_without_any_it_says_so_in_time_and_comes_back(fleet: Fleet, fault: str) -> None:
    with ExitStack() as faults:
        for server in SERVERS:
            faults.enter_context(FAULTS[fault](fleet, server))
        for load_balancer in LOAD_BALANCERS:
            for _number in range(3):
                status, seconds = health(fleet, load_balancer)
                assert status in (502, 503, 504)
                assert seconds < PATIENCE
    deadline = time.monotonic() + 10
    for load_balancer in LOAD_BALANCERS:
        while health(fleet, load_balancer)[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.5)
