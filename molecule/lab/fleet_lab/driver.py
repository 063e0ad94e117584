# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab asks of whatever runs its hosts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["Driver", "Place"]


@dataclass(frozen=True)
class Place:
    """Where one host lives on this machine.

    folder holds everything the host writes; machine is its name among all labs of the machine.
    """

    folder: Path
    machine: str
    bridge: str


class Driver(Protocol):
    """Starts, sees and stops hosts. Each call may follow a crash of the one before."""

    def missing(self, folder: Path) -> list[str]:
        """Say why this machine can't run hosts that write to folder; empty if it can."""

    def start(self, place: Place, image: Path, lock: int) -> None:
        """Start a stopped host; the lab's lock stays held until the host can be found again."""

    def running(self, place: Place) -> bool:
        """Say whether the host runs (booted or not)."""

    def stop(self, place: Place) -> None:
        """End every process of the host and wait for it; no harm to a host that is stopped."""

    def machines(self, prefix: str) -> list[str]:
        """Give the names of the machine's hosts that begin so and have processes or traces."""

    def log(self, place: Place) -> str:
        """Give the last of what the host wrote to its console."""
