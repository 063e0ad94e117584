#!/usr/bin/python
# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lay a set of small text files in one remote execution."""

from __future__ import annotations

DOCUMENTATION = r"""
module: files
short_description: Lay a set of small text files in one remote execution
version_added: 0.1.0
description:
  - Makes the configuration files of one service what they should be, all in one remote execution.
  - Every file that differs is written beside its place and checked by the program that will read
    it. Only when all have passed does the first one land, by rename; the others follow in the order
    given.
  - A file that is refused leaves the host as it was.
options:
  files:
    description: The files, in the order in which they land.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      content:
        description:
          - The text. Exactly one of O(files[].content) and O(files[].secret_content) is given.
        type: str
      secret_content:
        description: The text of a file that must not show in any output, diff or log.
        type: str
      owner:
        description: Name of the owner.
        type: str
        default: root
      group:
        description: Name of the group.
        type: str
        default: root
      mode:
        description: Octal mode, as a string.
        type: str
        default: '0644'
      validate:
        description:
          - A command that exits 0 when the file is good. C(%s) stands for the file to check.
          - No shell reads it. In check mode it is not run.
        type: str
        default: ''
  directories:
    description: The directories, made before the files, parents first.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path. Its parent exists or stands before it in the list.
        type: path
        required: true
      owner:
        description: Name of the owner.
        type: str
        default: root
      group:
        description: Name of the group.
        type: str
        default: root
      mode:
        description: Octal mode, as a string.
        type: str
        default: '0755'
  secrets:
    description:
      - A JSON list of texts that a refusal of such a command does not show.
    type: str
  environment:
    description:
      - A JSON object, the environment of the commands in O(files[].validate). It shows nowhere.
    type: str
  absent:
    description: Paths that must not be there. A directory goes with all that is in it.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    description: Reports what would change, without validation.
    support: full
  diff_mode:
    description: Shows every change but the contents of secret files.
    support: full
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- name: Lay the files of a site
  websockets.fleet.files:
    directories:
      - path: /etc/chat
        mode: "0750"
    files:
      - path: /etc/chat/server.toml
        content: "{{ lookup('ansible.builtin.template', 'etc/app/server.toml.j2') }}"
        mode: "0640"
        validate: /opt/chat/current/venv/bin/python -m websockets_fleet --check --config %s
      - path: /etc/chat/secrets
        secret_content: "TOKEN={{ vault_token }}"
        mode: "0400"
"""

RETURN = r"""
changed_paths:
  description: The paths that changed or, in check mode, would change.
  returned: always
  type: list
  elements: str
  sample: [/etc/chat/server.toml]
"""

import json
import shlex
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.websockets.fleet.plugins.module_utils._files import (
    Entry,
    FilesError,
    lay,
    parse_mode,
)
from ansible_collections.websockets.fleet.plugins.module_utils._mask import mask


class Module(AnsibleModule):
    """AnsibleModule, but for what it logs."""

    def log(self, msg: str, log_args: dict[str, str] | None = None) -> None:
        """Log no arguments: it looks for secrets of several lines where these are escaped."""
        super().log("Invoked")


def entries(module: AnsibleModule) -> tuple[list[Entry], list[Entry]]:
    """Return the directories and the files that the module's arguments ask for."""
    directories = [
        Entry(item["path"], item["owner"], item["group"], parse_mode(item["mode"], item["path"]))
        for item in module.params["directories"]
    ]
    files = []
    for item in module.params["files"]:
        secret = item["secret_content"] is not None
        content = item["secret_content"] if secret else item["content"]
        files.append(
            Entry(
                path=item["path"],
                owner=item["owner"],
                group=item["group"],
                mode=parse_mode(item["mode"], item["path"]),
                content=content.encode("utf-8"),
                secret=secret,
                validate=item["validate"],
            )
        )
    for path in [entry.path for entry in directories + files] + module.params["absent"]:
        if not Path(path).is_absolute():
            raise FilesError(f"{path!r} is not an absolute path")
    return directories, files


def main() -> None:
    """Run the module."""
    owner = {"type": "str", "default": "root"}
    module = Module(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "content": {"type": "str"},
                    "secret_content": {"type": "str", "no_log": True},
                    "owner": owner,
                    "group": owner,
                    "mode": {"type": "str", "default": "0644"},
                    "validate": {"type": "str", "default": ""},
                },
                "required_one_of": [("content", "secret_content")],
                "mutually_exclusive": [("content", "secret_content")],
            },
            "directories": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "owner": owner,
                    "group": owner,
                    "mode": {"type": "str", "default": "0755"},
                },
            },
            "environment": {"type": "str", "no_log": True},
            "secrets": {"type": "str", "no_log": True},
            "absent": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )

    environment = {
        key: str(value) for key, value in json.loads(module.params["environment"] or "{}").items()
    }

    def validate(entry: Entry, staged: str) -> None:
        if not entry.validate:
            return
        command = [word.replace("%s", staged) for word in shlex.split(entry.validate)]
        code, output, error = module.run_command(command, environ_update=environment)
        if code != 0:
            words = (error.strip() or output.strip()).replace(staged, entry.path)
            words = words.replace(Path(staged).name, Path(entry.path).name)
            words = mask(words, json.loads(module.params["secrets"] or "[]"))
            raise FilesError(f"{entry.path} was refused, nothing was written: {words}")

    def land(staged: str, path: str) -> None:
        # atomic_move() would give a new file the mode that the umask allows, secrets included.
        Path(staged).rename(path)
        module.set_default_selinux_context(path, changed=False)

    try:
        directories, files = entries(module)
        outcome = lay(
            directories, files, module.params["absent"], validate, land, module.check_mode
        )
    except (FilesError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(outcome.changed_paths),
        changed_paths=outcome.changed_paths,
        diff=outcome.diff,
    )


if __name__ == "__main__":
    main()
