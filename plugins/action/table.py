# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print rows as an aligned text table, on the controller alone."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.websockets.fleet.plugins.plugin_utils._table import (
    Column,
    TableError,
    render,
)

display = Display()

ARGUMENT_SPEC: dict[str, Any] = {
    "title": {"type": "str", "default": ""},
    "columns": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "key": {"type": "str", "required": True},
            "title": {"type": "str", "required": True},
            "align": {"type": "str", "choices": ["left", "right"], "default": "left"},
        },
    },
    "rows": {"type": "list", "elements": "dict", "required": True},
    "empty": {"type": "str", "default": "(none)"},
}


class ActionModule(ActionBase):
    """Show a table through the display, so that every callback leaves it readable."""

    _supports_check_mode = True
    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the printed lines."""
        super().run(tmp, task_vars)
        arguments = self.validate_argument_spec(ARGUMENT_SPEC)[1]
        columns = [Column(**column) for column in arguments["columns"]]
        try:
            lines = render(columns, arguments["rows"], arguments["title"], arguments["empty"])
        except TableError as error:
            raise AnsibleActionFail(str(error)) from error
        display.display("\n".join(["", *lines]))
        return {"changed": False, "lines": lines}
