# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the table that shows an application's processes. Private."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["process_rows"]

MINUTE, HOUR, DAY = 60, 3600, 86400


def _duration(seconds: int | None) -> str | None:
    """Return a time as its two largest units: ``3d 4h``, ``2h 5m``, ``1m 12s``, ``8s``."""
    if seconds is None:
        return None
    if seconds >= DAY:
        return f"{seconds // DAY}d {seconds % DAY // HOUR}h"
    if seconds >= HOUR:
        return f"{seconds // HOUR}h {seconds % HOUR // MINUTE}m"
    if seconds >= MINUTE:
        return f"{seconds // MINUTE}m {seconds % MINUTE}s"
    return f"{seconds}s"


def process_rows(hosts: Mapping[str, Mapping[str, Any] | None]) -> list[dict[str, Any]]:
    """Return a row a process, from what instances_info told of each host.

    A host that told nothing (``None`` or a result without processes) has a row that says so.
    """
    rows: list[dict[str, Any]] = []
    for host, info in hosts.items():
        if not info or "processes" not in info:
            words = (info or {}).get("msg") or "no answer"
            rows.append({"host": host, "health": str(words).splitlines()[0]})
            continue
        if not info["processes"]:
            rows.append({"host": host, "health": "no processes"})
        for process in info["processes"]:
            memory = process["memory_bytes"]
            row = {
                "host": host,
                "process": process["index"],
                "pid": process["pid"],
                "release": process["release"],
                "uptime": _duration(process["uptime_seconds"]),
                "restarts": process["restarts"],
                "connections": process["connections"],
                "memory": None if memory is None else f"{memory / 2**20:.1f} MiB",
                "health": process["health"],
            }
            rows.append({key: value for key, value in row.items() if value is not None})
    return rows
