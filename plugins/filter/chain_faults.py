# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a client from following a chain of certificates."""

from __future__ import annotations

DOCUMENTATION = r"""
name: chain_faults
short_description: What keeps a client from following a chain of certificates
version_added: 0.1.0
description:
  - Returns a list of faults, empty for a chain in which each certificate is signed by the one after
    it and none after the first is expired. Signatures are checked, not names alone.
  - A certificate alone, which is not its own issuer, lacks those in between.
options:
  _input:
    description: The chain, the server's certificate first (PEM).
    type: str
    required: true
  authority:
    description:
      - The certificates that clients verify against (PEM). The last one of the chain has to be one
        of them, or signed by one of them. Empty for the public authorities, which are not checked.
    type: str
    default: ''
requirements:
  - The Python package cryptography 40 or later, on the controller
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- ansible.builtin.debug:
    msg: "{{ lookup('ansible.builtin.file', 'fullchain.pem') | websockets.fleet.chain_faults }}"
"""

RETURN = r"""
_value:
  description: The faults.
  type: list
  elements: str
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.plugin_utils._chain_faults import (
    chain_faults as find,
)


def chain_faults(chain: object, authority: object = "") -> list[str]:
    """Return the faults; raise AnsibleFilterError for what is no certificate."""
    if not isinstance(chain, str) or not isinstance(authority, str):
        raise AnsibleFilterError("chain_faults takes texts (PEM)")
    try:
        return find(chain, authority, datetime.now(UTC))
    except ImportError as error:
        raise AnsibleFilterError(f"chain_faults needs cryptography: {error}") from error
    except ValueError as error:
        raise AnsibleFilterError(f"chain_faults: {error}") from error


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"chain_faults": chain_faults}
