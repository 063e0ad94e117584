# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host gets which address and image, and what is written down about it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
import yaml

from fleet_lab import facts
from fleet_lab.lab import place_hosts
from fleet_lab.record import Member, Record
from fleet_lab.spec import Host

SUBNET = IPv4Network("198.18.7.0/24")
APP1 = Host("app1", "debian12", ("app_servers",))
APP2 = Host("app2", "debian13", ("app_servers",))
BOX = Host("box", "debian13", ("app_servers", "load_balancers"))


@pytest.fixture
def roots(tmp_path: Path) -> dict[str, Path]:
    for name in ("debian12", "debian13", "older"):
        (tmp_path / name).mkdir()
    return {name: tmp_path / name for name in ("debian12", "debian13")}


def test_new_hosts_get_addresses_in_their_order(roots: dict[str, Path]) -> None:
    members = place_hosts([APP1, APP2], {}, SUBNET, roots)
    assert members == {
        "app1": Member(APP1, IPv4Address("198.18.7.11"), roots["debian12"]),
        "app2": Member(APP2, IPv4Address("198.18.7.12"), roots["debian13"]),
    }


def test_a_host_that_stays_keeps_address_and_image(roots: dict[str, Path]) -> None:
    old = Member(APP2, IPv4Address("198.18.7.12"), roots["debian13"].parent / "older")
    members = place_hosts([BOX, APP2], {"app2": old}, SUBNET, roots)
    assert members["app2"] == old
    assert members["box"].address == IPv4Address("198.18.7.11")


def test_other_groups_make_no_other_machine(roots: dict[str, Path]) -> None:
    old = Member(APP1, IPv4Address("198.18.7.11"), roots["debian12"])
    moved = replace(APP1, groups=("load_balancers",))
    new = place_hosts([moved], {"app1": old}, SUBNET, roots)["app1"]
    assert new.host == moved
    assert new.same_machine(old)


@pytest.mark.parametrize(
    "changed", [replace(APP1, image="debian13"), replace(APP1, internet=False)], ids=str
)
def test_another_image_or_network_makes_another_machine(
    changed: Host, roots: dict[str, Path]
) -> None:
    old = Member(APP1, IPv4Address("198.18.7.11"), roots["debian12"])
    assert not place_hosts([changed], {"app1": old}, SUBNET, roots)["app1"].same_machine(old)


def test_a_host_whose_image_is_gone_is_another_machine(roots: dict[str, Path]) -> None:
    old = Member(APP1, IPv4Address("198.18.7.11"), Path("/nowhere"))
    new = place_hosts([APP1], {"app1": old}, SUBNET, roots)["app1"]
    assert new.image == roots["debian12"]
    assert not new.same_machine(old)


@pytest.fixture
def record(roots: dict[str, Path]) -> Record:
    return Record(
        checkout=Path("/home/a/fleet"),
        name="default",
        subnet=SUBNET,
        variables=Path("/home/a/fleet/molecule/default/inventory"),
        members=place_hosts([APP1, BOX], {}, SUBNET, roots),
    )


def test_a_record_survives_being_written(record: Record) -> None:
    assert Record.from_json(record.as_json()) == record
    assert Record.from_json(Record(Path("/x"), "y").as_json()) == Record(Path("/x"), "y")


def test_the_inventory(record: Record) -> None:
    text = facts.inventory(record, Path("/lab/a key"), Path("/lab/known"))
    inventory = yaml.safe_load(text)["all"]
    assert inventory["hosts"] == {
        "app1": {"ansible_host": "198.18.7.11"},
        "box": {"ansible_host": "198.18.7.12"},
    }
    assert {name: list(group["hosts"]) for name, group in inventory["children"].items()} == {
        "app_servers": ["app1", "box"],
        "load_balancers": ["box"],
    }
    assert inventory["vars"]["ansible_user"] == "deploy"
    assert inventory["vars"]["ansible_ssh_private_key_file"] == "/lab/a key"


def test_the_connection_facts_of_molecule(record: Record) -> None:
    instances = yaml.safe_load(facts.instance_config(record, Path("/lab/key")))
    assert instances[0] == {
        "instance": "app1",
        "address": "198.18.7.11",
        "user": "deploy",
        "port": 22,
        "identity_file": "/lab/key",
    }
    assert [instance["instance"] for instance in instances] == ["app1", "box"]


def test_ssh_knows_every_host_by_name_and_address(record: Record) -> None:
    keys = {"app1": "ssh-ed25519 AAAA lab\n", "box": "ssh-ed25519 BBBB lab\n"}
    assert facts.known_hosts(record, keys).splitlines() == [
        "app1,198.18.7.11 ssh-ed25519 AAAA lab",
        "box,198.18.7.12 ssh-ed25519 BBBB lab",
    ]
    assert "Host box\n    HostName 198.18.7.12\n" in facts.ssh_config(
        record, Path("/k"), Path("/h")
    )
