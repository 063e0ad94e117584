# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults in the variables of the role app."""

from __future__ import annotations

DOCUMENTATION = r"""
name: app_faults
short_description: Faults in the variables of the role app
version_added: 0.1.0
positional: load_balancers, host
description:
  - Says what is wrong with the values of the variables of the role P(websockets.fleet.app#role),
    beyond what its argument spec can tell, all of it at once.
options:
  _input:
    description: The variables whose names start with C(app_), by name.
    type: dict
    required: true
  load_balancers:
    description: Inventory names of the load balancers that connect to the host.
    type: list
    elements: str
    default: []
  host:
    description: Inventory name of the host that the variables are for.
    type: str
    default: ""
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- ansible.builtin.debug:
    msg: "{{ {'app_name': 'Chat'} | websockets.fleet.app_faults }}"
"""

RETURN = r"""
_value:
  description: One sentence for each fault, with the variable, its value and what would be right.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.plugin_utils._app_faults import (
    app_faults as find,
)
from ansible_collections.websockets.fleet.plugins.plugin_utils._app_faults import (
    balancer_faults,
)


def app_faults(values: object, load_balancers: Sequence[str] = (), host: str = "") -> list[str]:
    """Return the faults; raise AnsibleFilterError for anything but a dictionary."""
    if not isinstance(values, Mapping):
        raise AnsibleFilterError(f"app_faults takes a dictionary, not {type(values).__name__}")
    return find(values) + balancer_faults(values, load_balancers, host)


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"app_faults": app_faults}
