#!/usr/bin/python
# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a release of an application on a server, or find it there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Build a release of an application on a server, or find it there
version_added: 0.1.0
description:
  - A release is a folder C(/opt/<name>/releases/<id>) with a virtual environment and the
    application. Its id is a digest of everything that goes in, the interpreter and the launcher
    included, so the same input is the same release on every host and in every run.
  - A release that is there costs one remote execution; nothing is uploaded or built.
  - A release is built under a temporary name, as the application's account, checked by importing
    the handler, and renamed into place. A build that fails or is interrupted leaves nothing behind.
  - Building does not touch what runs. M(websockets.fleet.instances) puts a release into service.
options:
  name:
    description: Name of the application; an account of that name exists.
    type: str
    required: true
  source:
    description:
      - Path on the controller of a project folder, a wheel, an sdist or one Python file.
      - A folder with a C(pyproject.toml) or C(setup.py) is installed by pip as well.
    type: path
    default: ''
  requirements:
    description:
      - A list of requirement specifiers, or the path on the controller of a requirements file.
        Where the file has hashes, pip enforces them.
    type: raw
    default: []
  wheelhouse:
    description:
      - Path on the controller of a folder of wheels. It is uploaded for a build; everything is
        installed from it, and no index is asked.
    type: path
    default: ''
  pip_args:
    description: Further arguments of C(pip install). They show in outputs.
    type: list
    elements: str
    default: []
  pip_env:
    description:
      - A JSON object, the environment of C(pip) in a build. Passwords in the addresses of indexes
        reach pip in a netrc file of the build's own. It shows nowhere.
    type: str
  python:
    description: Absolute path of the interpreter on the server.
    type: path
    default: /usr/bin/python3
  launcher:
    description: Whether the release serves a handler with the collection's launcher.
    type: bool
    default: true
  event_loop:
    description: Event loop of the launcher; V(uvloop) is installed beside it.
    type: str
    choices: [asyncio, uvloop]
    default: asyncio
  label:
    description: A version that people see. It is not part of the identity.
    type: str
    default: ''
  check_config:
    description: Text of the launcher's configuration, for the import check after the build.
    type: str
    default: ''
  secrets:
    description:
      - A JSON list of texts that an error does not show, such as values of O(environment).
    type: str
  keep:
    description:
      - Number of releases to leave before one is built, to have room for it; 0 leaves all.
    type: int
    default: 0
  environment:
    description:
      - A JSON object, the environment that the processes will have. The import check needs it; it
        shows nowhere.
    type: str
  program:
    description: Path in the release of a program that must be there after the build.
    type: str
    default: ''
  digest:
    description: Set by the action plugin.
    type: str
  archive:
    description: Set by the action plugin.
    type: path
  install:
    description: Set by the action plugin.
    type: list
    elements: str
attributes:
  action:
    description: The source is read on the controller.
    support: full
  check_mode:
    description: Says whether a release would be built.
    support: full
  diff_mode:
    description: Shows the current release and the one asked for.
    support: full
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- name: Build the release
  websockets.fleet.release:
    name: chat
    source: "{{ playbook_dir }}/chat"
    requirements: [redis]
  register: built
"""

RETURN = r"""
release:
  description: Identity of the release.
  returned: always
  type: str
  sample: 5b0f3c1d9a2e
present:
  description: Whether the release was there already.
  returned: always
  type: bool
path:
  description: Folder of the release.
  returned: always
  type: str
current:
  description: Identity of the release that is in service; empty where there is none.
  returned: always
  type: str
current_version:
  description: The label that it was built with.
  returned: always
  type: str
rolled_back:
  description: Identity of the release that somebody went back from to this one, or empty.
  returned: always
  type: str
"""

import json

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.websockets.fleet.plugins.module_utils._release import (
    Build,
    ReleaseError,
    build,
    check_program,
    find,
    home,
    prune,
    release_id,
    version,
)
from ansible_collections.websockets.fleet.plugins.module_utils._switch import links


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "source": {"type": "path", "default": ""},
            "requirements": {"type": "raw", "default": []},
            "wheelhouse": {"type": "path", "default": ""},
            "pip_args": {"type": "list", "elements": "str", "default": []},
            "pip_env": {"type": "str", "no_log": True},
            "python": {"type": "path", "default": "/usr/bin/python3"},
            "launcher": {"type": "bool", "default": True},
            "event_loop": {
                "type": "str",
                "choices": ["asyncio", "uvloop"],
                "default": "asyncio",
            },
            "label": {"type": "str", "default": ""},
            "check_config": {"type": "str", "default": ""},
            "environment": {"type": "str", "no_log": True},
            "secrets": {"type": "str", "no_log": True},
            "keep": {"type": "int", "default": 0},
            "program": {"type": "str", "default": ""},
            "digest": {"type": "str"},
            "archive": {"type": "path"},
            "install": {"type": "list", "elements": "str"},
        },
        supports_check_mode=True,
    )
    params = module.params
    name = params["name"]
    if not params["digest"]:
        module.fail_json(msg="this module is called through its action plugin")
    try:
        identity = release_id(params["digest"], params["python"])
        present = find(name, identity)
        path = home(name) / "releases" / identity
        state = links(name)
        result = {
            "release": identity,
            "current": state.current,
            "current_version": version(name, state.current),
            "rolled_back": "" if state.rolled_back == state.current else state.rolled_back,
            "path": str(path),
            "present": present,
            "changed": not present,
            "diff": {
                "before": f"release {state.current or 'none'}\n",
                "after": f"release {identity}\n",
            },
        }
        if present:
            check_program(path, params["program"])
        if not present and params["archive"] and not module.check_mode:
            if params["keep"]:
                prune(name, identity, params["keep"], remove=True)
            build(
                Build(
                    name=name,
                    digest=params["digest"],
                    python=params["python"],
                    label=params["label"],
                    archive=params["archive"],
                    install=tuple(params["install"] or ()),
                    launcher=params["launcher"],
                    event_loop=params["event_loop"],
                    wheelhouse=bool(params["wheelhouse"]),
                    pip_args=tuple(params["pip_args"]),
                    pip_environment=json.loads(params["pip_env"] or "{}"),
                    check_config=params["check_config"],
                    environment={
                        key: str(value)
                        for key, value in json.loads(params["environment"] or "{}").items()
                    },
                    secrets=tuple(map(str, json.loads(params["secrets"] or "[]"))),
                    program=params["program"],
                ),
                identity,
            )
    except (ReleaseError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
