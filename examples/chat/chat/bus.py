"""Carry lines between the processes of one room, in signed datagrams.

Each process listens on an address of its own and sends what it has to say to all the others. This
is as much as a demonstration needs: a line may get lost, and whoever can read the fleet's private
network can read it. In its place a real service has a broker, such as Redis or PostgreSQL.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import secrets
import socket
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Address", "Bus", "from_environment"]

# A host and a port, or the path of a unix socket.
Address = tuple[str, int] | str

KEY_LENGTH = 16
SIGNATURE_LENGTH = 32
# When it was sent in seconds, and a random number: no datagram is taken twice.
STAMP = struct.Struct("!d16s")
# Seconds that the clocks of two servers may differ.
FRESH = 30


class Bus(asyncio.DatagramProtocol):
    """One end of the bus: ``own`` is where this process listens, ``peers`` where all do."""

    def __init__(self, key: bytes, own: Address, peers: Sequence[Address]) -> None:
        self.key = key
        self.own = own
        self.peers = peers
        self.transport: asyncio.DatagramTransport | None = None
        self._opening = asyncio.Lock()
        self._receive: Callable[[str], None] | None = None
        self._seen: dict[bytes, float] = {}

    async def open(self, receive: Callable[[str], None]) -> None:
        """Listen, if it does not yet; call ``receive`` with each text of another process."""
        async with self._opening:
            if self.transport is None:
                self._receive = receive
                unix = isinstance(self.own, str)
                loop = asyncio.get_running_loop()
                self.transport, _protocol = await loop.create_datagram_endpoint(
                    lambda: self,
                    local_addr=self.own,
                    family=socket.AF_UNIX if unix else socket.AF_UNSPEC,
                )

    def close(self) -> None:
        """Stop listening."""
        if self.transport is not None:
            self.transport.close()

    def send(self, text: str) -> None:
        """Send a text to every other process; those that do not run miss it."""
        if self.transport is None:
            raise RuntimeError("the bus is not open")
        nonce = secrets.token_bytes(16)
        now = time.time()
        # This process is one of the peers: it knows its own datagrams by this.
        self._remember(nonce, now)
        body = STAMP.pack(now, nonce) + text.encode()
        for peer in self.peers:
            self.transport.sendto(self._sign(body) + body, peer)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Take a datagram that is signed, fresh and new; leave any other."""
        signature, body = data[:SIGNATURE_LENGTH], data[SIGNATURE_LENGTH:]
        if not hmac.compare_digest(signature, self._sign(body)) or self._receive is None:
            return
        sent, nonce = STAMP.unpack_from(body)
        now = time.time()
        if abs(now - sent) > FRESH or nonce in self._seen:
            return
        self._remember(nonce, now)
        self._receive(body[STAMP.size :].decode())

    def error_received(self, exc: Exception) -> None:
        """Ignore that a process or a server is not there."""

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self.key, body, "sha256")

    def _remember(self, nonce: bytes, now: float) -> None:
        # Oldest first. What is older than this is not fresh any more.
        for old in list(self._seen):
            if now - self._seen[old] <= 2 * FRESH:
                break
            del self._seen[old]
        self._seen[nonce] = now


def from_environment(environment: Mapping[str, str]) -> Bus | None:
    """Return the bus that CHAT_KEY and the other variables describe, ``None`` without CHAT_KEY.

    Raises ValueError, naming the variable, where one has no meaning.
    """
    key = environment.get("CHAT_KEY", "")
    if not key:
        return None
    if len(key) < KEY_LENGTH:
        raise ValueError(f"CHAT_KEY has {len(key)} characters: give {KEY_LENGTH} or more")
    processes = _number(environment, "CHAT_PROCESSES", 32, 1, 256)
    instance = _number(environment, "INSTANCE", 1, 1, 65535)
    if instance > processes:
        raise ValueError(f"CHAT_PROCESSES is {processes}, and this is process {instance}: raise it")
    numbers = range(1, processes + 1)
    if path := environment.get("UNIX_SOCKET"):
        # On one server only. The kernel may allow this process no network at all.
        places: list[Address] = [str(Path(path).with_name(f"{number}.bus")) for number in numbers]
        return Bus(key.encode(), places[instance - 1], places)
    host = environment.get("HOST", "127.0.0.1")
    port = _number(environment, "CHAT_BUS_PORT", 9700, 1, 65535 - processes)
    hosts = [name.strip() for name in environment.get("CHAT_PEERS", host).split(",")]
    for name in hosts:
        try:
            ipaddress.ip_address(name)
        except ValueError:
            raise ValueError(
                f"CHAT_PEERS has {name!r}: give the servers' IP addresses, parted by commas"
            ) from None
    peers: list[Address] = [(name, port + number) for name in hosts for number in numbers]
    return Bus(key.encode(), (host, port + instance), peers)


def _number(environment: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdecimal() or not low <= int(text) <= high:
        raise ValueError(f"{name} is {text!r}: give a number from {low} to {high}")
    return int(text)
