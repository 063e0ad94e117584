"""A headless Chromium that trusts one authority, and a chat to open in it.

``CHAT_URL``, ``CHAT_CONNECT_TO`` (address or address:port) and ``CHAT_CA_FILE`` name a chat that
runs, ``CHAT_SERVERS`` on how many servers. Without them the tests serve one themselves, on
loopback. ``CHAT_PICTURES`` is a folder for pictures of the page.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

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
    with _browser(chat, trust=True) as driver:
        yield driver


@pytest.fixture
def stranger(chat: Chat) -> Iterator[Chrome]:
    """Return a browser as anyone has it."""
    with _browser(chat, trust=False) as driver:
        yield driver


@contextmanager
def _browser(chat: Chat, *, trust: bool) -> Iterator[Chrome]:
    home = Path(tempfile.mkdtemp(prefix="websockets-fleet-browser-"))
    try:
        if trust:
            _trust(home, chat.ca_file)
        options = ChromeOptions()
        options.binary_location = _program("chromium")
        options.add_argument("--headless=new")
        options.add_argument(f"--user-data-dir={home / 'profile'}")
        options.add_argument(f"--host-resolver-rules={chat.resolver_rule}")
        options.add_argument("--window-size=640,720")
        options.add_argument("--disable-gpu")
        # Background tabs must go on at full speed: the test looks at two in turn.
        options.add_argument("--disable-background-timer-throttling")
        # A small /dev/shm is common where tests run.
        options.add_argument("--disable-dev-shm-usage")
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = Service(_program("chromedriver"), env={**os.environ, "HOME": str(home)})
        driver = Chrome(options, service)
        try:
            yield driver
        finally:
            driver.quit()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is missing: apt-get install chromium chromium-driver libnss3-tools")
    return found


def _trust(home: Path, ca_file: Path) -> None:
    """Let the browser with this home trust one more authority; it still verifies all else."""
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    certutil = _program("certutil")
    for words in (
        ["-N", "--empty-password"],
        ["-A", "-t", "C,,", "-n", "the fleet's authority", "-i", str(ca_file)],
    ):
        subprocess.run([certutil, "-d", f"sql:{store}", *words], check=True)
