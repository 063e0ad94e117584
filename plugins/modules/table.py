# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of this name, which does all the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: table
short_description: Print rows as an aligned text table
version_added: 0.1.0
description:
  - Prints a table that people can read, whatever the callback, where C(debug) prints JSON.
  - It runs on the controller only and needs no connection. Use C(run_once) where the rows are of
    the whole fleet.
  - The table is 120 characters wide at most, its widest columns are cut to fit. With more than
    twelve columns of 8 characters each it grows beyond.
options:
  title:
    description: A line above the table.
    type: str
    default: ''
  columns:
    description: The columns, from left to right.
    type: list
    elements: dict
    required: true
    suboptions:
      key:
        description: The key of this column's value in each row.
        type: str
        required: true
      title:
        description: What stands above the values.
        type: str
        required: true
      align:
        description: The side to which the values and the title are aligned.
        type: str
        choices: [left, right]
        default: left
  rows:
    description:
      - The rows, each a dictionary. Every key must be the one of a column.
      - A value is a text, a number, true or false. A missing, null or empty one shows as C(-).
    type: list
    elements: dict
    required: true
  empty:
    description: What stands in place of the table when there are no rows.
    type: str
    default: (none)
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
- name: Show the processes
  websockets.fleet.table:
    title: "chat: 3 processes on 2 hosts"
    columns:
      - {key: host, title: HOST}
      - {key: instance, title: PROCESS, align: right}
      - {key: health, title: HEALTH}
    rows:
      - {host: app1, instance: 1, health: ok}
      - {host: app1, instance: 2, health: draining}
      - {host: app2, instance: 1}
    empty: no process runs
  run_once: true
"""

RETURN = r"""
lines:
  description: The lines as they were printed.
  returned: success
  type: list
  elements: str
  sample: ["HOST  HEALTH", "----  ------", "app1  ok"]
"""
