# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release of an application is the current one, and how that changes. Private.

Three links beside the releases say it. ``current`` is what a process that starts runs, ``previous``
what was current before, and ``rolled_back`` the release that somebody went back from: while it
names another one than ``current``, the host has been rolled back. The moves below come in an order
that leaves every cut between two of them readable.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

from ansible_collections.websockets.fleet.plugins.module_utils._release import home

__all__ = ["Links", "Move", "back", "forward", "links", "make", "settle", "undo"]

# A link and the release that it names from now on; none, and the link goes.
Move = tuple[str, str]


class Links(NamedTuple):
    """The releases that the links name, each empty where there is no link."""

    current: str = ""
    previous: str = ""
    rolled_back: str = ""


def links(name: str) -> Links:
    """Return what the links of an application name."""
    found = {}
    for label in Links._fields:
        with contextlib.suppress(OSError):
            found[label] = (home(name) / label).readlink().name
    return Links(**found)


def forward(now: Links, release: str) -> list[Move]:
    """Return the moves that make a release the current one, as the inventory asks for it."""
    moves = []
    switches = now.current != release
    if switches and now.current not in {"", now.previous}:
        moves.append(("previous", now.current))
    # Before the switch: after it, the new release would look like one that was gone back to.
    if now.rolled_back and (switches or now.rolled_back == release):
        moves.append(("rolled_back", ""))
    if switches:
        moves.append(("current", release))
    return moves


def back(now: Links, release: str) -> list[Move]:
    """Return the moves that go back to a release."""
    if now.current == release:
        return [("rolled_back", "")] if now.rolled_back == release else []
    moves = []
    # First of all, so that the same rollback once more goes on, and not to and fro.
    if now.current not in {"", now.rolled_back}:
        moves.append(("rolled_back", now.current))
    return [*moves, ("current", release)]


def undo(now: Links) -> list[Move]:
    """Return the moves that take a going back itself back."""
    return [("current", now.rolled_back), ("rolled_back", "")]


def settle(now: Links) -> list[Move]:
    """Return what is left to do when a going back has come to its end."""
    if now.previous and now.rolled_back not in {"", now.current}:
        return [("previous", "")]
    return []


def make(name: str, moves: Sequence[Move]) -> bool:
    """Make the moves, each by one rename or removal; return whether there were any."""
    for label, release in moves:
        link = home(name) / label
        if release:
            staged = home(name) / f".{label}"
            staged.unlink(missing_ok=True)
            staged.symlink_to(f"releases/{release}")
            staged.rename(link)
        else:
            link.unlink(missing_ok=True)
    return bool(moves)
