# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Subnets: each lab its own, never one that is in use."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from fleet_lab.network import POOL, address, choose_subnet, gateway
from fleet_lab.system import LabError

FREE = choose_subnet("0000000a", [])


def test_a_lab_has_the_same_subnet_every_time() -> None:
    assert choose_subnet("0000000a", []) == FREE
    assert FREE.subnet_of(POOL)
    assert FREE.prefixlen == 24


def test_labs_begin_at_different_places() -> None:
    assert choose_subnet("0000000b", []) != FREE


@pytest.mark.parametrize(
    "taken",
    [FREE, FREE.supernet(2), next(FREE.subnets(4))],
    ids=["the same", "around it", "inside it"],
)
def test_a_subnet_in_use_is_passed_over(taken: IPv4Network) -> None:
    found = choose_subnet("0000000a", [taken])
    assert not found.overlaps(taken)
    assert found.subnet_of(POOL)


def test_the_search_goes_round() -> None:
    last = choose_subnet(f"{511:08x}", [])
    assert choose_subnet(f"{511:08x}", [last]) == next(POOL.subnets(new_prefix=24))


def test_a_full_pool_is_an_error() -> None:
    with pytest.raises(LabError, match="no free subnet"):
        choose_subnet("0000000a", [POOL])


def test_addresses() -> None:
    subnet = IPv4Network("198.18.7.0/24")
    assert gateway(subnet) == IPv4Address("198.18.7.1")
    assert [address(subnet, i) for i in (0, 1)] == [
        IPv4Address("198.18.7.11"),
        IPv4Address("198.18.7.12"),
    ]
