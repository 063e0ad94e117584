# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raise and restore limits in an nginx.conf that is not ours. Private to the collection.

nginx takes ``worker_connections`` only once and only in the main file, so the line itself has to
change. The old value stays beside the new one, which is how ``restore_limits`` finds it.
"""

from __future__ import annotations

import re

__all__ = ["raise_limits", "restore_limits"]

MARK = "# websockets.fleet: "
_EVENTS = re.compile(r"^([ \t]*)events\s*\{[ \t]*(?:#.*)?\n", re.MULTILINE)


def _line(name: str) -> re.Pattern[str]:
    """Return what finds a line that sets ``name`` and nothing else, marked or not."""
    return re.compile(
        rf"^(?P<indent>[ \t]*){name}(?P<space>[ \t]+)(?P<value>\d+)[ \t]*;"
        rf"(?: {MARK}(?:was (?P<old>\d+)|added))?(?P<rest>[ \t]*(?:#.*)?)$",
        re.MULTILINE,
    )


def _raise(text: str, name: str, value: int) -> str | None:
    """Return the text with the line raised, ``None`` where there is no such line."""
    found = _line(name).search(text)
    if found is None:
        return None
    if int(found["value"]) >= value:
        return text
    mark = "added" if f" {MARK}added" in found[0] else f"was {found['old'] or found['value']}"
    line = f"{found['indent']}{name}{found['space']}{value}; {MARK}{mark}{found['rest']}"
    return text[: found.start()] + line + text[found.end() :]


def raise_limits(
    text: str,
    worker_connections: int,
    worker_rlimit_nofile: int,
    worker_shutdown_timeout: int = 0,
) -> str:
    """Return the main configuration with the limits at least as given; no timeout for 0.

    Raises ValueError where it has no ``events`` block over several lines, or sets a limit together
    with something else in a line.
    """
    events = _EVENTS.search(text)
    if events is None:
        raise ValueError("it has no 'events {' at the end of a line")

    raised = _raise(text, "worker_connections", worker_connections)
    if raised is None:
        if re.search(r"^[^#\n]*\bworker_connections\b", text, re.MULTILINE):
            raise ValueError("it sets worker_connections in a line with something else")
        added = f"{events[1]}    worker_connections {worker_connections}; {MARK}added\n"
        raised = text[: events.end()] + added + text[events.end() :]

    text = raised
    limits = {"worker_rlimit_nofile": worker_rlimit_nofile}
    if worker_shutdown_timeout:
        limits["worker_shutdown_timeout"] = worker_shutdown_timeout
    for name, value in limits.items():
        raised = _raise(text, name, value)
        if raised is None:
            if re.search(rf"^[^#\n]*\b{name}\b", text, re.MULTILINE):
                raise ValueError(f"it sets {name} in a line with something else, or with a unit")
            added = f"{name} {value}; {MARK}added\n"
            raised = text[: events.start()] + added + text[events.start() :]
        text = raised
    return text


def restore_limits(text: str) -> str:
    """Return the main configuration as it was before ``raise_limits``."""
    for name in ("worker_connections", "worker_rlimit_nofile", "worker_shutdown_timeout"):
        text = re.sub(rf"^[ \t]*{name}[ \t]+\d+; {MARK}added\n", "", text, flags=re.MULTILINE)
        text = re.sub(
            rf"^([ \t]*{name}[ \t]+)\d+; {MARK}was (\d+)", r"\g<1>\g<2>;", text, flags=re.MULTILINE
        )
    return text
