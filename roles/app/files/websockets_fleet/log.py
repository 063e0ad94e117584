# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logging to standard output, in the form that journald reads, or as JSON.

``websockets`` logs frames, contents included, at DEBUG: nothing here ever sets its loggers to it.
"""

from __future__ import annotations

import datetime
import json
import logging
import re
import sys
from contextvars import ContextVar

from websockets.asyncio.server import ServerConnection

__all__ = ["JournalFormatter", "JsonFormatter", "connection", "set_up"]

connection: ContextVar[ServerConnection | None] = ContextVar("connection", default=None)
"""The connection that the running task serves; None outside of handlers."""

# What a proxy may have named the request, if it can't be taken for something else in a log.
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

# Levels of syslog(3), as sd-daemon(3) wants them before each line.
PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)


def _connection_id(record: logging.LogRecord) -> str:
    """The proxy's ``X-Request-ID`` for the connection that a record is about, or the library's."""
    try:
        # websockets hangs a weak reference to the connection on its records.
        about: ServerConnection | None = record.__dict__.get("websocket") or connection.get()
        if about is None:
            return ""
        given = about.request.headers.get_all("X-Request-ID") if about.request else []
        return given[0] if given and REQUEST_ID.fullmatch(given[0]) else str(about.id)
    except ReferenceError:
        return ""


class JournalFormatter(logging.Formatter):
    """``<priority>logger [connection]: message``, the priority before each line of it."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as one or more lines; a traceback's lines carry the priority too."""
        priority = next(value for level, value in PRIORITIES if record.levelno >= level)
        name = _connection_id(record)
        about = f"{record.name} [{name}]" if name else record.name
        lines = f"{about}: {super().format(record)}".splitlines()
        return "\n".join(f"<{priority}>{line}" for line in lines)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for collectors that don't come through journald."""

    def format(self, record: logging.LogRecord) -> str:
        """One record; ``connection`` and ``exception`` are there where the record has them."""
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        entry = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if name := _connection_id(record):
            entry["connection"] = name
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


FORMATTERS = {"journal": JournalFormatter, "json": JsonFormatter}


def set_up(level: str = "info", form: str = "journal") -> None:
    """Send everything at ``level`` and above to standard output, in the form asked for.

    Call it before the user's modules are imported: ``logging.basicConfig`` in them then does
    nothing.
    """
    stream = logging.StreamHandler(sys.stdout)
    stream.setFormatter(FORMATTERS[form]())
    logging.basicConfig(level=level.upper(), handlers=[stream], force=True)
    # One line for each connection and health check is what the load balancer's log is for.
    logging.getLogger("websockets").setLevel(max(logging.WARNING, logging.getLogger().level))
