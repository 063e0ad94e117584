# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show every step while processes start, restart and stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()


def file_shortage(arguments: Mapping[str, Any], processes: Sequence[Mapping[str, Any]]) -> str:
    """Say that processes may open fewer files than asked for; empty where they may not.

    One that runs something else has yet to be restarted, and says nothing of what it will have.
    """
    wanted = int(arguments.get("file_limit") or 0)
    runs = {key: arguments.get(key) for key in ("release", "fingerprint")}
    limits = [
        process["file_limit"]
        for process in processes
        if process["file_limit"] is not None and runs.items() <= process.items()
    ]
    if not limits or min(limits) >= wanted:
        return ""
    return (
        f"a process of {arguments['name']} may open {min(limits)} files, not the {wanted} of "
        "app_file_limit: the host gives no more. The sysctl fs.nr_open bounds it, in a container "
        "the limit of what started that. Raise it and restart the processes, or lower "
        "app_file_limit"
    )


class ActionModule(ActionBase):
    """Call the instances module until it is done, and show what it is doing."""

    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the module's last result, changed if any call changed something."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        host = (task_vars or {}).get("inventory_hostname", "")
        changed, shown = False, ""
        while True:
            result: dict[str, Any] = self._execute_module(
                module_name="websockets.fleet.instances",
                module_args=arguments,
                task_vars=task_vars,
            )
            changed = result["changed"] = result.get("changed", False) or changed
            if result.get("failed") or result.get("done"):
                break
            progress = result["progress"]
            if progress != shown:
                display.display(f"{host}: {progress}")
                shown = progress
            for key in ("attempted", "switched"):
                arguments[key] = result[key]
        for key in ("attempted", "switched", "progress"):
            result.pop(key, None)
        shortage = "" if result.get("failed") else file_shortage(arguments, result["processes"])
        if shortage:
            display.warning(f"{host}: {shortage}")
        if shown and not result.get("failed"):
            well = sum(process["healthy"] for process in result["processes"])
            display.display(f"{host}: {well} of {len(result['processes'])} processes are healthy")
        return result
