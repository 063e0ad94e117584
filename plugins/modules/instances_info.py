#!/usr/bin/python
# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of an application on a host are doing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: instances_info
short_description: What the processes of an application on a host are doing
version_added: 0.1.0
description:
  - Asks systemd, the kernel and the processes themselves, in one remote execution. A process that
    should run, since a boot would start it, and does not is told of as well.
extends_documentation_fragment:
  - websockets.fleet.service
attributes:
  check_mode:
    description: Runs as always, since it changes nothing.
    support: full
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- name: See what chat does
  websockets.fleet.instances_info:
    name: chat
  register: chat
"""

RETURN = r"""
current:
  description: The release that a process that starts now would run; empty where there is none.
  returned: always
  type: str
processes:
  description: Every process. A value that can't be known is null.
  returned: always
  type: list
  elements: dict
  sample:
    - index: 1
      unit: chat@1.service
      state: active
      pid: 1204
      release: 5b0f3c1d9a2e
      fingerprint: 2f6c1b7a
      uptime_seconds: 3600
      restarts: 0
      connections: 812
      memory_bytes: 94371840
      file_limit: 65536
      healthy: true
      health: ok
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.websockets.fleet.plugins.module_utils._instances import (
    SERVICE_ARGUMENTS,
    Systemd,
    SystemdError,
    describe,
    observe,
    service_from,
)
from ansible_collections.websockets.fleet.plugins.module_utils._release import current


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=SERVICE_ARGUMENTS,
        supports_check_mode=True,
    )
    service = service_from(
        module.params,
        count=0,
        release="",
        fingerprint="",
        start_seconds=0.0,
    )
    try:
        found = observe(service, Systemd())
    except (SystemdError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        current=current(service.name),
        processes=[describe(service, instance) for instance in found.values()],
    )


if __name__ == "__main__":
    main()
