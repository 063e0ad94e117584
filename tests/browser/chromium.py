"""A headless Chromium of Debian's, driven by its own driver."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

__all__ = ["chromium"]


@contextmanager
def chromium(resolver_rule: str, ca_file: Path | None = None) -> Iterator[Chrome]:
    """Start a browser that finds a name where the rule says, and trusts one more authority."""
    home = Path(tempfile.mkdtemp(prefix="websockets-fleet-browser-"))
    try:
        if ca_file is not None:
            _trust(home, ca_file)
        options = ChromeOptions()
        options.binary_location = _program("chromium")
        options.add_argument("--headless=new")
        options.add_argument(f"--user-data-dir={home / 'profile'}")
        options.add_argument(f"--host-resolver-rules={resolver_rule}")
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
        raise FileNotFoundError(
            f"{name} is missing: apt-get install chromium chromium-driver libnss3-tools"
        )
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
