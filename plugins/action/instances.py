# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show every step while processes start, restart and stop."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()


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
        if shown and not result.get("failed"):
            well = sum(process["healthy"] for process in result["processes"])
            display.display(f"{host}: {well} of {len(result['processes'])} processes are healthy")
        return result
