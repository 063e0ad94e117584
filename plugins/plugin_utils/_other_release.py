# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a host that runs another release than the inventory asks for. Private."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["other_release"]


def _words(release: str, version: str) -> str:
    return f"{release} ({version})" if version else release


def other_release(found: Mapping[str, Any], label: str, *, check: bool) -> tuple[str, bool]:
    """Return a line from the release module's result, and whether it is a warning.

    Empty where the host runs what it should, or nothing yet. ``label`` is the version of the
    release that the inventory asks for.
    """
    current, wanted, left = found["current"], found["release"], found["rolled_back"]
    if current in {"", wanted}:
        return "", False
    text = f"runs release {_words(current, found['current_version'])}"
    if left:
        text += f", rolled back from {left}"
    text += f"; the inventory asks for {_words(wanted, label)}"
    if left == wanted:
        text += f", which {'would be' if check else 'is'} deployed now"
    return text, left == wanted
