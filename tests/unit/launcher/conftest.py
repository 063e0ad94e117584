# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real launchers for the tests: a process, its sockets, and the service manager's end of it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

PACKAGE = Path(__file__).resolve().parents[3] / "roles" / "app" / "files"
sys.path.insert(0, str(PACKAGE))

ECHO = """
async def handler(websocket):
    async for message in websocket:
        await websocket.send(message)
"""


def free_port() -> int:
    """A TCP port that nothing listens on, and neither on the next one."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


class UnixHTTPConnection(http.client.HTTPConnection):
    """An HTTP client for a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def ask(connection: http.client.HTTPConnection, path: str, method: str = "GET") -> tuple[int, str]:
    """Status and body of one request."""
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


class Manager:
    """The service manager's notification socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.received: list[str] = []

    def wait_for(self, line: str, seconds: float = 10) -> bool:
        """Whether ``line`` arrives, or has arrived, within ``seconds``."""
        end = time.monotonic() + seconds
        while line not in self.received:
            self.socket.settimeout(max(0.001, end - time.monotonic()))
            try:
                self.received += self.socket.recv(4096).decode().splitlines()
            except TimeoutError:
                return False
        return True


class Launched:
    """A running launcher."""

    def __init__(
        self,
        directory: Path,
        config: str,
        *,
        port: int,
        instance: int = 1,
        environ: dict[str, str] | None = None,
    ) -> None:
        self.port = port
        self.runtime = directory / "run"
        self.runtime.mkdir(exist_ok=True)
        self.admin = self.runtime / f"{instance}.admin.sock"
        (directory / "server.toml").write_text(config)
        self.manager = Manager(directory / f"notify{instance}")
        self.log = directory / f"log{instance}"
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PACKAGE),
            # The package is compiled once, but not into the checkout.
            "PYTHONPYCACHEPREFIX": str(
                Path(tempfile.gettempdir(), f"launcher-cache-{os.getuid()}")
            ),
            "INSTANCE": str(instance),
            "APP_NAME": "chat",
            "APP_RELEASE": "r1",
            "APP_FINGERPRINT": "f1",
            "NOTIFY_SOCKET": str(self.manager.path),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "websockets_fleet", "--config", "server.toml"],
                cwd=directory,
                env=environment | (environ or {}),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def ready(self) -> Self:
        """Wait until it serves."""
        assert self.manager.wait_for("READY=1"), self.output()
        return self

    def output(self) -> str:
        """What it has written so far."""
        return self.log.read_text()

    def ask_admin(self, path: str) -> tuple[int, str]:
        """Status and body of a request to the admin socket."""
        return ask(UnixHTTPConnection(self.admin), path)

    def status(self) -> dict[str, Any]:
        """What ``/status`` says."""
        code, body = self.ask_admin("/status")
        assert code == 200
        status: dict[str, Any] = json.loads(body)
        return status

    def health(self, method: str = "GET") -> tuple[int, str]:
        """Status and body of the health check on the public port."""
        return ask(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=5), "/healthz", method
        )

    @property
    def uri(self) -> str:
        """Where clients connect."""
        return f"ws://127.0.0.1:{self.port}/"

    def terminate(self) -> None:
        """Ask it to stop."""
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self, seconds: float = 10) -> int:
        """Its exit code, within ``seconds``."""
        return self.process.wait(seconds)

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.manager.socket.close()


Launch = Callable[..., Launched]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A folder with a short path: a Unix socket's address has room for 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="launcher-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def launch(directory: Path) -> Iterator[Launch]:
    """Start launchers: ``launch(source of app.py, more TOML, mode=..., instance=...)``."""
    started: list[Launched] = []

    def start(
        source: str = ECHO,
        config: str = "",
        *,
        mode: str = "shared_port",
        port: int | None = None,
        instance: int = 1,
        environ: dict[str, str] | None = None,
    ) -> Launched:
        (directory / "app.py").write_text(source)
        port = port or free_port()
        address = "" if mode == "unix_socket" else f'host = "127.0.0.1"\nport = {port}\n'
        head, _bracket, tables = config.partition("[")
        config = (
            f'handler = "app:handler"\n{head}\n'
            f'[listen]\nmode = "{mode}"\n{address}runtime_directory = "{directory}/run"\n'
            + (f"[{tables}" if tables else "")
        )
        if mode == "port_per_process":
            port += instance
        launched = Launched(directory, config, port=port, instance=instance, environ=environ)
        started.append(launched)
        return launched

    yield start
    for launched in started:
        launched.close()
