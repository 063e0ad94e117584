# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print a warning that stands out, on the controller alone."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()


class ActionModule(ActionBase):
    """Show a warning through the display, so that it looks like Ansible's own."""

    _supports_check_mode = True
    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the warning."""
        super().run(tmp, task_vars)
        arguments = self.validate_argument_spec({"msg": {"type": "str", "required": True}})[1]
        host = (task_vars or {}).get("inventory_hostname", "")
        display.warning(f"{host}: {arguments['msg']}")
        return {"changed": False, "msg": arguments["msg"]}
