# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long does it take to build a release of the chat example, with pip and with uv?

Cold is what a server does: nothing is kept between builds. Warm has a cache from a build before.
Run it as root: make bench-release
"""

from __future__ import annotations

import os
import pwd
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.websockets.fleet.plugins.module_utils import _release
from ansible_collections.websockets.fleet.plugins.plugin_utils._payload import collect

REPOSITORY = Path(__file__).resolve().parents[1]
ROUNDS = 5
KINDS = ("pip cold", "pip warm", "uv cold", "uv warm")


def fetch_uv(folder: Path) -> Path:
    """Return a folder with the program uv in it."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*pip, f"--dest={folder}", "uv"], check=True)
    with zipfile.ZipFile(next(folder.glob("uv-*.whl"))) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        (folder / "uv").write_bytes(archive.read(name))
    (folder / "uv").chmod(0o755)
    return folder


def keep_caches(folder: Path, kind: str) -> None:
    """Make every step of a build use a cache that outlives it, or none."""
    run: Any = _release._Builder.run
    warm = {
        "PIP_NO_CACHE_DIR": "0",
        "PIP_CACHE_DIR": str(folder / "pip-cache"),
        "UV_CACHE_DIR": str(folder / "uv-cache"),
    }

    def with_cache(
        self: Any,
        purpose: str,
        command: list[str],
        text: str | None = None,
        cwd: str = "app",
        more: Mapping[str, str] | None = None,
    ) -> str:
        environment = {**(more or {}), **(warm if kind.endswith("warm") else {})}
        return str(original(self, purpose, command, text, cwd, environment))

    original = getattr(run, "original", run)
    with_cache.original = original  # type: ignore[attr-defined]
    _release._Builder.run = with_cache  # type: ignore[method-assign]


def measure(folder: Path, kind: str, uv: Path) -> float:
    """Build a release; return the seconds that it took."""
    keep_caches(folder, kind)
    # As on a host whose pip has no configuration of its own.
    _release.PIP_CONFIGURATIONS = ("", "")
    _release.PATH = f"{uv}:/usr/bin:/bin" if kind.startswith("uv") else "/nowhere:/usr/bin:/bin"
    payload = collect(
        str(REPOSITORY / "examples" / "chat"),
        [],
        REPOSITORY / "roles" / "app" / "files" / "websockets_fleet",
    )
    archive = folder / "release.tar.gz"
    with archive.open("wb") as stream:
        payload.write_archive(stream, payload.digest())
    wanted = _release.Build(
        name="bench",
        digest="",
        python=os.environ.get("APP_PYTHON", "/usr/bin/python3"),
        archive=str(archive),
        install=payload.install,
        launcher=True,
    )
    began = time.monotonic()
    _release.build(wanted, "bench")
    seconds = time.monotonic() - began
    shutil.rmtree(folder / "bench")
    return seconds


def main() -> None:
    """Measure in turns and print a table."""
    own = pwd.getpwuid(os.getuid())
    pwd.getpwnam = lambda _name: own
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _release.home = lambda name: folder / name
        uv = fetch_uv(folder)
        for kind in KINDS:
            measure(folder, kind, uv)
        seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for turn in range(ROUNDS):
            print(f"round {turn + 1} of {ROUNDS}", flush=True)
            for kind in KINDS:
                seconds[kind].append(measure(folder, kind, uv))
    print(f"{'':10}{'median':>8}{'least':>8}{'most':>8}   seconds, whole build")
    for kind, found in seconds.items():
        print(f"{kind:10}{statistics.median(found):8.1f}{min(found):8.1f}{max(found):8.1f}")


if __name__ == "__main__":
    main()
