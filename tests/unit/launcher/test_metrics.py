# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics for Prometheus."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

import websockets_fleet
from websockets_fleet import metrics
from websockets_fleet.application import Application
from websockets_fleet.config import parse
from websockets_fleet.server import Identity, Service

STATUS: dict[str, Any] = {
    "app": "chat",
    "instance": 3,
    "release": "r1",
    "fingerprint": "f1",
    "draining": True,
    "connections": 2,
    "opening": 1,
    "opened_total": 5,
    "closed_total": {"1000": 2, "1006": 1},
    "messages_received_total": 6,
    "messages_sent_total": 7,
    "bytes_received_total": 8,
    "bytes_sent_total": 9,
    "event_loop_lag_seconds": 0.25,
    "event_loop_lag_max_seconds": 0.5,
}

# In a process of its own: the registry is the process's.
PROGRAM = f"""
import prometheus_client
from websockets_fleet.metrics import exporter
prometheus_client.Counter("own", "The application's own.").inc()
content_type, body = exporter(lambda: {STATUS!r})("")
print(content_type, body.decode(), sep="\\n")
"""


def test_without_the_library_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    assert metrics.exporter(lambda: STATUS) is None


def test_every_number_of_the_status_has_a_metric() -> None:
    async def handler(_connection: ServerConnection) -> None: ...

    config = parse('handler = "a:b"\n[listen]\nmode = "unix_socket"\nruntime_directory = "/r"\n')
    service = Service(config, Identity("chat", 3, "r1", "f1"), Application(handler), {})
    # Those that describe the process come from the library: process_start_time_seconds and others.
    process = {"pid", "handler", "python", "websockets", "uptime_seconds", "memory_bytes"}
    assert set(service.status()) - process == set(STATUS)
    identity = {"app", "instance", "release", "fingerprint"}
    assert {*metrics.GAUGES, *metrics.COUNTERS, "closed_total"} == set(STATUS) - identity


def test_what_prometheus_gets() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(websockets_fleet.__file__).parents[1])},
    )
    content_type, *lines = done.stdout.splitlines()
    assert content_type.startswith("text/plain; version=")
    assert {line for line in lines if line.startswith("websockets_fleet")} == {
        'websockets_fleet_info{app="chat",fingerprint="f1",process="3",release="r1"} 1.0',
        "websockets_fleet_draining 1.0",
        "websockets_fleet_connections 2.0",
        "websockets_fleet_connections_opening 1.0",
        "websockets_fleet_connections_opened_total 5.0",
        'websockets_fleet_connections_closed_total{code="1000"} 2.0',
        'websockets_fleet_connections_closed_total{code="1006"} 1.0',
        "websockets_fleet_messages_received_total 6.0",
        "websockets_fleet_messages_sent_total 7.0",
        "websockets_fleet_received_bytes_total 8.0",
        "websockets_fleet_sent_bytes_total 9.0",
        "websockets_fleet_event_loop_lag_seconds 0.25",
        "websockets_fleet_event_loop_lag_max_seconds 0.5",
    }
    assert "own_total 1.0" in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)
