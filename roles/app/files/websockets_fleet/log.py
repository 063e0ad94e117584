# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging to standard output, in the form that journald reads.

``websockets`` logs frames, contents included, at DEBUG: nothing here ever sets its loggers to it.
"""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar

__all__ = ["JournalFormatter", "connection_id", "set_up"]

connection_id: ContextVar[str] = ContextVar("connection_id", default="")
"""Id of the connection that the running task serves; empty outside of handlers."""

# Levels of syslog(3), as sd-daemon(3) wants them before each line.
PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)


def _connection(record: logging.LogRecord) -> str:
    if own := connection_id.get():
        return own
    try:
        # Set by websockets on records about a connection: a weak reference to it.
        return str(record.__dict__["websocket"].id)
    except (KeyError, ReferenceError):
        return ""


class JournalFormatter(logging.Formatter):
    """``<priority>logger [connection]: message``, the priority before each line of it."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as one or more lines; a traceback's lines carry the priority too."""
        priority = next(value for level, value in PRIORITIES if record.levelno >= level)
        connection = _connection(record)
        about = f"{record.name} [{connection}]" if connection else record.name
        lines = f"{about}: {super().format(record)}".splitlines()
        return "\n".join(f"<{priority}>{line}" for line in lines)


def set_up(level: int = logging.INFO) -> None:
    """Send everything at ``level`` and above to standard output.

    Call it before the user's modules are imported: ``logging.basicConfig`` in them then does
    nothing.
    """
    stream = logging.StreamHandler(sys.stdout)
    stream.setFormatter(JournalFormatter())
    logging.basicConfig(level=level, handlers=[stream], force=True)
    # One line for each connection and health check is what the load balancer's log is for.
    logging.getLogger("websockets").setLevel(max(level, logging.WARNING))
