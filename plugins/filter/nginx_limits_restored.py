# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo what nginx_limits_raised did to the text of nginx.conf."""

from __future__ import annotations

DOCUMENTATION = r"""
name: nginx_limits_restored
short_description: Undo what nginx_limits_raised did to the text of nginx.conf
version_added: 0.1.0
description:
  - Returns the main configuration as it was before P(websockets.fleet.nginx_limits_raised#filter).
    A text without its comments is returned as it is.
options:
  _input:
    description: Text of the main configuration.
    type: str
    required: true
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- name: Show the restored text
  ansible.builtin.debug:
    msg: "{{ main | websockets.fleet.nginx_limits_restored }}"
"""

RETURN = r"""
_value:
  description: Text of the main configuration without the raised limits.
  type: str
"""

from collections.abc import Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.plugin_utils._nginx_limits import restore_limits


def nginx_limits_restored(text: str) -> str:
    """Return the main configuration as it was before the limits were raised."""
    if not isinstance(text, str):
        raise AnsibleFilterError(f"nginx_limits_restored: a text is needed, not {text!r}")
    return restore_limits(text)


class FilterModule:
    """The filter, as Ansible looks it up."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filter under its name."""
        return {"nginx_limits_restored": nginx_limits_restored}
