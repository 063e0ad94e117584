# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raise the limits of nginx's workers in the text of nginx.conf."""

from __future__ import annotations

DOCUMENTATION = r"""
name: nginx_limits_raised
short_description: Raise the limits of nginx's workers in the text of nginx.conf
version_added: 0.1.0
description:
  - Returns the main configuration with C(worker_connections) and C(worker_rlimit_nofile) at least
    as high as given, and C(worker_shutdown_timeout) where one is given. A higher value stays.
    Nothing else changes.
  - A changed line keeps the old value in a comment, from which the filter
    P(websockets.fleet.nginx_limits_restored#filter) restores it.
positional: _input, worker_connections, worker_rlimit_nofile, worker_shutdown_timeout
options:
  _input:
    description: Text of the main configuration.
    type: str
    required: true
  worker_connections:
    description: Connections a worker may have, both sides of a proxied one counted.
    type: int
    required: true
  worker_rlimit_nofile:
    description: Files a worker may have open.
    type: int
    required: true
  worker_shutdown_timeout:
    description: Seconds after which a worker that shuts down cuts its connections; V(0) for never.
    type: int
    default: 0
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- name: Show the raised limits
  ansible.builtin.debug:
    msg: "{{ main | websockets.fleet.nginx_limits_raised(16384, 17408) }}"
"""

RETURN = r"""
_value:
  description: Text of the main configuration with the limits raised.
  type: str
"""

from collections.abc import Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.plugin_utils._nginx_limits import raise_limits


def nginx_limits_raised(
    text: str,
    worker_connections: int,
    worker_rlimit_nofile: int,
    worker_shutdown_timeout: int = 0,
) -> str:
    """Return the main configuration with the limits at least as given."""
    if not isinstance(text, str):
        raise AnsibleFilterError(f"nginx_limits_raised: a text is needed, not {text!r}")
    try:
        return raise_limits(text, worker_connections, worker_rlimit_nofile, worker_shutdown_timeout)
    except ValueError as error:
        raise AnsibleFilterError(
            f"nginx.conf can't be edited safely: {error}. Set worker_connections,"
            " worker_rlimit_nofile and what else you need there yourself, and"
            " nginx_worker_connections to 0."
        ) from error


class FilterModule:
    """The filter, as Ansible looks it up."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filter under its name."""
        return {"nginx_limits_raised": nginx_limits_raised}
