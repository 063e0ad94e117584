# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd's notification protocol (sd_notify): one datagram of ``KEY=value`` lines."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

__all__ = ["Notifier", "watchdog_interval"]

logger = logging.getLogger("websockets_fleet")


class Notifier:
    """Tells the service manager about this process; silent where there is none.

    ``address`` is what ``NOTIFY_SOCKET`` holds: a path, or ``@name`` for an abstract socket.
    """

    def __init__(self, address: str | None) -> None:
        self._socket: socket.socket | None = None
        self._address = ""
        if address:
            self._address = "\0" + address[1:] if address.startswith("@") else address
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            # A service manager that is busy may hold this process up, but not for long.
            self._socket.settimeout(1)

    def send(self, *lines: str) -> None:
        """Send ``lines`` (``READY=1``, ``STATUS=...``) in one datagram.

        A failure is logged, never raised: serving matters more than saying so.
        """
        if self._socket is None:
            return
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            logger.warning("cannot notify the service manager: %s", error)

    def close(self) -> None:
        """Close the socket; later notifications go nowhere."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def watchdog_interval(environ: Mapping[str, str], pid: int | None = None) -> float | None:
    """Seconds between two ``WATCHDOG=1``: half of what systemd allows, or None without a watchdog.

    ``pid`` is this process's: the variables are inherited, and may be meant for a parent.
    """
    usec = environ.get("WATCHDOG_USEC", "")
    if not usec.isdecimal() or int(usec) == 0:
        return None
    if environ.get("WATCHDOG_PID", str(pid or os.getpid())) != str(pid or os.getpid()):
        return None
    return int(usec) / 2e6
