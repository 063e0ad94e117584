#!/usr/bin/python
# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin wheelhouse."""

from __future__ import annotations

DOCUMENTATION = r"""
module: wheelhouse
short_description: Download the wheels that servers without an index need
version_added: 0.1.0
description:
  - Fills a folder on the controller with the wheels that M(websockets.fleet.release) installs, for
    every kind of Python that the servers have. Needs C(pip) in the Python that runs Ansible.
  - A second run changes nothing, unless an index has something newer that the requirements allow.
    Wheels that it downloaded before and that are no longer needed are removed. Others in the folder
    stay and are used, such as wheels that no index has.
  - A project folder or an sdist is asked for what it needs by its own build backend, on the
    controller.
options:
  path:
    description: The folder on the controller. It is made where it does not exist.
    type: path
    required: true
  servers:
    description:
      - What the interpreter of each server is, by the server's name in the inventory.
      - Each has C(implementation), such as V(cpython), C(libc), such as V(glibc 2.36), and
        C(markers), the values of environment markers.
    type: dict
    required: true
  source:
    description: As for M(websockets.fleet.release).
    type: path
    default: ''
  requirements:
    description: As for M(websockets.fleet.release).
    type: raw
    default: []
  pip_args:
    description: Further arguments of C(pip download). They show in outputs.
    type: list
    elements: str
    default: []
  pip_env:
    description: A JSON object, the environment of C(pip). It shows nowhere.
    type: str
  launcher:
    description: Whether the collection's launcher serves the application.
    type: bool
    default: true
  event_loop:
    description: Event loop of the launcher.
    type: str
    choices: [asyncio, uvloop]
    default: asyncio
attributes:
  action:
    description: Everything happens on the controller.
    support: full
  check_mode:
    description: Downloads and compares, and leaves the folder as it is.
    support: full
  diff_mode:
    description: Shows the names of wheels that are removed and added.
    support: full
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- name: Download the wheels
  websockets.fleet.wheelhouse:
    path: "{{ inventory_dir }}/wheels"
    source: "{{ inventory_dir }}/chat"
    requirements: [redis]
    servers:
      app1:
        implementation: cpython
        libc: glibc 2.36
        markers: {python_version: "3.11", python_full_version: 3.11.2, platform_machine: x86_64}
  run_once: true
"""

RETURN = r"""
added:
  description: Names of the wheels that were added, or replaced.
  returned: success
  type: list
  elements: str
removed:
  description: Names of the wheels that were removed.
  returned: success
  type: list
  elements: str
"""
