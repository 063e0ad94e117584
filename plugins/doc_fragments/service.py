# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say how an application's processes are reached."""

from __future__ import annotations


class ModuleDocFragment:
    """Shared by the modules instances and instances_info."""

    DOCUMENTATION = r"""
options:
  name:
    description: Name of the application.
    type: str
    required: true
  launcher:
    description: Whether the collection's launcher runs in them. It tells its health by itself.
    type: bool
    default: true
  listen:
    description: How the processes listen.
    type: str
    choices: [shared_port, port_per_process, unix_socket]
    default: shared_port
  bind:
    description: IP address they listen on.
    type: str
    default: 127.0.0.1
  port:
    description: TCP port; with V(port_per_process) process i has this plus i.
    type: int
    default: 8765
  health_path:
    description: Path that a program is asked for. Empty for a connection only.
    type: str
    default: ''
  health_check:
    description:
      - How a program is asked. V(http), a C(GET) that gives a 2xx status; V(websocket), an opening
        handshake; V(tcp), a connection. The launcher has its admin socket for it.
    type: str
    choices: [http, websocket, tcp]
    default: http
"""
