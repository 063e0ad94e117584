"""Chromium: what its WebSocket sees, asked by the page ``see.js`` that nginx gives it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from clients.programs.asking import answer, asked
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser.chromium import chromium

ASKED = asked()
SEEN = "return window.seen"
RULE = f"MAP {ASKED.host}:443 {ASKED.address}:443"


def main() -> tuple[str, dict[str, Any]]:
    with chromium(RULE, Path(ASKED.ca_file)) as browser:
        browser.get(f"https://{ASKED.host}/")
        # Not one script that waits: the driver's own connections end after two minutes.
        browser.execute_script(
            "const [asked] = arguments; seeAll(asked).then((seen) => { window.seen = seen; });",
            dataclasses.asdict(ASKED),
        )
        waiting = WebDriverWait(browser, ASKED.idle + 60, poll_frequency=0.2)
        seen: dict[str, Any] = waiting.until(lambda _browser: browser.execute_script(SEEN))
        version = browser.capabilities["browserVersion"]
    if not ASKED.idle:
        seen["stranger"] = is_stranger()
    return f"Chromium {version}", seen


def is_stranger() -> bool:
    """Whether a browser that does not know the authority stays out."""
    with chromium(RULE) as browser:
        browser.get(f"https://{ASKED.host}/")
        return "ERR_CERT_AUTHORITY_INVALID" in browser.page_source


answer(*main())
