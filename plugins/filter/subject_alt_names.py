# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write host names and IP addresses as a certificate has them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: subject_alt_names
short_description: Write host names and IP addresses as a certificate has them
version_added: 0.1.0
description:
  - Returns the names with V(DNS:) or V(IP:) before them, each once, in their order. Host names are
    in small letters, IP addresses in their shortest form, as C(community.crypto) shows those of a
    certificate, so that the two can be compared.
options:
  _input:
    description: Host names, C(*.) before one stands for any one label, and IP addresses.
    type: list
    elements: str
    required: true
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- name: Show what a certificate for these would have
  ansible.builtin.debug:
    msg: "{{ ['chat.example.com', '192.0.2.1'] | websockets.fleet.subject_alt_names }}"
    # [DNS:chat.example.com, IP:192.0.2.1]
"""

RETURN = r"""
_value:
  description: The names as subject alternative names.
  type: list
  elements: str
"""

import ipaddress
import re
from collections.abc import Callable

from ansible.errors import AnsibleFilterError

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(\*\.)?({_LABEL}\.)*{_LABEL}")


def _subject_alt_name(name: object) -> str:
    if not isinstance(name, str):
        raise AnsibleFilterError(f"subject_alt_names: {name!r} is not a text")
    try:
        return f"IP:{ipaddress.ip_address(str(name))}"
    except ValueError:
        pass
    host = name.lower()
    # An address with a fault, such as 10.0.0.256, would pass as a name that no one can have.
    if len(host) > 253 or not _HOST.fullmatch(host) or host.rpartition(".")[2].isdigit():
        raise AnsibleFilterError(
            f"subject_alt_names: {name!r} is neither a host name nor an IP address"
        )
    return f"DNS:{host}"


def subject_alt_names(names: list[str]) -> list[str]:
    """Return the names as subject alternative names, each once; raise for what is no name."""
    if not isinstance(names, list):
        raise AnsibleFilterError(f"subject_alt_names: a list is needed, not {names!r}")
    return list(dict.fromkeys(_subject_alt_name(name) for name in names))


class FilterModule:
    """The filter, as Ansible looks it up."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filter under its name."""
        return {"subject_alt_names": subject_alt_names}
