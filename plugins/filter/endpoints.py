# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The upstream servers of a load balancer, from the inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: endpoints
short_description: The upstream servers of a load balancer, from the inventory
version_added: 0.1.0
description:
  - Says where the processes of the application servers take connections, as C(app_listen) of each
    has it. A host with a shared port is one entry whose weight is its number of processes; else
    every process is one.
positional: defaults, load_balancer
options:
  _input:
    description:
      - The variables of each application server. Facts C(network), and C(processor_nproc) where
        C(app_processes) is V(auto).
    type: list
    elements: dict
    required: true
  defaults:
    description: The values of C(app_name), C(app_listen), C(app_port) and C(app_processes) for
      servers that set none.
    type: dict
    required: true
  load_balancer:
    description: Inventory name of the load balancer.
    type: str
    required: true
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- ansible.builtin.debug:
    msg: >-
      {{ groups['app_servers'] | map('extract', hostvars)
         | websockets.fleet.endpoints({'app_listen': 'shared_port', 'app_port': 8765,
                                       'app_processes': 4}, inventory_hostname) }}
"""

RETURN = r"""
_value:
  description: The entries.
  type: list
  elements: dict
  sample:
    - address: 10.0.0.2:8765
      weight: 4
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.plugin_utils._endpoints import (
    endpoints as find,
)


def endpoints(
    servers: Iterable[Mapping[str, Any]], defaults: Mapping[str, Any], load_balancer: str
) -> list[dict[str, Any]]:
    """Return the entries; raise AnsibleFilterError where a server can't be reached."""
    found = list(servers)
    if isinstance(servers, Mapping) or not all(isinstance(server, Mapping) for server in found):
        raise AnsibleFilterError("endpoints takes a list with the variables of each server")
    try:
        return find(found, defaults, load_balancer)
    except ValueError as error:
        raise AnsibleFilterError(f"endpoints: {error}") from error
    except KeyError as error:
        raise AnsibleFilterError(f"endpoints: no server and no default sets {error}") from error


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"endpoints": endpoints}
