"""A handshake of which the tests see the answer, whatever it is."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Fleet


@dataclass
class Answer:
    """What nginx answered to one request, and the connection as long as it is open."""

    status: int
    headers: dict[str, str]
    seconds: float
    writer: asyncio.StreamWriter

    def close(self) -> None:
        """Let go of the connection without a word."""
        self.writer.transport.abort()


def any_certificate() -> ssl.SSLContext:
    """A context for tests that are not about certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Door:
    """One load balancer as somebody on the Internet sees it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.context = any_certificate()

    async def ask(
        self,
        client: str = "",
        path: str = "/",
        together: asyncio.Barrier | None = None,
        **headers: str,
    ) -> Answer:
        """Ask for a WebSocket; ``client`` is for whom, where the load balancer believes it.

        ``together`` with others: connect, and ask when all of them have.
        """
        fields = {
            "Host": "echo.example.test",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
            **({"X-Forwarded-For": client} if client else {}),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        async with asyncio.timeout(30):
            began = asyncio.get_running_loop().time()
            reader, writer = await asyncio.open_connection(self.address, 443, ssl=self.context)
            if together:
                await together.wait()
                began = asyncio.get_running_loop().time()
            head = [f"GET {path} HTTP/1.1", *(f"{name}: {fields[name]}" for name in fields)]
            writer.write("\r\n".join([*head, "", ""]).encode())
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        seconds = asyncio.get_running_loop().time() - began
        found = dict(line.split(": ", 1) for line in lines if line)
        return Answer(int(first.split()[1]), found, seconds, writer)

    async def ask_until(self, status: int, client: str) -> Answer:
        """Ask once a second until that is the answer, ten times at most; return the last one."""
        for _number in range(9):
            answer = await self.ask(client)
            if answer.status == status:
                return answer
            answer.close()
            await asyncio.sleep(1)
        return await self.ask(client)

    @asynccontextmanager
    async def crowd(self, number: int, client: str = "") -> AsyncIterator[list[Answer]]:
        """Ask ``number`` times at once, and hold what opens."""
        answers = await asyncio.gather(*(self.ask(client) for _number in range(number)))
        try:
            yield list(answers)
        finally:
            for answer in answers:
                answer.close()


# A load balancer's configuration, and what the checker finds in it.
Gixy = Callable[[str], tuple[str, list[dict[str, Any]]]]
# Lines of Debian 12's own nginx.conf, for sites that say nothing about it. Each of ours says it,
# and no grader can speak such a version; the sites of others are not the role's to change.
OF_THE_DISTRIBUTION = {
    "ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;",
    "ssl_prefer_server_ciphers on;",
}


@pytest.fixture
def gixy(fleet: Fleet, tmp_path: Path) -> Gixy:
    """Check what a load balancer has loaded."""

    def check(name: str) -> tuple[str, list[dict[str, Any]]]:
        dump = tmp_path / "nginx.conf"
        dump.write_text(fleet[name].run("nginx -T 2> /dev/null") + "\n")
        done = subprocess.run(
            ["gixy", "--format=json", str(dump)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        found = json.loads(done.stdout)
        return dump.read_text(), [one for one in found if one["config"] not in OF_THE_DISTRIBUTION]

    return check


@pytest.fixture(scope="session")
def usual(fleet: Fleet) -> Door:
    """The load balancer with the defaults."""
    return Door(fleet["lb1"].address)


@pytest.fixture(scope="session")
def strict(fleet: Fleet) -> Door:
    """The load balancer with narrow limits, which believes what the tests say of their address."""
    return Door(fleet["lb2"].address)
