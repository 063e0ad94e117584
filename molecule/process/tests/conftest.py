"""Clients that hold connections to a certain process."""

from __future__ import annotations

import asyncio
import json
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

if TYPE_CHECKING:
    from conftest import Fleet, Server

SERVERS = ("app1", "app2")
INSTANCES = (1, 2)
ABREAST = 50


@dataclass
class Crowd:
    """Clients of one process, and some of the others on its host."""

    here: list[ClientConnection] = field(default_factory=list)
    elsewhere: list[ClientConnection] = field(default_factory=list)


Hold = Callable[..., AbstractAsyncContextManager[Crowd]]
OpenOne = Callable[..., Awaitable[tuple[dict[str, Any], ClientConnection]]]
Echoes = Callable[..., Awaitable[bool]]


async def connecting(
    server: Server, path: str = "", **options: Any
) -> tuple[dict[str, Any], ClientConnection]:
    """Connect to a host past the load balancer; return what the process says of itself, too."""
    options = {"compression": None, "ping_interval": None, "open_timeout": 30, **options}
    connection = await connect(f"ws://{server.address}:8765/{path}", **options)
    hello: dict[str, Any] = json.loads(await connection.recv())
    return hello, connection


async def talking(connection: ClientConnection, message: str = "are you there?") -> bool:
    """Whether the process behind a connection answers soon."""
    async with asyncio.timeout(3):
        await connection.send(message)
        return bool(await connection.recv() == message)


@asynccontextmanager
async def holding(
    server: Server, index: int, here: int, elsewhere: int = 0, **options: Any
) -> AsyncIterator[Crowd]:
    """Hold connections to a process; the kernel spreads them, so that others are let go again."""
    crowd = Crowd()

    async def open_and_sort() -> None:
        while len(crowd.here) < here or len(crowd.elsewhere) < elsewhere:
            hello, connection = await connecting(server, **options)
            if hello["instance"] == index and len(crowd.here) < here:
                crowd.here.append(connection)
            elif hello["instance"] != index and len(crowd.elsewhere) < elsewhere:
                crowd.elsewhere.append(connection)
            else:
                await connection.close()

    try:
        await asyncio.gather(*(open_and_sort() for _number in range(min(here, ABREAST))))
        yield crowd
    finally:
        for connection in (*crowd.here, *crowd.elsewhere):
            connection.transport.abort()


@pytest.fixture
def hold() -> Hold:
    """Hold connections: ``async with hold(server, index, here, elsewhere) as crowd``."""
    return holding


@pytest.fixture
def open_one() -> OpenOne:
    """Connect to a host: ``hello, connection = await open_one(server)``."""
    return connecting


@pytest.fixture
def echoes() -> Echoes:
    """Ask for an echo, within 3 s: ``await echoes(connection, message)``."""
    return talking


@dataclass(frozen=True)
class Ending:
    """How a process ended that was asked to."""

    seconds: float
    status: str
    result: str


class Unit:
    """A process's unit on a host, asked from coroutines."""

    def __init__(self, server: Server, index: int) -> None:
        self.server = server
        self.index = index
        self.name = f"process@{index}.service"

    async def run(self, command: str) -> str:
        """Run a command on the host as root; ``UNIT`` in it is this one's name."""
        return await asyncio.to_thread(self.server.run, command.replace("UNIT", self.name))

    async def show(self, *names: str) -> list[str]:
        """Return the values of the unit's properties."""
        lines = await self.run(f"systemctl show UNIT {' '.join(f'-p {name}' for name in names)}")
        values = dict(line.split("=", 1) for line in lines.splitlines())
        return [values[name] for name in names]

    async def status(self) -> dict[str, Any]:
        """Return what the process says of itself."""
        return await asyncio.to_thread(self.server.status, self.index)

    async def healthy(self) -> bool:
        """Whether the process says that it is well."""
        code, body = await asyncio.to_thread(self.server.admin, self.index, "/healthz")
        return (code, body) == (200, "ok")

    async def signal(self, name: str) -> None:
        """Send a signal to the process alone."""
        await self.run(f"systemctl kill --kill-whom=main --signal={name} UNIT")

    async def stop(self) -> float:
        """Have systemd send SIGTERM, and leave the process stopped; return when that was."""
        began = time.monotonic()
        await self.run("systemctl stop --no-block UNIT")
        return began

    async def ending(self, began: float, seconds: float) -> Ending:
        """Wait until the process is gone; the hosts' clock is that of this machine."""
        deadline = began + seconds
        while time.monotonic() < deadline:
            pid, status, result, end = await self.show(
                "MainPID", "ExecMainStatus", "Result", "ExecMainExitTimestampMonotonic"
            )
            if pid == "0":
                return Ending(int(end) / 1e6 - began, status, result)
            await asyncio.sleep(0.3)
        raise AssertionError(f"{self.name} did not end in {seconds} s")

    async def back(self, other_than: str, began: float, seconds: float) -> float:
        """Wait until another process serves; return after how many seconds it did."""
        while (took := time.monotonic() - began) < seconds:
            pid, state = await self.show("MainPID", "ActiveState")
            if pid not in ("0", other_than) and state == "active" and await self.healthy():
                return took
            await asyncio.sleep(0.2)
        raise AssertionError(f"{self.name} is not back after {seconds} s")


@pytest.fixture(scope="session", autouse=True)
def _descriptors() -> None:
    """Allow this process more connections than a shell's usual 1,024."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))


@pytest.fixture
def units(fleet: Fleet) -> dict[str, list[Unit]]:
    """The units of each host, all of them up; how often they were started before is forgotten."""
    names = " ".join(f"process@{index}.service" for index in INSTANCES)
    for name in SERVERS:
        fleet[name].run(f"systemctl start {names} && systemctl reset-failed {names}")
    return {name: [Unit(fleet[name], index) for index in INSTANCES] for name in SERVERS}
