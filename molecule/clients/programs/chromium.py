"""Chromium: what its WebSocket sees, asked by the page ``see.js`` that nginx gives it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from clients.programs.asking import answer, asked

from tests.browser.chromium import chromium

ASKED = asked()
RULE = f"MAP {ASKED.host}:443 {ASKED.address}:443"


def main() -> tuple[str, dict[str, Any]]:
    with chromium(RULE, Path(ASKED.ca_file)) as browser:
        browser.set_script_timeout(ASKED.idle + 60)
        browser.get(f"https://{ASKED.host}/")
        seen: dict[str, Any] = browser.execute_async_script(
            "const [asked, done] = arguments; seeAll(asked).then(done);",
            dataclasses.asdict(ASKED),
        )
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
