# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What do nginx's buffers cost a proxied connection, in memory, and what do they buy in speed?

One worker of a real nginx on a lab host, TLS in front, between clients and a server on this
machine that both do next to nothing, so that nginx is what is measured. The set-ups take turns, so
that whatever else the machine does hits all of them alike. Run it: make bench-proxy
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import shlex
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
LAB = [str(REPOSITORY / "molecule/lab/lab")]
NAME = ("--name", "bench-proxy")
HOST = "lb1"
IMAGES = ("debian12", "debian13")
PORT = 8765
ROUNDS = 5
HELD = 400
LARGE = 256 * 1024
TALKING = 32
SECONDS = 3.0
# What a client sends and gets back before it sends again.
SIZES = {"100 B": 100, "16 KiB": 16 * 1024, "1 MiB": 1024 * 1024}


@dataclass(frozen=True)
class Setup:
    """The two buffers that a proxied connection may keep as long as it lives."""

    proxy: int
    tls: int

    def __str__(self) -> str:
        return f"{self.proxy}k / {self.tls}k"


# The others are compared with the first. The role has 16k / 4k.
SETUPS = (Setup(8, 4), Setup(4, 4), Setup(16, 4), Setup(32, 4), Setup(8, 16), Setup(16, 16))

NGINX = """
worker_processes 1;
worker_rlimit_nofile 8192;
pid /run/bench-proxy.pid;
error_log /var/log/bench-proxy.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    server {{
        listen 443 ssl;
        ssl_certificate /root/bench.pem;
        ssl_certificate_key /root/bench.key;
        ssl_protocols TLSv1.3;
        ssl_buffer_size {tls}k;
        location / {{
            proxy_pass http://{server};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_buffer_size {proxy}k;
            proxy_buffers 8 {proxy}k;
            proxy_busy_buffers_size {busy}k;
        }}
    }}
}}
"""
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


class Echo(asyncio.Protocol):
    """Open the tunnel, then send back what comes: what WebSockets look like to nginx."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.head = b""
        self.open = False

    def data_received(self, data: bytes) -> None:
        """Answer the request, once it is there; then echo."""
        if self.open:
            self.transport.write(data)
            return
        self.head += data
        if self.head.endswith(b"\r\n\r\n"):
            self.open = True
            self.transport.write(ANSWER)


def serve(address: str) -> None:
    """Run the server until it is ended."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Echo, address, PORT, backlog=1024)
        await server.serve_forever()

    asyncio.run(run())


def lab(*words: str) -> str:
    """Run the lab's program; return what it prints."""
    return subprocess.run([*LAB, *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def on_host(script: str) -> str:
    """Run a shell script as root on the lab's host; return what it prints."""
    return lab("ssh", *NAME, HOST, f"sudo sh -euc {shlex.quote(script)}").strip()


class Front:
    """The host with nginx."""

    def __init__(self, image: str) -> None:
        lab("up", *NAME, f"{HOST}={image}:load_balancers")
        on_host(
            "export DEBIAN_FRONTEND=noninteractive; apt-get -qq update;"
            " apt-get -qq install -y nginx openssl >/dev/null 2>&1;"
            " systemctl disable --quiet --now nginx 2>/dev/null;"
            " openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
            " -subj /CN=bench -keyout /root/bench.key -out /root/bench.pem 2>/dev/null"
        )
        self.address = on_host("hostname -I").split()[0]
        # Where the lab's hosts reach this machine.
        self.machine = on_host("ip -4 route show default").split()[2]
        self.version = on_host("nginx -v 2>&1").partition("/")[2]

    def start(self, setup: Setup) -> int:
        """Start nginx anew; return its worker's process id, there."""
        text = NGINX.format(
            tls=setup.tls,
            proxy=setup.proxy,
            busy=2 * setup.proxy,
            server=f"{self.machine}:{PORT}",
        )
        return int(
            on_host(
                "[ ! -e /run/bench-proxy.pid ] || { nginx -c /root/bench.conf -s stop 2>/dev/null;"
                " while [ -e /run/bench-proxy.pid ]; do sleep 0.1; done; };"
                f" printf %s {shlex.quote(text)} >/root/bench.conf; nginx -c /root/bench.conf;"
                " sleep 0.3; pgrep --parent $(cat /run/bench-proxy.pid)"
            )
        )

    def memory(self, pid: int) -> int:
        """Return the KiB that only this process has."""
        total = "/^Private/ {s += $2} END {print s}"
        return int(on_host(f"awk '{total}' /proc/{pid}/smaps_rollup"))

    def cpu(self, pid: int) -> float:
        """Return the seconds of CPU that the process has had, to the scheduler's nanosecond."""
        return int(on_host(f"cut -d ' ' -f 1 /proc/{pid}/schedstat")) / 1e9


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def crowd(address: str, number: int) -> AsyncIterator[list[Connection]]:
    """Open so many tunnels, over each of which one small message has gone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    gate = asyncio.Semaphore(50)

    async def come() -> Connection:
        async with gate:
            reader, writer = await asyncio.open_connection(
                address, 443, ssl=context, limit=2 * max(SIZES.values())
            )
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101"), head
            await talk((reader, writer), b"x" * 100)
            return reader, writer

    connections = list(await asyncio.gather(*(come() for _number in range(number))))
    try:
        yield connections
    finally:
        for _reader, writer in connections:
            writer.transport.abort()


async def talk(connection: Connection, message: bytes) -> None:
    """Send a message and wait until it is back."""
    reader, writer = connection
    writer.write(message)
    await reader.readexactly(len(message))


async def rate(connections: list[Connection], size: int) -> int:
    """Return how many messages went there and back."""
    message = os.urandom(size)
    end = time.monotonic() + SECONDS
    count = 0

    async def go_on(connection: Connection) -> None:
        nonlocal count
        while time.monotonic() < end:
            await talk(connection, message)
            count += 1

    await asyncio.gather(*(go_on(connection) for connection in connections))
    return count


@dataclass(frozen=True)
class Measured:
    """What one set-up took in one round.

    KiB a connection, after a small message and after a large one; by size, messages a second and
    the CPU of each.
    """

    small: float
    large: float
    speed: dict[str, float]
    cost: dict[str, float]


async def measure(front: Front, setup: Setup) -> Measured:
    """Measure one set-up once."""
    pid = await asyncio.to_thread(front.start, setup)
    before = await asyncio.to_thread(front.memory, pid)
    async with crowd(front.address, HELD) as connections:
        small = (await asyncio.to_thread(front.memory, pid) - before) / HELD
        for connection in connections:
            await talk(connection, bytes(LARGE))
        large = (await asyncio.to_thread(front.memory, pid) - before) / HELD
    speed: dict[str, float] = {}
    cost: dict[str, float] = {}
    async with crowd(front.address, TALKING) as connections:
        for name, size in SIZES.items():
            used = await asyncio.to_thread(front.cpu, pid)
            began = time.monotonic()
            count = await rate(connections, size)
            speed[name] = count / (time.monotonic() - began)
            cost[name] = (await asyncio.to_thread(front.cpu, pid) - used) / count
    return Measured(small, large, speed, cost)


def table(version: str, results: dict[Setup, list[Measured]]) -> str:
    """Return the medians; speed and CPU as ratios within a round, to the first set-up's."""
    lines = [
        f"nginx {version}, {ROUNDS} rounds",
        "",
        "| `proxy_buffer_size` / `ssl_buffer_size` | KiB, small | KiB, large |"
        + "".join(f" {name}: speed, CPU |" for name in SIZES),
        "|---" * (3 + len(SIZES)) + "|",
    ]
    first = results[SETUPS[0]]
    for setup, found in results.items():
        small = statistics.median(one.small for one in found)
        large = statistics.median(one.large for one in found)
        cells = [str(setup), f"{small:.0f}", f"{large:.0f}"]
        for name in SIZES:
            pairs = list(zip(found, first, strict=True))
            speed = statistics.median(a.speed[name] / b.speed[name] for a, b in pairs)
            cost = statistics.median(a.cost[name] / b.cost[name] for a, b in pairs)
            cells.append(f"{speed:.2f}, {cost:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    base = ", ".join(
        f"{statistics.median(one.speed[name] for one in first):.0f}/s of {name} at "
        f"{statistics.median(one.cost[name] for one in first) * 1e6:.0f} us"
        for name in SIZES
    )
    return "\n".join([*lines, "", f"1.00 is {base}"])


def main() -> int:
    """Measure on each image; the hosts go, whatever happens."""
    for image in sys.argv[1:] or IMAGES:
        server = None
        try:
            front = Front(image)
            server = multiprocessing.Process(target=serve, args=[front.machine], daemon=True)
            server.start()
            time.sleep(1)
            results: dict[Setup, list[Measured]] = {setup: [] for setup in SETUPS}
            for _number in range(ROUNDS):
                for setup in SETUPS:
                    results[setup].append(asyncio.run(measure(front, setup)))
            print(f"\n{table(front.version, results)}\n", flush=True)
        finally:
            if server is not None:
                server.terminate()
            lab("down", *NAME)
    return 0


if __name__ == "__main__":
    sys.exit(main())
