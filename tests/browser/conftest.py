"""A headless Chromium that trusts one authority, and a chat to open in it.

``CHAT_URL``, ``CHAT_CONNECT_TO`` (address or address:port) and ``CHAT_CA_FILE`` name a chat that
runs, ``CHAT_SERVERS`` on how many servers. Without them the tests serve one themselves, on
loopback. ``CHAT_PICTURES`` is a folder for pictures of the page.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Chrome

from tests.browser.chromium import chromium
from tests.browser.local_chat import serve_locally


@dataclass(frozen=True)
class Chat:
    """Where the chat is, for a browser."""

    url: str
    connect_to: str
    ca_file: Path
    servers: int = 1
    move: Callable[[], None] | None = None
    """Close every connection with 1001; only of the chat that the tests serve themselves."""

    @property
    def resolver_rule(self) -> str:
        """What makes Chromium connect there under the name in the URL."""
        parts = urlsplit(self.url)
        port = parts.port or 443
        place = self.connect_to if ":" in self.connect_to else f"{self.connect_to}:{port}"
        return f"MAP {parts.hostname}:{port} {place}"


@pytest.fixture(scope="session")
def chat() -> Iterator[Chat]:
    if url := os.environ.get("CHAT_URL"):
        yield Chat(
            url,
            os.environ["CHAT_CONNECT_TO"],
            Path(os.environ["CHAT_CA_FILE"]),
            int(os.environ.get("CHAT_SERVERS", "1")),
        )
        return
    with serve_locally("chat.example.test") as (port, ca_file, move):
        yield Chat("https://chat.example.test/", f"127.0.0.1:{port}", ca_file, move=move)


@pytest.fixture
def browser(chat: Chat) -> Iterator[Chrome]:
    """Return a browser that trusts the chat's authority."""
    with chromium(chat.resolver_rule, chat.ca_file) as driver:
        yield driver


@pytest.fixture
def stranger(chat: Chat) -> Iterator[Chrome]:
    """Return a browser as anyone has it."""
    with chromium(chat.resolver_rule) as driver:
        yield driver
