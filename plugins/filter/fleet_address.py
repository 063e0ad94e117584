# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The address that other hosts of the fleet reach a host by."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_address
short_description: The address that other hosts of the fleet reach a host by
version_added: 0.1.0
description:
  - The address of the interface with the default route, else the host's first address; IPv4 before
    IPv6.
options:
  _input:
    description: The facts of the host, with the subset C(network).
    type: dict
    required: true
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- ansible.builtin.debug:
    msg: "{{ ansible_facts | websockets.fleet.fleet_address }}"
"""

RETURN = r"""
_value:
  description: The address.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.plugin_utils._endpoints import (
    fleet_address as find,
)


def fleet_address(facts: object) -> str:
    """Return the address; raise AnsibleFilterError where the facts hold none."""
    if not isinstance(facts, Mapping):
        raise AnsibleFilterError(f"fleet_address takes the facts, not {type(facts).__name__}")
    try:
        return find(facts)
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"fleet_address": fleet_address}
