# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Join ports and ranges of ports as the kernel writes them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: port_ranges
short_description: Join ports and ranges of ports as the kernel writes them
version_added: 0.1.0
description:
  - Takes a list of ports and ranges and returns their union, sorted and with neighbours joined, in
    the form in which Linux reads and shows C(net.ipv4.ip_local_reserved_ports).
options:
  _input:
    description:
      - Each element is a port (V(8765)), a range (V(8765-8768)) or a text of several of these with
        commas between them; an empty text is nothing.
    type: list
    elements: raw
    required: true
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- name: Join what the host has with what the fleet needs
  ansible.builtin.debug:
    msg: "{{ ['22,9000-9001', 8765, '8766-8768'] | websockets.fleet.port_ranges }}"
    # 22,8765-8768,9000-9001
"""

RETURN = r"""
_value:
  description: The union, in the kernel's form; an empty text for no port.
  type: str
"""

import re
from collections.abc import Callable

from ansible.errors import AnsibleFilterError

_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


def _parse(item: object) -> list[tuple[int, int]]:
    if isinstance(item, bool) or not isinstance(item, int | str):
        raise AnsibleFilterError(f"port_ranges: {item!r} is neither a port nor a range of ports")
    ranges = []
    for part in str(item).replace(" ", "").split(","):
        if not part:
            continue
        found = _RANGE.fullmatch(part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 1 <= first <= last <= 65535:
            raise AnsibleFilterError(
                f"port_ranges: {part!r} is neither a port (1 to 65535) nor a range (8765-8768)"
            )
        ranges.append((first, last))
    return ranges


def port_ranges(items: list[int | str]) -> str:
    """Return the union of the ports and ranges, sorted and joined; raise for anything else."""
    if not isinstance(items, list):
        raise AnsibleFilterError(f"port_ranges: a list is needed, not {items!r}")
    joined: list[tuple[int, int]] = []
    for first, last in sorted(pair for item in items for pair in _parse(item)):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in joined)


class FilterModule:
    """The filter, as Ansible looks it up."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filter under its name."""
        return {"port_ranges": port_ranges}
