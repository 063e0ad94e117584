# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's hosts: commands on them, the faults, and the configuration of nginx."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .clients import Target, any_certificate
from .upstreams import GUIDE_PORT, Site, Variant, site

__all__ = ["ROOT", "Fleet", "FleetError", "remove_hosts", "start_hosts"]

ROOT = Path(__file__).resolve().parents[3]
LAB = ROOT / "molecule" / "lab" / "lab"
INVENTORY = ROOT / "tests" / "bench_front" / "inventory"
NAME = "bench-front"
HOSTS = (
    "lb1=debian12:load_balancers",
    "app1=debian12:app_servers",
    "app2=debian13:app_servers",
)
SITE_FILE = "/etc/nginx/conf.d/front.conf"
GUIDE_FILE = "/etc/nginx/conf.d/guide.conf"
PROBE_SECONDS = 0.5


class FleetError(Exception):
    """The hosts can't be measured; the argument says why."""


def _call(*command: str | Path) -> str:
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise FleetError(f"{Path(command[0]).name} failed ({done.returncode})")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Fleet:
    """One load balancer and servers, with the same processes on each."""

    addresses: dict[str, str]
    inventory: Path
    listen: str
    processes: int

    @property
    def servers(self) -> list[str]:
        """The names of the hosts that serve."""
        return [name for name in self.addresses if name != "lb1"]

    @property
    def units(self) -> list[tuple[str, str]]:
        """Every process: its host and its unit."""
        numbers = range(1, self.processes + 1)
        return [(host, f"front@{number}.service") for host in self.servers for number in numbers]

    async def run(self, host: str, command: str, text: str = "") -> str:
        """Run a shell command as root on a host."""
        process = await asyncio.create_subprocess_exec(
            "ssh",
            *("-F", self.inventory.parent / "ssh_config", host),
            f"sudo sh -c {shlex.quote(command)}",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _errors = await process.communicate(text.encode())
        if process.returncode:
            raise FleetError(f"{host}: {command} failed ({process.returncode})")
        return output.decode()

    async def site(self) -> Site:
        """The site as the role laid it."""
        return site(await self.run("lb1", f"cat {SITE_FILE}"))

    async def apply(self, variant: Variant, found: Site) -> Target:
        """Start nginx anew with a configuration; say where clients connect."""
        path = GUIDE_FILE if variant.guide else SITE_FILE
        await self.run("lb1", f"rm -f {GUIDE_FILE}; cat >{path}", variant.render(found))
        await self.run("lb1", "nginx -t -q && systemctl restart nginx")
        address = self.addresses["lb1"]
        if variant.guide:
            return Target("ws://front.example.test/", address, GUIDE_PORT)
        return Target("wss://front.example.test/", address, 443)

    async def restore(self, found: Site) -> None:
        """Leave the role's site behind."""
        await self.run("lb1", f"rm -f {GUIDE_FILE}; cat >{SITE_FILE}", found.text)
        await self.run("lb1", "nginx -t -q && systemctl restart nginx")

    async def _ask(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(3):
                reader, writer = await asyncio.open_connection(
                    self.addresses["lb1"], 443, ssl=any_certificate()
                )
                try:
                    writer.write(
                        b"GET /healthz HTTP/1.1\r\nHost: front\r\nConnection: close\r\n\r\n"
                    )
                    await reader.read()
                finally:
                    writer.transport.abort()

    async def probe(self) -> None:
        """Ask the load balancer for its health, for ever; what it says does not matter."""
        # Who is slow does not keep the next one.
        async with asyncio.TaskGroup() as asked:
            while True:
                asked.create_task(self._ask())
                await asyncio.sleep(PROBE_SECONDS)

    async def well(self) -> None:
        """Wait until every process serves."""
        for host in self.servers:
            units = " ".join(unit for name, unit in self.units if name == host)
            await self.run(host, f"systemctl start {units}")

    @contextlib.asynccontextmanager
    async def powered_off(self, host: str) -> AsyncIterator[None]:
        """What goes to a host or comes from it vanishes; its processes forget what they had."""
        # What comes from an address without a way back is dropped too.
        route = f"blackhole {self.addresses['lb1']}/32"
        await self.run(
            host, f"ip route add {route} && systemctl kill --signal=KILL 'front@*.service'"
        )
        try:
            yield
        finally:
            await self.run(host, f"ip route del {route}")

    @contextlib.asynccontextmanager
    async def stopped(self, host: str, units: Sequence[str]) -> AsyncIterator[None]:
        """Nobody listens on the port: connections are refused."""
        await self.run(host, f"systemctl stop {' '.join(units)}")
        try:
            yield
        finally:
            await self.run(host, f"systemctl start {' '.join(units)}")

    @contextlib.asynccontextmanager
    async def frozen(self, host: str, unit: str) -> AsyncIterator[None]:
        """One process stands still: the kernel takes connections for it, it answers none."""
        await self.run(host, f"systemctl kill --signal=STOP {unit}")
        try:
            yield
        finally:
            await self.run(host, f"systemctl kill --signal=CONT {unit}")


def start_hosts(listen: str, processes: int) -> Fleet:
    """Boot the hosts and deploy to them what a user would."""
    _call(LAB, "up", "--name", NAME, *HOSTS, "--variables", INVENTORY)
    status = _call(LAB, "status", "--name", NAME)
    inventory = Path(status.partition("inventory: ")[2].splitlines()[0])
    variables = {"app_listen": listen, "app_processes": processes}
    print("deploy to the hosts: two or three minutes", flush=True)
    _call(
        *("ansible-playbook", "websockets.fleet.site", "-i", inventory),
        *("--extra-vars", json.dumps(variables)),
    )
    hosts: dict[str, Any] = json.loads(_call("ansible-inventory", "-i", inventory, "--list"))[
        "_meta"
    ]["hostvars"]
    addresses = {name: str(found["ansible_host"]) for name, found in sorted(hosts.items())}
    return Fleet(addresses, inventory, listen, processes)


def remove_hosts() -> None:
    """Remove the hosts, whatever became of them."""
    subprocess.run([LAB, "down", "--name", NAME], check=False, stdout=sys.stderr)
