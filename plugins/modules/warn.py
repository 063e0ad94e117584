# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does all the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: warn
short_description: Print a warning that stands out
version_added: 0.1.0
description:
  - Prints a warning as Ansible prints its own, with the host's name before it, where C(debug)
    prints one more green line.
  - It runs on the controller only, needs no connection and changes nothing.
options:
  msg:
    description: What to warn of.
    type: str
    required: true
attributes:
  check_mode:
    description: Changes nothing, so it does the same in check mode.
    support: full
  diff_mode:
    description: Has nothing to show.
    support: none
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- name: Warn of the certificate's end
  websockets.fleet.warn:
    msg: the certificate for chat.example.com ends in 12 days
  when: days_left < 21
"""

RETURN = r"""
msg:
  description: What was warned of.
  returned: success
  type: str
  sample: the certificate for chat.example.com ends in 12 days
"""
