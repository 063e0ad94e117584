# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics for Prometheus, where ``prometheus_client`` is installed.

They go to its default registry: metrics of the application's own are exposed with them, and those
that the library has for every process.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["COUNTERS", "GAUGES", "Render", "exporter"]

Render = Callable[[str], tuple[str, bytes]]
"""From an ``Accept`` header to a content type and a body."""

Status = Callable[[], Mapping[str, Any]]

PREFIX = "websockets_fleet_"

# What /status says, and what it is called here.
GAUGES = {
    "draining": ("draining", "Whether the process has been asked to stop."),
    "connections": ("connections", "Connections that are open."),
    "opening": ("connections_opening", "Connections whose handshake is not done."),
    "event_loop_lag_seconds": ("event_loop_lag_seconds", "How late the event loop runs."),
    "event_loop_lag_max_seconds": (
        "event_loop_lag_max_seconds",
        "How late the event loop has been at most in the last minute.",
    ),
}
COUNTERS = {
    "opened_total": ("connections_opened", "Connections that have been opened."),
    "messages_received_total": ("messages_received", "Messages from clients."),
    "messages_sent_total": ("messages_sent", "Messages to clients."),
    "bytes_received_total": ("received_bytes", "Bytes from clients, compressed."),
    "bytes_sent_total": ("sent_bytes", "Bytes to clients, compressed."),
}


class _Collector:
    """Reads the status of the process each time that Prometheus asks."""

    def __init__(self, core: Any, status: Status) -> None:
        self._core = core
        self._status = status

    def collect(self) -> Iterator[Any]:
        status = self._status()
        identity = {key: str(status[key]) for key in ("app", "release", "fingerprint")}
        # Prometheus has a label "instance" of its own.
        identity["process"] = str(status["instance"])
        yield self._core.InfoMetricFamily(
            PREFIX.rstrip("_"), "Which process this is.", value=identity
        )
        for key, (name, documentation) in GAUGES.items():
            yield self._core.GaugeMetricFamily(PREFIX + name, documentation, value=status[key])
        for key, (name, documentation) in COUNTERS.items():
            yield self._core.CounterMetricFamily(PREFIX + name, documentation, value=status[key])
        closed = self._core.CounterMetricFamily(
            PREFIX + "connections_closed", "Connections that have ended.", labels=["code"]
        )
        for code, number in status["closed_total"].items():
            closed.add_metric([code], number)
        yield closed


def exporter(status: Status) -> Render | None:
    """What renders the metrics of this process, or None where ``prometheus_client`` is missing."""
    try:
        client = importlib.import_module("prometheus_client")
        exposition = importlib.import_module("prometheus_client.exposition")
        core = importlib.import_module("prometheus_client.core")
    except ImportError:
        return None
    client.REGISTRY.register(_Collector(core, status))

    def render(accept: str) -> tuple[str, bytes]:
        encode, content_type = exposition.choose_encoder(accept)
        return content_type, encode(client.REGISTRY)

    return render
