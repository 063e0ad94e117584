# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The releases on a host, and whether one of them runs with what is configured there. Private."""

from __future__ import annotations

import contextlib
import json
import pwd
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.websockets.fleet.plugins.module_utils._instances import (
    ETC,
    UNITS,
    assignments,
    enabled,
    secrets_of,
)
from ansible_collections.websockets.fleet.plugins.module_utils._mask import mask
from ansible_collections.websockets.fleet.plugins.module_utils._release import (
    ReleaseError,
    check_program,
    find,
    home,
    in_use,
    last_lines,
)
from ansible_collections.websockets.fleet.plugins.module_utils._switch import links

__all__ = ["Configuration", "configuration", "fault", "releases"]

CHECK_SECONDS = 120
DESCRIBED = ("version", "inputs", "built", "python")


def releases(name: str) -> list[dict[str, Any]]:
    """Return every whole release of an application, the newest first."""
    folder = home(name) / "releases"
    state = links(name)
    running = in_use(folder)
    found = []
    for path in folder.glob("[!.]*/release.json"):
        identity = path.parent.name
        # It may be pruned meanwhile.
        with contextlib.suppress(OSError):
            description = json.loads(path.read_text())
            found.append(
                {
                    "release": identity,
                    **{key: description.get(key, "") for key in DESCRIBED},
                    "current": identity == state.current,
                    "previous": identity == state.previous,
                    "rolled_back": identity == state.rolled_back,
                    "in_use": identity in running,
                }
            )
    return sorted(found, key=lambda release: (release["built"], release["release"]), reverse=True)


@dataclass(frozen=True)
class Configuration:
    """What stands on the host for a process that starts now, whatever its release."""

    fingerprint: str = ""
    processes: int = 0
    """How many a boot starts."""
    launched: bool = False
    program: str = ""
    """Path in the release of the program that the unit starts; empty for one of the host's."""


def configuration(name: str) -> Configuration:
    """Return what stands on the host; an empty one where the application was never deployed."""
    try:
        unit = (UNITS / f"{name}@.service").read_text("utf-8", "replace")
    except OSError:
        return Configuration()
    fingerprint = re.search(r"^Environment=.*\bAPP_FINGERPRINT=(\w+)", unit, re.M)
    command = re.search(r"^ExecStart=(.*)", unit, re.M)
    words = command[1] if command else ""
    program = re.search(rf'"{re.escape(str(home(name)))}/current/([^"]+)"', words)
    return Configuration(
        fingerprint=fingerprint[1] if fingerprint else "",
        processes=max(enabled(name), default=0),
        launched='"-m" "websockets_fleet"' in words,
        program=program[1] if program else "",
    )


def fault(name: str, release: str) -> str:
    """Return why a release would not run with the host's configuration; empty where it would.

    The launcher of that release checks its configuration as the application's account, with the
    environment and the secrets of the processes. No secret is in what is returned.
    """
    if not find(name, release):
        return f"release {release} is not on this host"
    folder = home(name) / "releases" / release
    setup = configuration(name)
    try:
        check_program(folder, setup.program)
    except ReleaseError:
        return f"{setup.program} is no program in release {release}"
    return _refusal(name, folder) if setup.launched else ""


def _refusal(name: str, folder: Path) -> str:
    secrets = secrets_of(name)
    config = ETC / name / "server.toml"
    python = folder / "venv" / "bin" / "python"
    try:
        account = pwd.getpwnam(name)
        done = subprocess.run(
            [str(python), "-m", "websockets_fleet", "--check", "--config", str(config)],
            cwd=folder / "app",
            env={
                "LANG": "C.UTF-8",
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "INSTANCE": "1",
                "APP_RELEASE": folder.name,
                **assignments(ETC / name / "env"),
                **secrets,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=CHECK_SECONDS,
            check=False,
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
        )
    except KeyError:
        return f"there is no account {name}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the launcher of release {folder.name} does not run: {error}"
    if done.returncode == 0:
        return ""
    words = done.stderr.strip() or done.stdout.strip()
    # The application may say them when it is imported.
    words = mask(words, secrets.values())
    words = last_lines(words)
    return f"release {folder.name} refuses the configuration on this host:\n{words}"
