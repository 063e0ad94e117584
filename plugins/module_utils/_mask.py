# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take secrets out of what other programs said. Private to the collection."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["mask"]

# Ansible's own masking knows a whole argument, not the values in a JSON object.
HIDDEN = "****"


def mask(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` with asterisks in the place of each secret."""
    # The longest first: one may hold another.
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text
