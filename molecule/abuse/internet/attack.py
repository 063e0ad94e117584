"""One abuse in turn with quiet: attack.py KIND ADDRESS NETWORK OPTION=NUMBER...

It ends by itself and prints JSON: the windows of quiet and of attack in seconds of the machine's
monotonic clock, how often the attacker saw what, and numbers that a kind has of its own.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import random
import resource
import socket
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

# Between windows, for what is still under way.
PAUSE = 0.5
# How long an attacker waits to be thrown out.
PATIENCE = 15.0


def request(path: str = "/", **headers: str) -> bytes:
    """Return a handshake."""
    fields = {
        "Host": "echo.example.test",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        **headers,
    }
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode()


class Connection:
    """One connection of an attacker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> str:
        """Return the status of the next answer, its body read."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        _before, _name, length = head.partition("content-length: ")
        if length:
            await self.reader.readexactly(int(length.split()[0]))
        return head.split()[1]

    def close(self) -> None:
        """Leave without a word."""
        self.writer.transport.abort()


@dataclass
class Attack:
    """Who is attacked, from where, and what comes of it."""

    address: str
    network: str
    options: dict[str, int]
    seen: Counter[str] = field(default_factory=Counter)
    facts: dict[str, list[float]] = field(default_factory=dict)
    windows: dict[str, list[tuple[float, float]]] = field(
        default_factory=lambda: {"quiet": [], "attack": []}
    )
    # How many requests were sent.
    asked: int = 0

    def __post_init__(self) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE

    def fact(self, name: str, value: float) -> None:
        """Remember a number."""
        self.facts.setdefault(name, []).append(value)

    def source(self, number: int) -> tuple[str, int]:
        """Return one of the attackers' addresses."""
        return f"{self.network}.{200 + number}", 0

    async def open(self, source: int = 0, encrypted: bool = True) -> Connection:
        """Connect from one of the attackers' addresses."""
        return Connection(
            *await asyncio.open_connection(
                self.address,
                443,
                ssl=self.context if encrypted else None,
                local_addr=self.source(source),
            )
        )

    async def ask(self, connection: Connection, data: bytes) -> str:
        """Send something and return the status of the answer."""
        connection.writer.write(data)
        self.asked += 1
        return await connection.answer()

    async def once(self, data: bytes, encrypted: bool = True) -> str:
        """Connect, send something, leave; return the status, or how it ended."""
        connection = await self.open(encrypted=encrypted)
        try:
            return await self.ask(connection, data)
        finally:
            connection.close()

    async def steadily(self, one: Callable[[int], Awaitable[str]]) -> None:
        """Do something so often a second, as long as the window is open."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        asked = self.asked
        number = 0

        async def count(number: int) -> None:
            try:
                outcome = await one(number)
            except (OSError, asyncio.IncompleteReadError):
                outcome = "closed"
            self.seen[outcome] += 1

        try:
            async with asyncio.timeout(self.options["seconds"]), asyncio.TaskGroup() as tasks:
                while True:
                    await asyncio.sleep(began + number / self.options["rate"] - loop.time())
                    tasks.create_task(count(number))
                    number += 1
        except TimeoutError:
            self.fact("rate", (self.asked - asked) / (loop.time() - began))

    async def flood(self) -> None:
        """Handshakes from so many addresses; who is refused asks again on the same connection."""
        idle: list[Connection] = []
        everything: list[Connection] = []

        async def one(number: int) -> str:
            if idle:
                connection = idle.pop()
            else:
                connection = await self.open(number % self.options["addresses"])
                everything.append(connection)
            status = await self.ask(connection, request())
            if status == "503":
                idle.append(connection)
            else:
                connection.close()
            return status

        before, began = self.seen["101"], time.monotonic()
        await self.steadily(one)
        self.fact("accepted", (self.seen["101"] - before) / (time.monotonic() - began))
        for connection in everything:
            connection.close()

    async def hoard(self) -> None:
        """One connection after the other from one address, and all are kept."""
        held: list[Connection] = []

        async def one(_number: int) -> str:
            connection = await self.open()
            status = await self.ask(connection, request())
            if status == "101":
                held.append(connection)
            else:
                connection.close()
            return status

        await self.steadily(one)
        self.fact("held", sum(not connection.reader.at_eof() for connection in held))
        for connection in held:
            connection.close()

    async def origin(self) -> None:
        """Handshakes that a page of somebody else makes."""
        await self.steadily(lambda _number: self.once(request(Origin="https://evil.example")))

    async def oversized(self) -> None:
        """Lines, paths and headers that are too long, and one that has no end."""
        kinds = [
            request(Cookie="x" * 9000),
            request("/" + "x" * 9000),
            request(**{f"X-{number}": "x" * 4000 for number in range(10)}),
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000,
        ]
        await self.steadily(lambda number: self.once(kinds[number % len(kinds)]))

    async def garbage(self) -> None:
        """Bytes that are no TLS, no HTTP and no WebSocket frame."""
        noise = random.Random(4)

        async def one(number: int) -> str:
            data = noise.randbytes(2000)
            if number % 16:
                # Zero bytes: by chance it might have been the beginning of something.
                return await self.once(b"\0\0" + data, encrypted=number % 2 == 0)
            connection = await self.open(1)
            try:
                status = await self.ask(connection, request())
                if status != "101":
                    return status
                # All reserved bits, which nobody agreed on.
                connection.writer.write(b"\xff" + data)
                head = await connection.reader.readexactly(4)
                return f"close {int.from_bytes(head[2:])}" if head[0] == 0x88 else "frame"
            finally:
                connection.close()

        await self.steadily(one)

    async def silent(self) -> None:
        """Connect and say nothing, or only how TLS begins, or nothing after TLS."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(100):
                tasks.create_task(self.wait(("half of TLS", "after TLS")[number % 2]))
                await asyncio.sleep(0.01)
            tasks.create_task(self.say_nothing())

    async def wait(self, what: str) -> None:
        """Begin, and see how long it takes until the load balancer has enough."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        connection = None
        try:
            async with asyncio.timeout(PATIENCE) as patience:
                connection = await self.open(encrypted=what == "after TLS")
                began = loop.time()
                patience.reschedule(began + PATIENCE)
                if what == "half of TLS":
                    connection.writer.write(b"\x16\x03")
                await connection.reader.read()
            self.fact(what, loop.time() - began)
        except TimeoutError:
            self.seen[f"{what}: stayed"] += 1
        except OSError:
            # Reset: it gave way to somebody else.
            self.fact(what, loop.time() - began)
        finally:
            if connection:
                connection.close()

    async def say_nothing(self) -> None:
        """Open many connections and see what became of them when the last one was opened."""
        # No streams for these: there are too many.
        opened = []
        for number in range(self.options["connections"]):
            one = socket.socket()
            one.setblocking(False)
            one.bind(self.source(0))
            one.connect_ex((self.address, 443))
            opened.append(one)
            if number % 50 == 0:
                await asyncio.sleep(50 / self.options["rate"])
        await asyncio.sleep(1)
        for one in opened:
            try:
                left = one.recv(1)
            except BlockingIOError:
                self.seen["silent: still there"] += 1
            except OSError:
                self.seen["silent: closed"] += 1
            else:
                self.seen[f"silent: {'answered' if left else 'closed'}"] += 1
        # Others are still about it.
        await asyncio.sleep(12)
        for one in opened:
            one.close()

    async def slow(self) -> None:
        """slowhttptest's headers, bodies and readers that never get done."""
        kinds = {
            "headers": ["-H", "-c", "200", "-r", "100"],
            "body": ["-B", "-c", "50", "-r", "50", "-s", "60000"],
            "read": ["-X", "-c", "50", "-r", "50", "-w", "1", "-y", "2", "-z", "1", "-k", "3"],
        }

        async def run(name: str, file: Path) -> None:
            program = await asyncio.create_subprocess_exec(
                "slowhttptest", *kinds[name], "-i", "3", "-l", str(self.options["seconds"]),
                "-u", f"https://{self.address}/", "-g", "-o", str(file),
                stdout=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            await program.wait()
            rows = list(csv.DictReader(file.with_suffix(".csv").read_text().splitlines()))
            closed = [int(row["Closed"]) for row in rows]
            opened = [int(row["Closed"]) + int(row["Connected"]) for row in rows]
            self.fact(f"{name}: opened", opened[-1])
            self.fact(f"{name}: closed", closed[-1])
            # A row a second: how long it took until as many were closed as had been opened.
            for second, number in enumerate(opened):
                later = [count >= number for count in closed[second:]]
                self.fact(f"{name}: seconds", (later.index(True) if True in later else len(later)))

        with tempfile.TemporaryDirectory() as folder:
            await asyncio.gather(*(run(name, Path(folder, name)) for name in kinds))

    async def run(self, kind: str) -> None:
        """Quiet, attack, quiet, attack, quiet."""
        for number in range(2 * self.options["rounds"] + 1):
            await asyncio.sleep(PAUSE)
            began = time.monotonic()
            if number % 2:
                await getattr(self, kind)()
            else:
                await asyncio.sleep(self.options["quiet"])
            self.windows["attack" if number % 2 else "quiet"].append((began, time.monotonic()))


if __name__ == "__main__":
    # In truth attackers have CPUs of their own; here they shall have one of the fleet's at most.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    chosen = {name: int(value) for name, value in (word.split("=") for word in sys.argv[4:])}
    attack = Attack(sys.argv[2], sys.argv[3], chosen)
    asyncio.run(attack.run(sys.argv[1]))
    print(json.dumps({"windows": attack.windows, "seen": attack.seen, "facts": attack.facts}))
