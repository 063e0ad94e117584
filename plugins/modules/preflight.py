#!/usr/bin/python
# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check, without changing anything, that an application can live on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check that an application can live on a host
version_added: 0.1.0
description:
  - Looks for everything on a host that would stop the installation of an application half-way,
    and reports all of it at once. Changes nothing.
  - Checks that systemd runs the host, that the name is free or the collection's own, that the
    interpreter runs and is new enough, and that nothing else listens on the ports.
options:
  name:
    description: Name of the application.
    type: str
    required: true
  python:
    description: Absolute path of the interpreter for the application.
    type: path
    required: true
  system_python:
    description: The interpreter whose venv package the role installs by itself.
    type: path
    default: /usr/bin/python3
  bind:
    description: IP address to listen on. Not needed without O(ports).
    type: str
    default: ''
  ports:
    description: TCP ports to listen on.
    type: list
    elements: int
    default: []
attributes:
  check_mode:
    description: Runs as always, since it changes nothing.
    support: full
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- name: See whether chat can be installed
  websockets.fleet.preflight:
    name: chat
    python: /usr/bin/python3
    bind: 10.0.0.2
    ports: [8765]
"""

RETURN = r"""
python_version:
  description: Version of the interpreter.
  returned: success
  type: str
  sample: 3.11.2
faults:
  description: Every reason why the application can't be installed.
  returned: failure
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.websockets.fleet.plugins.module_utils._preflight import examine


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "python": {"type": "path", "required": True},
            "system_python": {"type": "path", "default": "/usr/bin/python3"},
            "bind": {"type": "str", "default": ""},
            "ports": {"type": "list", "elements": "int", "default": []},
        },
        supports_check_mode=True,
    )
    facts, faults = examine(**module.params)
    if faults:
        module.fail_json(msg="; ".join(faults), faults=faults)
    module.exit_json(changed=False, **facts)


if __name__ == "__main__":
    main()
