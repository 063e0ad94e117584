# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notifications to the service manager."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

from websockets_fleet.notify import Notifier, watchdog_interval


def receive(address: str, notify_socket: str) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(5)
        notifier = Notifier(notify_socket)
        notifier.send("READY=1", "STATUS=Serving")
        notifier.close()
        return manager.recv(1024).decode()


def test_one_datagram_to_a_path(directory: Path) -> None:
    address = str(directory / "notify")
    assert receive(address, address) == "READY=1\nSTATUS=Serving"


def test_an_abstract_socket_is_written_with_an_at_sign(directory: Path) -> None:
    name = f"{directory.name}/notify"
    assert receive(f"\0{name}", f"@{name}") == "READY=1\nSTATUS=Serving"


@pytest.mark.parametrize("address", [None, ""])
def test_without_a_manager_nothing_is_sent(address: str | None) -> None:
    Notifier(address).send("READY=1")


def test_a_manager_that_is_gone_is_logged_and_no_more(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier(str(directory / "nobody"))
    with caplog.at_level(logging.WARNING):
        notifier.send("READY=1")
    notifier.close()
    assert "cannot notify the service manager" in caplog.text


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, None, id="no watchdog"),
        pytest.param({"WATCHDOG_USEC": "30000000"}, 15.0, id="half of it"),
        pytest.param({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}, 15.0, id="for us"),
        pytest.param({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "43"}, None, id="for another"),
        pytest.param({"WATCHDOG_USEC": "0"}, None, id="off"),
        pytest.param({"WATCHDOG_USEC": "soon"}, None, id="nonsense"),
    ],
)
def test_watchdog_interval(environ: dict[str, str], expected: float | None) -> None:
    assert watchdog_interval(environ, pid=42) == expected
