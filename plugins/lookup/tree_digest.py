# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digest of a folder on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tree_digest
short_description: Digest of a folder on the controller
version_added: 0.1.0
description:
  - Returns the SHA-256 of the names and contents of all files in a folder on the controller. The
    same content has the same digest, wherever and whenever it was written.
options:
  _terms:
    description: Folders, found as C(ansible.builtin.copy) finds its source.
    type: list
    elements: path
    required: true
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- name: Show the digest of the static files
  ansible.builtin.debug:
    msg: "{{ lookup('websockets.fleet.tree_digest', 'site') }}"
"""

RETURN = r"""
_raw:
  description: One digest a folder, in hexadecimal digits.
  type: list
  elements: str
"""

import hashlib
import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase


def tree_digest(folder: Path) -> str:
    """Return the SHA-256 of the names and contents of all files in ``folder``."""
    files = [
        Path(parent) / name
        for parent, _folders, names in os.walk(folder, followlinks=True)
        for name in names
    ]
    total = hashlib.sha256()
    for path in sorted(files):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        # Of fixed length, then the name, then what no name can hold: nothing is ambiguous.
        total.update(f"{content} {path.relative_to(folder).as_posix()}\0".encode())
    return total.hexdigest()


class LookupModule(LookupBase):
    """The lookup, as Ansible runs it."""

    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[str]:
        """Return one digest a folder."""
        self.set_options(var_options=variables, direct=kwargs)
        digests = []
        for term in terms:
            found = self.find_file_in_search_path(variables, "files", term, ignore_missing=True)
            if not found or not Path(found).is_dir():
                raise AnsibleLookupError(f"tree_digest: {term!r} is not a folder on the controller")
            digests.append(tree_digest(Path(found)))
        return digests
