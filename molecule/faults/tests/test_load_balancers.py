"""What clients see when nginx itself is restarted or reloaded, on one of two load balancers."""

from __future__ import annotations

import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from .conftest import MARGIN

if TYPE_CHECKING:
    from conftest import Fleet

    from .conftest import Load

# How long Debian's unit lets nginx end by itself.
QUIT_SECONDS = 5


@pytest.mark.parametrize(("name", "other"), [("lb1", "lb2"), ("lb2", "lb1")])
def test_nginx_is_restarted(fleet: Fleet, load: Load, name: str, other: str) -> None:
    with load:
        lost = Counter({at: n for at, n in load.places().items() if at.load_balancer == name})
        assert lost.total() > 10
        # Somebody has to be seen there before it is gone.
        load.arrives(lambda place: place.load_balancer == name)
        fleet[name].run("systemctl restart nginx")
        load.arrives(lambda place: place.load_balancer == name)
        load.until(load.well)
        began = min(cut.at for cut in load.cuts)
        through = [(shake.began, shake.place) for shake in load.handshakes if shake.place]
    # What nginx had not accepted yet when it stopped listening is reset: hardly any of 20 a second.
    assert len(load.failed()) <= 5, load.summary()
    assert all(error.startswith(f"{name}: ConnectionReset") for error in load.failed())
    # The other address of the name answers meanwhile.
    load.assert_in_time()
    there = sorted(at for at, place in through if place.load_balancer == name)
    gap = max(later - sooner for sooner, later in pairwise(there))
    assert QUIT_SECONDS - 1 < gap < QUIT_SECONDS + MARGIN
    meanwhile = {place.load_balancer for at, place in through if began - 3 < at < began - 0.5}
    assert meanwhile == {other}
    assert load.cut(1006) == lost
    assert len(load.cuts) == lost.total(), load.summary()


def test_nginx_is_reloaded(fleet: Fleet, load: Load) -> None:
    with load:
        for name in ("lb1", "lb2", "lb1"):
            fleet[name].run("systemctl reload nginx")
            time.sleep(1)
        time.sleep(2)
        load.until(load.well)
    load.assert_all_got_in()
    assert load.cuts == []
