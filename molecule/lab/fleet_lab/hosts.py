# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that make an image a host: who it is, who may log in, what it knows of the machine."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from fleet_lab.images import USER, USER_ID
from fleet_lab.machine import CA_BUNDLE, apt_proxy_conf, environment, pip_conf, resolv_conf
from fleet_lab.network import gateway
from fleet_lab.spec import Host
from fleet_lab.system import run

__all__ = ["File", "from_machine", "lay", "of_host"]


@dataclass(frozen=True)
class File:
    """One file of a host."""

    path: str
    content: str = field(repr=False)
    mode: int = 0o644
    owner: int = 0


def from_machine() -> list[File]:
    """Give what this machine has and a host needs to reach the package registries."""
    env = dict(os.environ)
    home = Path.home()
    config_home = Path(env.get("XDG_CONFIG_HOME") or home / ".config")
    pip_files: list[str | Path] = [
        "/etc/xdg/pip/pip.conf",
        "/etc/pip.conf",
        home / ".pip/pip.conf",
        config_home / "pip/pip.conf",
        env.get("PIP_CONFIG_FILE") or "/dev/null",
    ]
    resolvers = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"]
    found = {
        "etc/resolv.conf": resolv_conf(_read(resolvers)),
        "etc/pip.conf": pip_conf(list(_read(pip_files)), env),
        "etc/environment": environment(env),
        "etc/apt/apt.conf.d/91machine": apt_proxy_conf(run(["apt-config", "dump"]), env),
        CA_BUNDLE.lstrip("/"): next(_read([CA_BUNDLE]), None),
    }
    # Beside the bundle, so that a rebuilt bundle has them too.
    for certificate in sorted(Path("/usr/local/share/ca-certificates").glob("**/*.crt")):
        found[str(certificate).lstrip("/")] = certificate.read_text()
    return [File(path, content) for path, content in found.items() if content]


def _read(paths: Iterable[str | Path]) -> Iterator[str]:
    for path in map(Path, paths):
        if path.is_file():
            yield path.read_text(errors="replace")


def of_host(
    host: Host, address: IPv4Address, subnet: IPv4Network, host_key: Path, user_key: Path
) -> list[File]:
    """Give what only this host has; host_key and user_key are private keys with .pub beside."""
    lines = ["[Match]", "Name=host0", "[Network]", f"Address={address}/{subnet.prefixlen}"]
    if host.internet:
        lines.append(f"Gateway={gateway(subnet)}")
    authorized = user_key.with_suffix(".pub").read_text()
    return [
        File("etc/hostname", f"{host.name}\n"),
        File("etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n{address} {host.name}\n"),
        File("etc/machine-id", f"{secrets.token_hex(16)}\n", 0o444),
        File("etc/systemd/network/10-host0.network", "\n".join([*lines, ""])),
        File("etc/ssh/ssh_host_ed25519_key", host_key.read_text(), 0o600),
        File("etc/ssh/ssh_host_ed25519_key.pub", host_key.with_suffix(".pub").read_text()),
        File(f"home/{USER}/.ssh/authorized_keys", authorized, 0o600, USER_ID),
    ]


def lay(files: Iterable[File], image: Path, upper: Path) -> None:
    """Write files into the upper folder of a host's overlay.

    A folder made there covers the image's folder of that name: it gets the same owner and mode.
    """
    for file in files:
        target = upper / file.path
        for parent in reversed(Path(file.path).parents[:-1]):
            if not (upper / parent).exists():
                (upper / parent).mkdir()
                if (image / parent).is_dir():
                    status = (image / parent).stat()
                    os.chown(upper / parent, status.st_uid, status.st_gid)
                    shutil.copymode(image / parent, upper / parent)
        target.touch()
        target.chmod(file.mode)
        os.chown(target, file.owner, file.owner)
        target.write_text(file.content)
