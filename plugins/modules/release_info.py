#!/usr/bin/python
# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The releases of an application on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_info
short_description: The releases of an application on a host
version_added: 0.1.0
description:
  - Lists what M(websockets.fleet.release) has built there and what is configured for the processes,
    in one remote execution.
options:
  name:
    description: Name of the application.
    type: str
    required: true
  check:
    description:
      - Identity of a release. Whether it would run with the configuration, the environment and the
        secrets that are on the host now is looked into. Its launcher does that as the application's
        account; nothing is started. RV(fault) has the answer.
    type: str
    default: ''
attributes:
  check_mode:
    description: Runs as always, since it changes nothing.
    support: full
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- name: See which releases of chat are there
  websockets.fleet.release_info:
    name: chat
  register: chat

- name: See whether the oldest one would run
  websockets.fleet.release_info:
    name: chat
    check: "{{ chat.releases[-1].release }}"
  register: oldest
"""

RETURN = r"""
releases:
  description:
    - Every whole release, the newest first.
    - C(rolled_back) is true of the release that a rollback left last.
    - C(inputs) is the same on all hosts for what was built from the same.
  returned: always
  type: list
  elements: dict
  sample:
    - release: 5b0f3c1d9a2e
      version: 1.4.2
      inputs: 8c1f0e77
      built: '2026-11-20T21:04:11Z'
      python: /usr/bin/python3
      current: true
      previous: false
      rolled_back: false
      in_use: true
fingerprint:
  description: The configuration that a process which starts now has; empty where there is none.
  returned: always
  type: str
processes:
  description: How many processes a boot starts.
  returned: always
  type: int
fault:
  description: Why the release of O(check) would not run. Empty where it would, or none is named.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.websockets.fleet.plugins.module_utils._release_info import (
    configuration,
    fault,
    releases,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "check": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    name, check = module.params["name"], module.params["check"]
    setup = configuration(name)
    module.exit_json(
        changed=False,
        releases=releases(name),
        fingerprint=setup.fingerprint,
        processes=setup.processes,
        fault=fault(name, check) if check else "",
    )


if __name__ == "__main__":
    main()
