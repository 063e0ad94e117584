# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured: one process, either the sample of the documentation or the launcher."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

__all__ = ["Server", "ServerError"]

BENCH = Path(__file__).resolve().parents[1]
PACKAGE = BENCH.parents[1] / "roles" / "app" / "files"

# All but compression is the launcher's default. Nothing waits for the drain here.
CONFIGURATION = """\
handler = "bare:echo"
event_loop = "{event_loop}"
[listen]
mode = "shared_port"
host = "127.0.0.1"
port = {port}
runtime_directory = "{folder}"
[compression]
[drain]
seconds = 0
"""


class ServerError(Exception):
    """The server can't be measured; the argument says why."""


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Server:
    """One server of a ``kind``, on a port of loopback; it runs as long as the ``with`` block."""

    def __init__(self, kind: str, event_loop: str, folder: Path) -> None:
        self.kind = kind
        self.port = _free_port()
        self._log = folder / "log"
        configuration = folder / "server.toml"
        configuration.write_text(
            CONFIGURATION.format(event_loop=event_loop, port=self.port, folder=folder),
            encoding="utf-8",
        )
        arguments = {
            "bare": ["bare.py", str(self.port), event_loop],
            "launched": ["-m", "websockets_fleet", "--config", str(configuration)],
        }[kind]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=BENCH,
                env={**os.environ, "PYTHONPATH": str(PACKAGE), "INSTANCE": "1"},
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        try:
            self._wait_until_it_listens()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        said = self._log.read_text(encoding="utf-8", errors="replace")
        raise ServerError(f"the {self.kind} server does not serve: {said}")

    def cpu_seconds(self) -> float:
        """CPU time that the process has used, its kernel part included."""
        # What clock_getcpuclockid(3) makes of a process: finer than the ticks of /proc/PID/stat.
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def memory_kib(self) -> int:
        """Resident memory of the process."""
        rollup = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text(encoding="ascii")
        found = re.search(r"^Rss: *(\d+) kB$", rollup, re.MULTILINE)
        if not found:
            raise ServerError(f"no Rss in {rollup!r}")
        return int(found[1])
