# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A load balancer gets an entry for everything it can reach, and for nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.websockets.fleet.plugins.plugin_utils._endpoints import (
    endpoints,
    fleet_address,
)

DEFAULTS = {
    "app_name": "chat",
    "app_listen": "shared_port",
    "app_port": 8765,
    "app_processes": "auto",
}


def server(name: str, address: str = "10.0.0.2", **variables: Any) -> dict[str, Any]:
    facts = {"default_ipv4": {"address": address}, "processor_nproc": 4}
    return {"inventory_hostname": name, "ansible_facts": facts, **variables}


def pairs(*servers: dict[str, Any], load_balancer: str = "lb1", **defaults: Any) -> list[Any]:
    found = endpoints(servers, DEFAULTS | defaults, load_balancer)
    assert all(entry.keys() == {"address", "weight"} for entry in found)
    return [(entry["address"], entry["weight"]) for entry in found]


def test_a_host_with_a_shared_port_weighs_its_processes() -> None:
    assert pairs(server("a"), server("b", "10.0.0.3", app_processes="2")) == [
        ("10.0.0.2:8765", 4),
        ("10.0.0.3:8765", 2),
    ]


def test_each_process_with_a_port_of_its_own_is_an_entry() -> None:
    assert pairs(server("a", app_port="9000"), app_listen="port_per_process", app_processes=2) == [
        ("10.0.0.2:9001", 1),
        ("10.0.0.2:9002", 1),
    ]


def test_sockets_are_for_a_load_balancer_on_the_host_itself() -> None:
    one = server("lb1", app_listen="unix_socket", app_processes=2)
    assert pairs(one) == [("unix:/run/chat/1.sock", 1), ("unix:/run/chat/2.sock", 1)]
    with pytest.raises(ValueError, match=r"unix_socket on lb1, and lb2 can't reach its sockets"):
        pairs(one, load_balancer="lb2")


@pytest.mark.parametrize(
    ("bind", "address"),
    [
        ("10.9.9.9", "10.9.9.9:8765"),
        ("0.0.0.0", "10.0.0.2:8765"),
        ("::", "10.0.0.2:8765"),
        ("fd00::2", "[fd00::2]:8765"),
    ],
)
def test_an_address_is_one_that_can_be_reached(bind: str, address: str) -> None:
    assert pairs(server("a", app_bind=bind)) == [(address, 4)]


def test_an_address_that_can_not_be_reached_is_refused() -> None:
    one = server("a", app_bind="127.0.0.1")
    assert pairs(one, load_balancer="a") == [("127.0.0.1:8765", 4)]
    with pytest.raises(ValueError, match=r"app_bind is 127\.0\.0\.1 on a, and lb1 can't reach it"):
        pairs(one)
    with pytest.raises(ValueError, match="a: 'server' does not appear to be an IP"):
        pairs(server("a", app_bind="server"))


def test_a_server_without_facts_is_named() -> None:
    with pytest.raises(ValueError, match="the facts of a hold no processor_nproc"):
        pairs({"inventory_hostname": "a"})
    with pytest.raises(ValueError, match="a: the facts hold no address"):
        pairs({"inventory_hostname": "a", "app_processes": 2})
    # Nothing of it is needed where the inventory says all.
    known = {"inventory_hostname": "a", "app_processes": 2, "app_bind": "10.0.0.9"}
    assert pairs(known) == [("10.0.0.9:8765", 2)]


@pytest.mark.parametrize(
    ("facts", "address"),
    [
        ({"default_ipv4": {"address": "10.0.0.2"}, "all_ipv4_addresses": ["10.1.1.1"]}, "10.0.0.2"),
        ({"default_ipv4": {}, "all_ipv4_addresses": ["10.1.1.1", "10.2.2.2"]}, "10.1.1.1"),
        ({"default_ipv6": {"address": "fd00::2"}, "all_ipv4_addresses": ["10.1.1.1"]}, "10.1.1.1"),
        ({"default_ipv4": {}, "default_ipv6": {"address": "fd00::2"}}, "fd00::2"),
        ({"all_ipv4_addresses": [], "all_ipv6_addresses": ["fd00::3"]}, "fd00::3"),
    ],
)
def test_the_address_of_a_host(facts: dict[str, Any], address: str) -> None:
    assert fleet_address(facts) == address


def test_facts_without_an_address_are_refused() -> None:
    with pytest.raises(ValueError, match="gather the subset network, or set app_bind"):
        fleet_address({"default_ipv4": {}, "all_ipv4_addresses": []})
