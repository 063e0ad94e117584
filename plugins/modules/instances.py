#!/usr/bin/python
# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of an application on a host, as one desired state."""

from __future__ import annotations

DOCUMENTATION = r"""
module: instances
short_description: The processes of an application on a host, as one desired state
version_added: 0.1.0
description:
  - Compares what each process runs, read from the process itself, with what it should run, and
    starts, restarts or stops exactly the processes that differ.
  - Missing processes are started together. A process that runs another release or configuration is
    restarted only while all others are well, one at a time, each until it is healthy.
  - Nothing depends on what an earlier run remembers; an interrupted run is finished by the next.
  - One remote execution where there is nothing to do, whatever the number of processes. Where there
    is, every step is shown while it happens.
options:
  state:
    description: Whether the processes run, or none of them does.
    type: str
    choices: [present, absent]
    default: present
  count:
    description: Number of processes, at least 1. Needed with O(state=present).
    type: int
  release:
    description: Identity of the release that they run. Needed with O(state=present).
    type: str
  fingerprint:
    description: Digest of their configuration and unit. Needed with O(state=present).
    type: str
  start_seconds:
    description: Seconds a process may take until it is healthy.
    type: float
    default: 30
  new_secrets:
    description: In check mode, whether other secrets would be on the host by now.
    type: bool
    default: false
  file_limit:
    description:
      - Number of files that a process should be able to open. Where the host gives less, a warning
        says so. 0 asks for no number.
    type: int
    default: 0
  rollback:
    description:
      - Whether O(release) is one to go back to. The release that is left is noted then, so that the
        same rollback once more finds it done, and it is never removed as an old one.
    type: bool
    default: false
  keep:
    description:
      - Number of releases that stay on the host at the end, the newest ones; 0 lets all stay. What
        runs, is or was the current one, or was rolled back stays in any case.
    type: int
    default: 0
  attempted:
    description: Set by the action plugin.
    type: dict
    default: {}
  switched:
    description: Set by the action plugin.
    type: bool
    default: false
  slice_seconds:
    description: Set by the action plugin.
    type: float
    default: 2
extends_documentation_fragment:
  - websockets.fleet.service
attributes:
  action:
    description: Shows the progress.
    support: full
  check_mode:
    description: Says which processes would change.
    support: full
  diff_mode:
    description: Shows each process before and after.
    support: full
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- name: Run four processes of chat
  websockets.fleet.instances:
    name: chat
    count: 4
    release: "{{ built.release }}"
    fingerprint: 2f6c1b7a
    bind: 10.0.0.2
"""

RETURN = r"""
pruned:
  description: Identities of the old releases that were removed.
  returned: always
  type: list
  elements: str
done:
  description: Whether the desired state is reached.
  returned: always
  type: bool
processes:
  description: Every process, wanted or running.
  returned: always
  type: list
  elements: dict
  sample:
    - index: 1
      pid: 1204
      state: active
      release: 5b0f3c1d9a2e
      fingerprint: 2f6c1b7a
      file_limit: 65536
      healthy: true
      health: ok
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.websockets.fleet.plugins.module_utils._converge import (
    Report,
    converge,
    preview,
    remove,
)
from ansible_collections.websockets.fleet.plugins.module_utils._instances import (
    SERVICE_ARGUMENTS,
    Systemd,
    SystemdError,
    file_limit_of,
    observe,
    service_from,
)
from ansible_collections.websockets.fleet.plugins.module_utils._release import prune


def describe(report: Report) -> list[dict[str, object]]:
    """Return the processes of a report as the module's result shows them."""
    keys = ("index", "pid", "release", "fingerprint", "healthy", "health")
    return [
        {key: asdict(instance)[key] for key in keys}
        | {
            "state": instance.active,
            "file_limit": file_limit_of(instance.pid) if instance.pid else None,
        }
        for instance in report.found.values()
    ]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "count": {"type": "int"},
            "release": {"type": "str"},
            "fingerprint": {"type": "str"},
            **SERVICE_ARGUMENTS,
            "start_seconds": {"type": "float", "default": 30.0},
            "new_secrets": {"type": "bool", "default": False},
            "file_limit": {"type": "int", "default": 0},
            "rollback": {"type": "bool", "default": False},
            "keep": {"type": "int", "default": 0},
            "attempted": {"type": "dict", "default": {}},
            "switched": {"type": "bool", "default": False},
            "slice_seconds": {"type": "float", "default": 2.0},
        },
        required_if=[("state", "present", ("count", "release", "fingerprint"))],
        supports_check_mode=True,
    )
    params = module.params
    present = params["state"] == "present"
    if present and params["count"] < 1:
        module.fail_json(msg=f"count is {params['count']}; it must be at least 1")
    service = service_from(
        params,
        count=params["count"] if present else 0,
        release=params["release"] or "",
        fingerprint=params["fingerprint"] or "",
        start_seconds=params["start_seconds"],
    )
    systemd = Systemd()
    attempted = {int(index): float(at) for index, at in params["attempted"].items()}
    result: dict[str, Any] = {}
    try:
        if module.check_mode:
            changed, before, after = preview(
                service, systemd, new_secrets=params["new_secrets"], rollback=params["rollback"]
            )
            report = Report(done=True, changed=changed, found=observe(service, systemd))
            result["diff"] = {"before": before, "after": after}
        elif present:
            report = converge(
                service,
                systemd,
                attempted,
                params["slice_seconds"],
                switched=params["switched"],
                rollback=params["rollback"],
            )
        else:
            report = remove(service, systemd, params["slice_seconds"])
    except (SystemdError, OSError) as error:
        module.fail_json(msg=str(error))
    pruned = []
    if params["keep"] and report.done:
        try:
            remove_them = not module.check_mode
            pruned = prune(service.name, service.release, params["keep"], remove=remove_them)
        except OSError as error:
            # The processes are what they should be; the next run tries again.
            module.warn(f"old releases could not be removed: {error}")
    result.update(
        changed=report.changed or bool(pruned),
        pruned=pruned,
        done=report.done,
        progress=report.progress,
        attempted={str(index): at for index, at in report.attempted.items()},
        switched=report.switched,
        processes=describe(report),
    )
    if report.failed:
        module.fail_json(msg=report.failed, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
