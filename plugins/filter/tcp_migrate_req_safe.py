# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell whether a running kernel may have ``net.ipv4.tcp_migrate_req`` on."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tcp_migrate_req_safe
short_description: Tell whether a kernel may have net.ipv4.tcp_migrate_req on
version_added: 0.1.0
description:
  - With C(net.ipv4.tcp_migrate_req=1) a connection that waits on a listener which closes moves to
    another listener of the same port. Kernels without the fix for CVE-2026-46015 have a
    use-after-free there.
  - Says V(true) only for a version that is known to have the fix. A kernel whose upstream version
    can't be told (most vendors number their kernels their own way) is not safe.
positional: _input, version
options:
  _input:
    description: The release, as C(uname -r) or C(ansible_facts['kernel']) has it.
    type: str
    required: true
  version:
    description:
      - The version, as C(uname -v) or C(ansible_facts['kernel_version']) has it. Debian puts the
        upstream version there.
    type: str
    required: true
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- name: Say whether this host's kernel is safe
  ansible.builtin.debug:
    msg: >-
      {{ ansible_facts['kernel']
      | websockets.fleet.tcp_migrate_req_safe(ansible_facts['kernel_version']) }}
"""

RETURN = r"""
_value:
  description: Whether the kernel is known to be safe.
  type: bool
"""

import re
from collections.abc import Callable

from ansible.errors import AnsibleFilterError

# The first version of each maintained series that has the fix for CVE-2026-46015. Series between
# these ended before the fix.
FIXED = {
    (5, 15): 209,
    (6, 1): 175,
    (6, 6): 140,
    (6, 12): 86,
    (6, 18): 27,
    (7, 0): 4,
}
# Every later series was born with it; only its release candidates may be older.
FIRST_FIXED_SERIES = (7, 1)

_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
# "#1 SMP PREEMPT_DYNAMIC Debian 6.1.153-1 (2025-09-20)", where the release is "6.1.0-40-amd64".
_DEBIAN = re.compile(r"\bDebian (\d+\.\d+(?:\.\d+)?)[-~+]")


def tcp_migrate_req_safe(release: str, version: str) -> bool:
    """Return whether the kernel with this ``uname -r`` and ``uname -v`` is known to be safe."""
    for name, value in (("release", release), ("version", version)):
        if not isinstance(value, str):
            raise AnsibleFilterError(
                f"tcp_migrate_req_safe: the {name} is a {type(value).__name__}, not a string"
            )
    debian = _DEBIAN.search(version)
    found = _NUMBERS.match(debian.group(1) if debian else release)
    if found is None:
        return False
    major, minor, patch = (int(number or 0) for number in found.groups())
    series = (major, minor)
    if series >= FIRST_FIXED_SERIES:
        return series > FIRST_FIXED_SERIES or "-rc" not in release
    return series in FIXED and patch >= FIXED[series]


class FilterModule:
    """The filter, as Ansible looks it up."""

    def filters(self) -> dict[str, Callable[..., bool]]:
        """Return the filter under its name."""
        return {"tcp_migrate_req_safe": tcp_migrate_req_safe}
