# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the table that shows an application's processes."""

from __future__ import annotations

DOCUMENTATION = r"""
name: process_rows
short_description: Rows of the table that shows an application's processes
version_added: 0.1.0
description:
  - Makes the rows for M(websockets.fleet.table) from the results of
    M(websockets.fleet.instances_info).
options:
  _input:
    description: The result of each host, by the host's name. A result may be null.
    type: dict
    required: true
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- ansible.builtin.debug:
    msg: "{{ {'app1': status} | websockets.fleet.process_rows }}"
"""

RETURN = r"""
_value:
  description: A row a process, with C(host), C(process), C(pid), C(release), C(uptime),
    C(restarts), C(connections), C(memory) and C(health).
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.plugin_utils._process_rows import (
    process_rows as make,
)


def process_rows(hosts: object) -> list[dict[str, Any]]:
    """Return the rows; raise AnsibleFilterError for anything but a dictionary."""
    if not isinstance(hosts, Mapping):
        raise AnsibleFilterError(f"process_rows takes a dictionary, not {type(hosts).__name__}")
    return make(hosts)


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"process_rows": process_rows}
