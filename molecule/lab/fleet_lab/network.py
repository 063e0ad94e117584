# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab's network: one bridge with one subnet, and one nftables table that lets it out.

Every name derives from the lab's identity, so a lab whose record is lost is still found.
What is shared by all labs of the machine (IPv4 forwarding) is kept in /run: it is gone after a
reboot, as the setting itself is.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from fleet_lab.spec import Identity
from fleet_lab.system import LabError, locked, run

__all__ = ["POOL", "address", "choose_subnet", "down", "exists", "gateway", "is_up", "up"]

# RFC 2544's range for tests between networks: no real network has it.
POOL = IPv4Network("198.18.0.0/15")
FIRST_HOST = 11

_MACHINE = Path("/run/websockets-fleet")
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_WAITING = "another lab changes the network: waiting for it"


def choose_subnet(digest: str, taken: Iterable[IPv4Network]) -> IPv4Network:
    """Give the first free /24 of the pool, from a place that derives from the lab's digest."""
    subnets = list(POOL.subnets(new_prefix=24))
    first = int(digest, 16) % len(subnets)
    used = list(taken)
    for subnet in subnets[first:] + subnets[:first]:
        if not any(subnet.overlaps(other) for other in used):
            return subnet
    raise LabError(f"no free subnet in {POOL}")


def gateway(subnet: IPv4Network) -> IPv4Address:
    return subnet[1]


def address(subnet: IPv4Network, index: int) -> IPv4Address:
    """Give the address of a lab's host by its index, from 0."""
    return subnet[FIRST_HOST + index]


def is_up(identity: Identity) -> IPv4Network | None:
    """Give the subnet of the lab's bridge, or None if bridge or address are missing."""
    if not Path("/sys/class/net", identity.bridge, "bridge").is_dir():
        return None
    for link in json.loads(run(["ip", "-j", "-4", "address", "show", "dev", identity.bridge])):
        for info in link.get("addr_info", []):
            return IPv4Network(f"{info['local']}/{info['prefixlen']}", strict=False)
    return None


def exists(identity: Identity) -> bool:
    return Path("/sys/class/net", identity.bridge).exists()


def up(identity: Identity, last: IPv4Network | None) -> IPv4Network:
    """Make bridge, subnet and table, as far as they are missing; prefer the last subnet."""
    with locked(_MACHINE, _WAITING):
        subnet = is_up(identity)
        if subnet is None:
            taken = _taken()
            free = last is not None and not any(last.overlaps(other) for other in taken)
            subnet = last if last and free else choose_subnet(identity.digest, taken)
            if not Path("/sys/class/net", identity.bridge).exists():
                # Of its own a bridge takes the lowest address of its ports, another one whenever a
                # host comes or goes: the other hosts would talk to the old one for a while.
                mac = ":".join(["02", "57", *re.findall("..", identity.digest)])
                run(["ip", "link", "add", identity.bridge, "address", mac, "type", "bridge"])
            run(["ip", "address", "add", f"{gateway(subnet)}/24", "dev", identity.bridge])
        run(["ip", "link", "set", identity.bridge, "up"])
        run(["nft", "-f", "-"], text=_rules(identity, subnet))
        _close_firewall(identity)
        if _forwards_nothing():
            _open_firewall(identity)
        _forward(identity)
    return subnet


def _taken() -> list[IPv4Network]:
    """Every IPv4 network that this machine has a route or an address in."""
    found: list[IPv4Network] = []
    for route in json.loads(run(["ip", "-j", "-4", "route", "show", "table", "all"])):
        with suppress(ValueError):  # "default" is no network
            found.append(IPv4Network(route["dst"], strict=False))
    return [network for network in found if network.prefixlen > 0]


def _rules(identity: Identity, subnet: IPv4Network) -> str:
    table, bridge = identity.table, identity.bridge
    return f"""
table ip {table} {{}}
delete table ip {table}
table ip {table} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    ip saddr {subnet} oifname != "{bridge}" masquerade
  }}
  chain forward {{
    # The way out may have smaller packets than the bridge.
    type filter hook forward priority mangle;
    iifname "{bridge}" tcp flags syn tcp option maxseg size set rt mtu
  }}
}}
"""


def _forwards_nothing() -> bool:
    """Say whether the machine's iptables drop what they do not know, as Docker's and ufw's do."""
    if shutil.which("iptables") is None:
        return False
    # nft looks without making iptables load its modules.
    tables = run(["nft", "list", "tables"]).splitlines()
    return "table ip filter" in tables and any(
        line == "-P FORWARD DROP" for line in run(["iptables", "-w", "-S", "FORWARD"]).splitlines()
    )


def _firewall_rules(identity: Identity) -> list[list[str]]:
    comment = ["-m", "comment", "--comment", identity.table, "-j", "ACCEPT"]
    return [["FORWARD", way, identity.bridge, *comment] for way in ("-i", "-o")]


def _open_firewall(identity: Identity) -> None:
    for rule in _firewall_rules(identity):
        run(["iptables", "-w", "-I", *rule])


def _close_firewall(identity: Identity) -> None:
    if shutil.which("iptables") is None or "table ip filter" not in run(["nft", "list", "tables"]):
        return
    for rule in _firewall_rules(identity):
        with suppress(LabError):  # there is none, or no more
            while True:
                run(["iptables", "-w", "-D", *rule])


def _forward(identity: Identity) -> None:
    """Turn IPv4 forwarding on, and remember what it was before the first lab."""
    before = _MACHINE / "ip_forward.before"
    users = _MACHINE / "labs"
    if not before.exists():
        before.write_text(_FORWARD.read_text())
    users.mkdir(exist_ok=True)
    (users / identity.digest).touch()
    if _FORWARD.read_text().strip() == "0":
        _FORWARD.write_text("1\n")


def down(identity: Identity) -> None:
    """Remove all of it; with the last lab, put IPv4 forwarding back to what it was."""
    with locked(_MACHINE, _WAITING):
        if f"table ip {identity.table}" in run(["nft", "list", "tables"]).splitlines():
            run(["nft", "delete", "table", "ip", identity.table])
        _close_firewall(identity)
        if Path("/sys/class/net", identity.bridge, "bridge").is_dir():
            run(["ip", "link", "delete", identity.bridge])
        users = _MACHINE / "labs"
        (users / identity.digest).unlink(missing_ok=True)
        if users.is_dir() and any(users.iterdir()):
            return
        before = _MACHINE / "ip_forward.before"
        if before.exists() and before.read_text() != _FORWARD.read_text():
            _FORWARD.write_text(before.read_text())
        before.unlink(missing_ok=True)
        if users.is_dir():
            users.rmdir()
        _MACHINE.rmdir()
