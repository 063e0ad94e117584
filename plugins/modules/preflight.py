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
    interpreter runs and is new enough, that nothing else listens on the ports, and that the host
    has the CPUs.
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
  listen:
    description: How the processes listen.
    type: str
    choices: [shared_port, port_per_process, unix_socket]
    default: shared_port
  bind:
    description: IP address to listen on. Not needed for unix sockets.
    type: str
    default: ''
  port:
    description: TCP port; with V(port_per_process) process i has this plus i.
    type: int
    default: 8765
  processes:
    description: Number of processes, or V(auto) for one per CPU.
    type: str
    default: auto
  cpu_affinity:
    description: CPUs that the processes may use, such as V(0-3,5). Empty for all.
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
- name: See whether chat can be installed
  websockets.fleet.preflight:
    name: chat
    python: /usr/bin/python3
    bind: 10.0.0.2
    port: 8765
    processes: 4
"""

RETURN = r"""
name:
  description: Name of the application.
  returned: success
  type: str
python_version:
  description: Version of the interpreter.
  returned: success
  type: str
  sample: 3.11.2
venv:
  description: Whether the interpreter has the modules venv and ensurepip.
  returned: success
  type: bool
systemd_version:
  description: Version of systemd; 0 where there is none.
  returned: success
  type: int
  sample: 252
ansible_facts:
  description: The fact C(processor_nproc), the CPUs that a process of the host may use.
  returned: success
  type: dict
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
            "listen": {
                "type": "str",
                "choices": ["shared_port", "port_per_process", "unix_socket"],
                "default": "shared_port",
            },
            "bind": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 8765},
            "processes": {"type": "str", "default": "auto"},
            "cpu_affinity": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    facts, faults = examine(**module.params)
    if faults:
        module.fail_json(msg="; ".join(faults), faults=faults)
    cpus = facts.pop("cpus")
    module.exit_json(
        changed=False,
        name=module.params["name"],
        ansible_facts={"ansible_processor_nproc": cpus},
        **facts,
    )


if __name__ == "__main__":
    main()
