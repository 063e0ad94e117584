"""What the programs are asked, and how they answer: one JSON object each way."""

from __future__ import annotations

import json
import os
import random
import sys
from dataclasses import dataclass
from typing import Any

SUBPROTOCOLS = ["v1.echo", "v2.echo"]
# Cut anywhere, also within a character.
TEXT = "Grüße, 你好, 👋 — " * 500
PIECES = [TEXT.encode()[start : start + 999] for start in range(0, len(TEXT.encode()), 999)]
BINARY = random.Random(1).randbytes(100_000)


@dataclass(frozen=True)
class Asked:
    """Where to connect and what to try."""

    host: str
    """The name in the URL and in the certificate."""

    address: str
    """Where that name is to be found."""

    ca_file: str
    compression: bool
    big: int
    """Bytes of the greatest message that is allowed."""

    too_big: int
    """Bytes of one that is not."""

    idle: float
    """Seconds to be idle; then nothing else is tried."""

    @property
    def url(self) -> str:
        """The start of all URLs."""
        return f"wss://{self.host}"

    @property
    def incompressible(self) -> bytes:
        """A message of the greatest size."""
        return os.urandom(self.big)


def asked() -> Asked:
    """Read what the test asks from the only argument."""
    return Asked(**json.loads(sys.argv[1]))


def answer(version: str, seen: dict[str, Any]) -> None:
    """Tell the test which client this is and what it saw."""
    json.dump({"version": version, "seen": seen}, sys.stdout)
