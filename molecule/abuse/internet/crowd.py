"""Clients that behave, and stay, with a steady rate of messages: crowd.py ADDRESS NETWORK FILE

The file gets a line for each thing that happened, with the time of the machine's monotonic clock:
``echo TIME SECONDS``, ``newcomer TIME SECONDS STATUS``, ``cut TIME WHY`` and, once, ``ready TIME``.
"""

from __future__ import annotations

import asyncio
import gc
import random
import ssl
import sys
import time
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

CLIENTS = 1000
# So many are behind one address.
NEIGHBOURS = 40
# How many come in a second, below what the load balancer lets in.
ARRIVALS = 35
# Each client sends a message so often, and somebody new comes so often.
SECONDS_BETWEEN_MESSAGES = 2.0
SECONDS_BETWEEN_NEWCOMERS = 1.0
# How long who comes tries; longer than any test allows.
PATIENCE = 5.0


class Crowd:
    """All clients, and what they have seen."""

    def __init__(self, address: str, network: str, file: Path) -> None:
        self.address = address
        self.network = network
        self.file = file
        self.lines: list[str] = []
        # The clients are not about certificates.
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE

    def note(self, what: str, *words: object) -> None:
        """Remember what happened."""
        self.lines.append(" ".join(map(str, [what, time.monotonic(), *words])))

    def connect(self, last_byte: int) -> connect:
        """Return what connects from one of the addresses of the network."""
        return connect(
            "wss://echo.example.test/",
            host=self.address,
            ssl=self.context,
            local_addr=(f"{self.network}.{last_byte}", 0),
            origin="https://echo.example.test",  # type: ignore[arg-type]
            proxy=None,
            open_timeout=20,
            ping_interval=None,
        )

    async def stay(self, connection: ClientConnection) -> None:
        """Send a message now and then, and see how long it takes to come back."""
        loop = asyncio.get_running_loop()
        following = loop.time() + random.uniform(0, SECONDS_BETWEEN_MESSAGES)
        try:
            while True:
                await asyncio.sleep(following - loop.time())
                began = loop.time()
                await connection.send("how are you?")
                await connection.recv()
                self.note("echo", loop.time() - began)
                following += SECONDS_BETWEEN_MESSAGES
        except ConnectionClosed as closed:
            self.note("cut", closed)

    async def newcomers(self) -> None:
        """Come, say something, leave; from another address than those who stay."""
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_NEWCOMERS)
            asyncio.create_task(self.newcomer())  # noqa: RUF006

    async def newcomer(self) -> None:
        """Come once."""
        began = time.monotonic()
        status = "none"
        try:
            async with (
                asyncio.timeout(PATIENCE),
                self.connect(128 + CLIENTS // NEIGHBOURS) as connection,
            ):
                await connection.send("hello")
                await connection.recv()
                status = "101"
        except InvalidStatus as refused:
            status = str(refused.response.status_code)
        except Exception as error:  # noqa: BLE001
            status = type(error).__name__
        self.note("newcomer", time.monotonic() - began, status)

    async def write(self) -> None:
        """Append what was noted to the file."""
        while True:
            await asyncio.sleep(0.5)
            lines, self.lines = self.lines, []
            with self.file.open("a") as file:
                file.writelines(f"{line}\n" for line in lines)

    async def live(self) -> None:
        """Come one after the other, then stay."""
        loop = asyncio.get_running_loop()
        first = loop.time()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.write())

            async def come(number: int) -> None:
                await asyncio.sleep(first + number / ARRIVALS - loop.time())
                connection = await self.connect(128 + number // NEIGHBOURS)
                tasks.create_task(self.stay(connection))

            async with asyncio.TaskGroup() as arrivals:
                for number in range(CLIENTS):
                    arrivals.create_task(come(number))
            # A collection of all these objects would look like a slow server.
            gc.collect()
            gc.freeze()
            self.note("ready")
            tasks.create_task(self.newcomers())


if __name__ == "__main__":
    asyncio.run(Crowd(sys.argv[1], sys.argv[2], Path(sys.argv[3])).live())
