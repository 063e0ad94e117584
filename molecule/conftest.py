"""What the verifications of all scenarios share: the hosts, the playbooks and a client."""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
import testinfra
from testinfra.host import Host
from websockets.asyncio.client import ClientConnection, connect

# Molecule says it; the tests of the lab itself have none.
INVENTORY = os.environ.get("MOLECULE_INVENTORY_FILE", "")
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.M)


@dataclass(frozen=True)
class Run:
    """What a playbook's run printed and how it ended."""

    code: int
    output: str

    @property
    def changed(self) -> dict[str, int]:
        """How many tasks changed something, by host."""
        return {host: int(changed) for host, _ok, changed, *_rest in RECAP.findall(self.output)}


class Server:
    """One host of the lab, asked as root."""

    def __init__(self, name: str, inventory: str = INVENTORY) -> None:
        self.name = name
        self.host: Host = testinfra.get_host(
            f"ansible://{name}?ansible_inventory={inventory}&sudo=true"
        )

    @cached_property
    def variables(self) -> dict[str, Any]:
        """The host's variables in the inventory."""
        found: dict[str, Any] = self.host.ansible.get_variables()
        return found

    @property
    def address(self) -> str:
        """The address by which the lab reaches it."""
        return str(self.variables["ansible_host"])

    def run(self, command: str) -> str:
        """Run a shell command as root; return its output; fail the test where it fails."""
        done = self.host.run(command)
        assert done.rc == 0, f"{self.name}: {command}\n{done.stdout}{done.stderr}"
        return str(done.stdout).strip()

    def admin(self, index: int, path: str, app: str | None = None) -> tuple[int, str]:
        """Ask one process over its admin socket; return the status and the body."""
        app = app or self.variables["app_name"]
        script = (
            "import socket,sys;s=socket.socket(socket.AF_UNIX);s.settimeout(5);"
            f"s.connect('/run/{app}/{index}.admin.sock');"
            f"s.sendall(b'GET {path} HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n');"
            "sys.stdout.write(s.makefile(newline='').read())"
        )
        head, _separator, body = self.run(f'python3 -c "{script}"').partition("\r\n\r\n")
        return int(head.split()[1]), body

    def status(self, index: int, app: str | None = None) -> dict[str, Any]:
        """Return what one process says of itself."""
        code, body = self.admin(index, "/status", app)
        assert code == 200, body
        found: dict[str, Any] = json.loads(body)
        return found

    def main_pid(self, unit: str) -> int:
        """Return the process id of a unit's main process, 0 for none."""
        return int(self.run(f"systemctl show --property=MainPID --value {unit}"))


class Client:
    """One TLS client, used from tests that are not asynchronous.

    It is asyncio's: the threads of websockets.sync use one TLS connection at the same time, which
    OpenSSL does not allow and CPython 3.11 does not prevent.
    """

    def __init__(self) -> None:
        self.runner = asyncio.Runner()

    def open(self, connecting: connect) -> None:
        async def opening() -> ClientConnection:
            return await connecting

        self.connection = self.runner.run(opening())

    def close(self) -> None:
        if hasattr(self, "connection"):
            self.runner.run(self.connection.close())
        self.runner.close()

    def send(self, message: str | bytes) -> None:
        """Send a message."""
        self.runner.run(self.connection.send(message))

    def recv(self, timeout: float = 5) -> str | bytes:
        """Return the next message; raise TimeoutError or ConnectionClosed."""

        async def receive() -> str | bytes:
            async with asyncio.timeout(timeout):
                return await self.connection.recv()

        return self.runner.run(receive())

    def certificate(self) -> dict[str, Any]:
        """Return the server's certificate, as Python shows it."""
        found: dict[str, Any] = self.connection.transport.get_extra_info("peercert")
        return found


class Fleet:
    """The scenario's hosts and what an engineer does with them."""

    def __init__(self, inventory: str = INVENTORY) -> None:
        self.inventory = inventory
        self.servers: dict[str, Server] = {}

    def __getitem__(self, name: str) -> Server:
        """Return a host by its name in the inventory."""
        return self.servers.setdefault(name, Server(name, self.inventory))

    def command(self, playbook: str, *arguments: str) -> list[str]:
        """Return the command line that runs a playbook on this scenario's hosts."""
        return ["ansible-playbook", "-i", self.inventory, playbook, *arguments]

    def play(self, playbook: str, *arguments: str) -> Run:
        """Run a playbook to its end, with the colours off."""
        done = subprocess.run(
            self.command(playbook, *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
            env={**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1"},
        )
        return Run(done.returncode, done.stdout)

    def authority(self, load_balancer: str) -> ssl.SSLContext:
        """Return a context that trusts the fleet's own authority and nothing else."""
        server = self[load_balancer]
        name = server.variables["app_name"]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(
            cadata=server.run(f"cat /etc/websockets-fleet/{name}/tls/ca.pem")
        )
        return context

    @contextmanager
    def client(
        self, load_balancer: str, context: ssl.SSLContext | None = None, **options: Any
    ) -> Iterator[Client]:
        """Connect as a user does: wss, by the name in the certificate, verified."""
        client = Client()
        try:
            client.open(self.connect(load_balancer, context, **options))
            yield client
        finally:
            client.close()

    def connect(
        self, load_balancer: str, context: ssl.SSLContext | None = None, **options: Any
    ) -> connect:
        """Return what an asyncio client awaits to connect as a user does."""
        server = self[load_balancer]
        return connect(
            f"wss://{server.variables['nginx_domain']}/",
            host=server.address,
            port=443,
            ssl=context or self.authority(load_balancer),
            **options,
        )


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    """The hosts of the scenario."""
    return Fleet()
