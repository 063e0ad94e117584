# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill a folder on the controller with the wheels that the servers need."""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.websockets.fleet.plugins.module_utils._release import (
    EVENT_LOOPS,
    LAUNCHER_REQUIREMENTS,
)
from ansible_collections.websockets.fleet.plugins.plugin_utils._app_faults import (
    installation_faults,
)
from ansible_collections.websockets.fleet.plugins.plugin_utils._payload import (
    Payload,
    SourceError,
    collect,
)
from ansible_collections.websockets.fleet.plugins.plugin_utils._wheelhouse import (
    Changes,
    Downloader,
    Target,
    WheelhouseError,
    apply,
    build_requirements,
    compare,
    targets,
)

display = Display()


def _unpack(payload: Payload, folder: Path) -> None:
    with tempfile.TemporaryFile() as stream:
        payload.write_archive(stream, payload.digest())
        stream.seek(0)
        with tarfile.open(fileobj=stream) as archive:
            archive.extractall(folder, filter="data")


def _wanted(payload: Payload, folder: Path, launcher: list[str]) -> list[list[str]]:
    """Return what to ask pip for: one list for the release, one for what builds it."""
    requirements = folder / "requirements.txt"
    named = ["--requirement", requirements.name] if requirements.is_file() else []
    sources = [f"./{path}" for path in payload.install]
    building = [word for path in payload.install for word in build_requirements(folder / path)]
    if named and b"--hash" in requirements.read_bytes():
        # Such a file names everything, the launcher's own as well.
        return [["--require-hashes", *named], building]
    return [[*named, *sources, *launcher], building]


class ActionModule(ActionBase):
    """Download on the controller; nothing is done on a server."""

    _requires_connection = False
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what was added and removed; raise AnsibleActionFail where wheels are missing."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        environment = json.loads(arguments.get("pip_env") or "{}")
        faults = installation_faults(
            {
                "app_pip_args": arguments.get("pip_args"),
                "app_pip_env": environment,
                "app_requirements": arguments.get("requirements"),
            }
        )
        if not arguments.get("path"):
            faults.append("app_wheelhouse is empty: set it to the folder that is to be filled")
        if faults:
            raise AnsibleActionFail("; ".join(faults))
        wheelhouse = Path(arguments["path"])
        try:
            with tempfile.TemporaryDirectory() as name:
                needed = Path(name) / "needed"
                self._download(arguments, environment, Path(name), needed)
                changes = compare(wheelhouse, needed)
                if not self._task.check_mode:
                    apply(wheelhouse, needed, changes)
        except (SourceError, WheelhouseError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        return result | self._report(wheelhouse, changes)

    def _download(
        self, arguments: dict[str, Any], environment: dict[str, str], folder: Path, needed: Path
    ) -> None:
        launcher: list[str] = []
        if arguments.get("launcher", True):
            event_loop = EVENT_LOOPS[arguments.get("event_loop") or "asyncio"]
            launcher = [*LAUNCHER_REQUIREMENTS, *event_loop]
        payload = collect(arguments.get("source") or "", arguments.get("requirements") or [], None)
        _unpack(payload, folder)
        downloader = Downloader(
            sys.executable, folder, arguments.get("pip_args") or [], environment
        )
        downloader.check()
        wanted = _wanted(payload, folder, launcher)
        found: list[Target] = targets(arguments["servers"])
        for target in found:
            display.display(f"looking for the wheels for {target}")
            for what in filter(None, wanted):
                downloader.download(target, what, Path(arguments["path"]), needed)
        # The application itself is uploaded as it is.
        for path in payload.install:
            (needed / Path(path).name).unlink(missing_ok=True)

    def _report(self, wheelhouse: Path, changes: Changes) -> dict[str, Any]:
        state = "would be" if self._task.check_mode else "is"
        for verb, names in (("added", changes.added), ("removed", changes.removed)):
            for name in names:
                display.display(f"{wheelhouse}: {name} {state} {verb}")
        for name in changes.foreign:
            display.display(
                f"{wheelhouse}: {name} is not needed, and stays: it came from elsewhere"
            )
        return {
            "changed": bool(changes.added or changes.removed),
            "added": list(changes.added),
            "removed": list(changes.removed),
            "diff": {
                "before": "".join(f"{name}\n" for name in changes.removed),
                "after": "".join(f"{name}\n" for name in changes.added),
                "before_header": str(wheelhouse),
                "after_header": str(wheelhouse),
            },
        }
