"""Programs that each drive one client, and how to run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Fleet

MOLECULE = Path(__file__).resolve().parents[2]
COMMANDS = {
    **{
        name: [sys.executable, "-m", f"clients.programs.{name}"]
        for name in ("python_websockets", "websocket_client", "chromium", "curl")
    },
    "node_ws": ["node", "clients/programs/node_ws.cjs"],
}
MIB = 2**20

Ask = Callable[..., dict[str, Any]]
Handshake = Callable[[str, str], bytes]


@pytest.fixture(scope="session")
def ask(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Run a program: ``ask(client, load_balancer, compression=…, idle=…)``; return its answer."""
    folder = tmp_path_factory.mktemp("authorities")
    for name in ("lb1", "lb2"):
        path = "/etc/websockets-fleet/clients/tls/ca.pem"
        (folder / f"{name}.pem").write_text(fleet[name].run(f"cat {path}"))

    def asking(
        client: str, load_balancer: str, *, compression: bool = True, idle: float = 0
    ) -> dict[str, Any]:
        server = fleet[load_balancer]
        question = {
            "host": server.variables["nginx_domain"],
            "address": server.address,
            "ca_file": str(folder / f"{load_balancer}.pem"),
            "compression": compression,
            "big": 16 * MIB,
            "too_big": 17 * MIB + 1,
            "idle": idle,
        }
        done = subprocess.run(
            [*COMMANDS[client], json.dumps(question)],
            cwd=MOLECULE,
            env={
                **os.environ,
                # The repository has the browser; Debian has ws.
                "PYTHONPATH": str(MOLECULE.parent),
                "NODE_PATH": "/usr/share/nodejs",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120 + idle,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return asking


@pytest.fixture(scope="session")
def handshake(fleet: Fleet) -> Handshake:
    """What a client without a library sends first: ``handshake(load_balancer, path)``."""

    def asking(load_balancer: str, path: str) -> bytes:
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {fleet[load_balancer].variables['nginx_domain']}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    return asking
