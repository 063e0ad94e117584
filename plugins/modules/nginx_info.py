#!/usr/bin/python
# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a host's nginx what it is and which configuration of a site it runs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_info
short_description: Ask a host's nginx what it is and which configuration of a site it runs
version_added: 0.1.0
description:
  - Reads, in one remote execution, what the role C(websockets.fleet.nginx) has to know before it
    changes anything, and asks the running nginx, through the site's local socket, which
    configuration it has loaded.
  - Can wait until the running nginx has loaded a configuration.
  - Changes nothing.
options:
  site:
    description: Name of the site.
    type: str
    required: true
  socket:
    description: Path of the site's local socket.
    type: path
    required: true
  drop_in:
    description: Path of the role's drop-in for the nginx unit.
    type: path
    required: true
  names:
    description: Names of the site, the domain first, for RV(obstacles).
    type: list
    elements: str
    default: []
  ports:
    description: Ports that nginx is to listen on, for RV(obstacles).
    type: list
    elements: int
    default: []
  proxy_protocol:
    description: Whether the site speaks the PROXY protocol on these ports, for RV(obstacles).
    type: bool
    default: false
  wait_config:
    description:
      - Wait until the running nginx answers with this digest and its workers are in all groups of
        their account. Fail, with what nginx logged, when that does not happen.
    type: str
    default: ''
  timeout:
    description: How long to wait, in seconds.
    type: int
    default: 15
attributes:
  check_mode:
    description: Only reads.
    support: full
  diff_mode:
    description: Nothing changes.
    support: none
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- name: Ask nginx which configuration of the site it runs
  websockets.fleet.nginx_info:
    site: chat
    socket: /run/websockets-fleet-nginx/chat.sock
    drop_in: /etc/systemd/system/nginx.service.d/websockets-fleet.conf
  register: nginx
"""

RETURN = r"""
installed:
  description: Whether the host has nginx. Without it, only this and RV(obstacles) are returned.
  returned: always
  type: bool
obstacles:
  description: What keeps nginx from the site's file, its ports or its names, one sentence each.
  returned: always
  type: list
  elements: str
version:
  description: Version of nginx.
  returned: when installed
  type: str
  sample: 1.26.3
openssl:
  description: Version of the OpenSSL that nginx runs with.
  returned: when installed
  type: str
  sample: 3.5.4
user:
  description: The account of the workers.
  returned: when installed
  type: str
  sample: www-data
groups:
  description: The groups that this account is in.
  returned: when installed
  type: list
  elements: str
main_path:
  description: Path of the main configuration.
  returned: when installed
  type: str
  sample: /etc/nginx/nginx.conf
main:
  description: Text of the main configuration.
  returned: when installed
  type: str
default_ports:
  description: TCP ports that have a default server which is not the site's.
  returned: when installed
  type: list
  elements: int
sites:
  description: Names of the sites that the role laid on this host.
  returned: when installed
  type: list
  elements: str
welcome_page:
  description: Whether the distribution's welcome page is V(absent), V(pristine) or V(changed).
  returned: when installed
  type: str
welcome_page_taken:
  description: Whether the role took the welcome page away.
  returned: when installed
  type: bool
active:
  description: Whether the service runs.
  returned: when installed
  type: bool
enabled:
  description: Whether the service starts at boot.
  returned: when installed
  type: bool
daemon_reload:
  description: Whether systemd has to read the unit's files again.
  returned: when installed
  type: bool
config:
  description: Digest of the site that the running nginx has loaded; empty where it has none.
  returned: when installed
  type: str
missing_groups:
  description: Groups of the workers' account that the running workers are not in.
  returned: when installed
  type: list
  elements: str
error_log:
  description: Path of the error log.
  returned: when installed
  type: str
  sample: /var/log/nginx/error.log
connections:
  description: How many TCP connections clients have, at workers of any age.
  returned: when installed
  type: int
old_workers:
  description: Workers that a reload replaced and that go on until their last client has left.
  returned: when installed
  type: list
  elements: dict
  contains:
    pid:
      description: Process id.
      type: int
    connections:
      description: How many clients it still has.
      type: int
    seconds:
      description: Since when it is one.
      type: int
hardened:
  description: Whether the running nginx was started confined.
  returned: when installed
  type: bool
stale_sockets:
  description: Local sockets beside the site's, and its own, that nobody listens on.
  returned: when installed
  type: list
  elements: str
worker_file_limit:
  description: Files that a running worker can really have open; 0 when nginx does not run.
  returned: when installed
  type: int
"""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.websockets.fleet.plugins.module_utils._nginx import (
    complaints,
    connections_of,
    default_ports,
    directive,
    fleet_sites,
    groups_of,
    hardened,
    missing_groups,
    obstacles,
    old_workers,
    parse_build,
    parse_properties,
    running_config,
    stale_sockets,
    welcome_page,
    worker_file_limit,
    workers,
)

# How much of the error log is looked at, in bytes.
LOG_TAIL = 65536


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _log_tail(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - LOG_TAIL))
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""


def read(module: AnsibleModule) -> dict[str, Any]:
    """Return what the host's nginx is and runs."""
    program = module.get_bin_path("nginx", opt_dirs=["/usr/sbin", "/usr/local/sbin"])
    site = module.params["site"]
    asked = (
        module.params["ports"],
        module.params["names"],
        module.params["proxy_protocol"],
    )
    if program is None:
        conf_d = Path("/etc/nginx/conf.d")
        return {"installed": False, "obstacles": obstacles(site, conf_d, *asked)}
    build = parse_build("".join(module.run_command([program, "-V"])[1:]))
    main_path = Path(build.conf_path)
    conf_d = main_path.parent / "conf.d"
    main = _text(main_path)
    user = directive(main, "user", build.user)

    unit = parse_properties(
        module.run_command(
            [
                "systemctl",
                "show",
                "--property=ActiveState,UnitFileState,MainPID,NeedDaemonReload",
                "nginx.service",
            ]
        )[1]
    )
    conffiles = ""
    dpkg_query = module.get_bin_path("dpkg-query")
    if dpkg_query:
        conffiles = module.run_command([dpkg_query, "-W", "-f=${Conffiles}\n", "nginx*"])[1]

    master = int(unit.get("MainPID", "0"))
    pids = workers(master)
    old = old_workers(master)
    return {
        "installed": True,
        "version": build.version,
        "openssl": build.openssl,
        "user": user,
        "groups": groups_of(user),
        "main_path": str(main_path),
        "main": main,
        "sites": fleet_sites(conf_d),
        "default_ports": default_ports(site, conf_d),
        "obstacles": obstacles(site, conf_d, *asked),
        "welcome_page": welcome_page(main_path.parent, conffiles),
        "welcome_page_taken": "sites-enabled/default" in _text(Path(module.params["drop_in"])),
        "active": unit.get("ActiveState") in ("active", "reloading"),
        "enabled": unit.get("UnitFileState") in ("enabled", "alias", "static"),
        "daemon_reload": unit.get("NeedDaemonReload") == "yes",
        "config": running_config(module.params["socket"]),
        "missing_groups": missing_groups(pids, user),
        "worker_file_limit": worker_file_limit(pids),
        "connections": sum(connections_of([*pids, *(worker.pid for worker in old)]).values()),
        "old_workers": [asdict(worker) for worker in old],
        "hardened": hardened(master),
        "stale_sockets": stale_sockets(Path(module.params["socket"]).parent),
        "error_log": directive(main, "error_log", build.error_log),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "str", "required": True},
            "socket": {"type": "path", "required": True},
            "drop_in": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "default": []},
            "ports": {"type": "list", "elements": "int", "default": []},
            "proxy_protocol": {"type": "bool", "default": False},
            "wait_config": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 15},
        },
        supports_check_mode=True,
    )
    wanted = module.params["wait_config"]
    # nginx logs local time; a reload may have been asked for a moment before this module started.
    since = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(time.time() - 10))
    deadline = time.monotonic() + module.params["timeout"]
    found = read(module)
    while wanted and (found.get("config") != wanted or found["missing_groups"]):
        if time.monotonic() > deadline:
            words = complaints(_log_tail(Path(found["error_log"])), since)[-5:]
            module.fail_json(
                msg=(
                    f"nginx does not run the new configuration of {module.params['site']} after "
                    f"{module.params['timeout']} seconds. It says: "
                    + ("; ".join(words) or f"nothing in {found['error_log']}")
                ),
                config=found["config"],
                missing_groups=found["missing_groups"],
            )
        time.sleep(0.1)
        found = read(module)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
