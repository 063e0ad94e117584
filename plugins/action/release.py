# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the source on the controller; upload it only to a server that has to build."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.websockets.fleet.plugins.module_utils._pip_environment import public
from ansible_collections.websockets.fleet.plugins.plugin_utils._other_release import (
    other_release,
)
from ansible_collections.websockets.fleet.plugins.plugin_utils._payload import (
    Payload,
    SourceError,
    collect,
)

display = Display()

LAUNCHER = Path(__file__).parents[2] / "roles" / "app" / "files" / "websockets_fleet"


def _collect(arguments: dict[str, Any], pip_environment: dict[str, Any]) -> Payload:
    launcher = arguments.get("launcher", True)
    return collect(
        arguments.get("source") or "",
        arguments.get("requirements") or [],
        LAUNCHER if launcher else None,
        arguments.get("wheelhouse") or "",
        {
            "event_loop": arguments.get("event_loop", "asyncio") if launcher else "",
            "pip_args": arguments.get("pip_args") or [],
            "pip_env": public(pip_environment),
        },
    )


class ActionModule(ActionBase):
    """Run the release module once, and once more where the release must be built."""

    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the module's result; raise AnsibleActionFail for a source that can't be used."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        for key in ("digest", "archive", "install"):
            if key in arguments:
                raise AnsibleActionFail(f"{key} is set by the action plugin")
        # Only a build needs them: whoever looks for a release has no use for passwords.
        pip_environment = arguments.pop("pip_env", None) or "{}"
        try:
            payload = _collect(arguments, json.loads(pip_environment))
            arguments |= {"digest": payload.digest(), "install": list(payload.install)}
            result = self._module(arguments, task_vars)
            if not result.get("failed"):
                self._tell(result, arguments, task_vars)
            if result.get("failed") or result["present"] or self._task.check_mode:
                return result
            arguments["pip_env"] = pip_environment
            return self._build(payload, arguments, result["release"], task_vars)
        except (SourceError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _module(
        self, arguments: dict[str, Any], task_vars: dict[str, Any] | None
    ) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="websockets.fleet.release", module_args=arguments, task_vars=task_vars
        )
        return result

    def _tell(
        self,
        result: dict[str, Any],
        arguments: dict[str, Any],
        task_vars: dict[str, Any] | None,
    ) -> None:
        """Say where the host runs another release than the inventory asks for."""
        label = arguments.get("label") or ""
        text, warns = other_release(result, label, check=self._task.check_mode)
        if text:
            host = (task_vars or {}).get("inventory_hostname", "")
            (display.warning if warns else display.display)(f"{host}: {text}")

    def _build(
        self,
        payload: Payload,
        arguments: dict[str, Any],
        identity: str,
        task_vars: dict[str, Any] | None,
    ) -> dict[str, Any]:
        host = (task_vars or {}).get("inventory_hostname", "")
        display.display(f"{host}: building release {identity}")
        started = time.monotonic()
        remote = self._connection._shell.join_path(self._make_tmp_path(), "release.tar.gz")
        with tempfile.NamedTemporaryFile(suffix=".tar.gz") as local:
            payload.write_archive(local, arguments["digest"])
            local.flush()
            self._transfer_file(local.name, remote)
        self._fixup_perms2((self._connection._shell.tmpdir, remote))
        result = self._module(arguments | {"archive": remote}, task_vars)
        if not result.get("failed"):
            seconds = time.monotonic() - started
            display.display(f"{host}: release {identity} is built ({seconds:.0f} s)")
        return result
