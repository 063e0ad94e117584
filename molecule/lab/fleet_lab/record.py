# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written down about a lab, so that another run can go on with it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from fleet_lab.spec import Host

__all__ = ["Member", "Record", "Wanted"]


@dataclass(frozen=True)
class Member:
    """A host with what the lab gave it."""

    host: Host
    address: IPv4Address
    image: Path

    def same_machine(self, other: Member) -> bool:
        """Say whether a running host can go on as the other: groups are Ansible's only."""
        return replace(self, host=replace(self.host, groups=other.host.groups)) == other


@dataclass(frozen=True)
class Wanted:
    """What a lab shall be.

    variables is a folder with group_vars and host_vars; instance_config a file of molecule's.
    """

    hosts: tuple[Host, ...]
    variables: Path | None = None
    instance_config: Path | None = None


@dataclass(frozen=True)
class Record:
    """What a lab was last made to be."""

    checkout: Path
    name: str
    subnet: IPv4Network | None = None
    variables: Path | None = None
    instance_config: Path | None = None
    members: dict[str, Member] = field(default_factory=dict)

    def as_json(self) -> str:
        record = {
            "checkout": str(self.checkout),
            "name": self.name,
            "subnet": _text(self.subnet),
            "variables": _text(self.variables),
            "instance_config": _text(self.instance_config),
            "members": [
                {"host": m.host.as_record(), "address": str(m.address), "image": str(m.image)}
                for m in self.members.values()
            ],
        }
        return json.dumps(record, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Record:
        record = json.loads(text)
        members = [
            Member(Host.from_record(m["host"]), IPv4Address(m["address"]), Path(m["image"]))
            for m in record["members"]
        ]
        return cls(
            checkout=Path(record["checkout"]),
            name=record["name"],
            subnet=IPv4Network(record["subnet"]) if record["subnet"] else None,
            variables=Path(record["variables"]) if record["variables"] else None,
            instance_config=Path(record["instance_config"]) if record["instance_config"] else None,
            members={member.host.name: member for member in members},
        )


def _text(value: object | None) -> str | None:
    return None if value is None else str(value)
