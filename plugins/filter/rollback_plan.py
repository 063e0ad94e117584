# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each host of a fleet goes back to."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rollback_plan
short_description: Where each host of a fleet goes back to
version_added: 0.1.0
description:
  - Finds the release that each host goes back to, from the results of
    M(websockets.fleet.release_info).
  - A host that has been rolled back already stays, and so does one that a deploy which ended early
    has not come to.
positional: name
options:
  _input:
    description: The result of each host, by the host's name.
    type: dict
    required: true
  name:
    description:
      - Identity of a release on any of the hosts, or the label that it was built with, of which the
        newest is taken. Empty for the release before.
    type: str
    required: true
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- ansible.builtin.debug:
    msg: "{{ {'app1': releases} | websockets.fleet.rollback_plan('') }}"
"""

RETURN = r"""
_value:
  description: For each host C(release), the identity that it goes to, C(text), which says so, and
    C(fault), why it can't; empty where it can.
  type: dict
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict

from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.plugin_utils._rollback_plan import (
    rollback_plan as make,
)


def rollback_plan(hosts: object, name: object) -> dict[str, dict[str, str]]:
    """Return the plan; raise AnsibleFilterError for anything but the results and a name."""
    if not isinstance(hosts, Mapping) or not all(
        isinstance(info, Mapping) and "releases" in info for info in hosts.values()
    ):
        raise AnsibleFilterError("rollback_plan takes a result of release_info for each host")
    return {host: asdict(way) for host, way in make(hosts, str(name)).items()}


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filter by its name."""
        return {"rollback_plan": rollback_plan}
