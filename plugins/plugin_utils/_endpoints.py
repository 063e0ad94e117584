# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the processes of the application servers take connections. Private."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["endpoints", "fleet_address"]


def fleet_address(facts: Mapping[str, Any]) -> str:
    """Return the address that other hosts of the fleet reach a host by.

    That of the interface with the default route, else the host's first; IPv4 before IPv6.
    Raises ValueError where the facts hold none.
    """
    for family in ("ipv4", "ipv6"):
        default = facts.get(f"default_{family}") or {}
        if default.get("address"):
            return str(default["address"])
        addresses = facts.get(f"all_{family}_addresses") or []
        if addresses:
            return str(addresses[0])
    raise ValueError("the facts hold no address: gather the subset network, or set app_bind")


def _join(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def endpoints(
    servers: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any], load_balancer: str
) -> list[dict[str, Any]]:
    """Return the upstream servers as the load balancer named ``load_balancer`` sees them.

    ``servers`` holds the variables of each application server, ``defaults`` those of the role app.
    An entry stands for a host (its weight is the number of processes) or for a process.
    Raises ValueError where a server listens on unix sockets or on loopback only and is not the
    load balancer itself.
    """
    found = []
    for server in servers:

        def value(name: str, server: Mapping[str, Any] = server) -> Any:
            return server[name] if name in server else defaults[name]

        facts = server.get("ansible_facts") or {}
        processes = value("app_processes")
        host = server["inventory_hostname"]
        if processes == "auto" and "processor_nproc" not in facts:
            raise ValueError(
                f"the facts of {host} hold no processor_nproc: gather the subset hardware, or set"
                " app_processes"
            )
        count = int(facts["processor_nproc"] if processes == "auto" else processes)
        indices = range(1, count + 1)
        listen, port = value("app_listen"), int(value("app_port"))
        if listen == "unix_socket":
            if host != load_balancer:
                raise ValueError(
                    f"app_listen is unix_socket on {host}, and {load_balancer} can't reach its"
                    " sockets: every server must then be its own and only load balancer"
                )
            found += [
                {"address": f"unix:/run/{value('app_name')}/{index}.sock", "weight": 1}
                for index in indices
            ]
            continue
        address = str(server.get("app_bind", "0.0.0.0"))  # noqa: S104
        try:
            if ipaddress.ip_address(address).is_unspecified:
                address = fleet_address(facts)
        except ValueError as error:
            raise ValueError(f"{host}: {error}") from error
        if host != load_balancer and ipaddress.ip_address(address).is_loopback:
            raise ValueError(
                f"app_bind is {address} on {host}, and {load_balancer} can't reach it there"
            )
        if listen == "shared_port":
            found.append({"address": _join(address, port), "weight": count})
        else:
            found += [{"address": _join(address, port + index), "weight": 1} for index in indices]
    return found
