# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others read about a lab: inventory, ssh's configuration, molecule's connection facts.

All of it is text made of the lab's record; nothing here looks at the machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from fleet_lab.images import USER
from fleet_lab.record import Record

__all__ = ["instance_config", "inventory", "known_hosts", "ssh_config"]


def inventory(record: Record, key: Path, known: Path) -> str:
    """Give an inventory that ansible-playbook can use as it is."""
    groups: dict[str, list[str]] = {}
    lines = ["---", "all:", "  hosts:"]
    for name, member in record.members.items():
        lines += [f"    {name}:", f"      ansible_host: {member.address}"]
        for group in member.host.groups:
            groups.setdefault(group, []).append(name)
    options = f'-o UserKnownHostsFile="{known}" -o IdentitiesOnly=yes'
    lines += [
        "  vars:",
        f"    ansible_user: {USER}",
        f"    ansible_ssh_private_key_file: {json.dumps(str(key))}",
        f"    ansible_ssh_common_args: {json.dumps(options)}",
        "    ansible_ssh_pipelining: true",
        "    ansible_python_interpreter: /usr/bin/python3",
    ]
    if groups:
        lines.append("  children:")
    for group, names in groups.items():
        lines += [f"    {group}:", "      hosts:", *(f"        {name}:" for name in names)]
    return "\n".join([*lines, ""])


def instance_config(record: Record, key: Path) -> str:
    """Give molecule's instance_config.yml."""
    lines = ["---"]
    for name, member in record.members.items():
        lines += [
            f"- instance: {name}",
            f"  address: {member.address}",
            f"  user: {USER}",
            "  port: 22",
            f"  identity_file: {json.dumps(str(key))}",
        ]
    return "\n".join([*lines, ""])


def known_hosts(record: Record, public_keys: Mapping[str, str]) -> str:
    """Give ssh's known_hosts, by name and by address."""
    return "".join(
        f"{name},{member.address} {public_keys[name].strip()}\n"
        for name, member in record.members.items()
    )


def ssh_config(record: Record, key: Path, known: Path) -> str:
    """Give a configuration for `ssh -F`: hosts by their names, and nothing is asked."""
    hosts = [
        f"Host {name}\n    HostName {member.address}\n" for name, member in record.members.items()
    ]
    return (
        "".join(hosts) + "Host *\n"
        f"    User {USER}\n"
        f'    IdentityFile "{key}"\n'
        "    IdentitiesOnly yes\n"
        f'    UserKnownHostsFile "{known}"\n'
        "    StrictHostKeyChecking yes\n"
        "    LogLevel ERROR\n"
        "    ConnectTimeout 10\n"
    )
