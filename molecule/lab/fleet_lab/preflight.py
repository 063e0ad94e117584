# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab needs of the machine, said before anything is done."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from fleet_lab import images
from fleet_lab.system import LabError, cache_folder, missing_programs, run

__all__ = ["become_root", "check", "programs"]

_PROGRAMS = (
    ("mmdebstrap", "mmdebstrap"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    ("apt-config", "apt"),
)


def programs() -> list[str]:
    """Say what is missing to build images and a network, whatever runs the hosts."""
    reasons = missing_programs(*_PROGRAMS)
    if not images.KEYRING.exists():
        reasons.append(f"{images.KEYRING} is missing: apt-get install debian-archive-keyring")
    return reasons


def check(reasons: list[str]) -> None:
    """Raise LabError with every reason, if there is one."""
    if reasons:
        raise LabError("this machine can't run the lab: " + "; ".join(reasons))


def become_root() -> None:
    """Run this command again through sudo, with what it needs of the environment."""
    if os.geteuid() == 0:
        return
    if shutil.which("sudo") is None:
        raise LabError("hosts and their network need root, and there is no sudo: run it as root")
    kept = [f"XDG_CACHE_HOME={cache_folder().parent}", f"HOME={Path.home()}"]
    kept += [
        f"{name}={value}"
        for name, value in os.environ.items()
        if name.startswith("PIP_") or name.lower().endswith("_proxy")
    ]
    if not sys.stdin.isatty():
        try:
            run(["sudo", "-n", "true"])
        except LabError as error:
            raise LabError(
                "hosts and their network need root, and sudo asks for a password where nobody can"
                f" answer: run it as root, or from a terminal: {shlex.join(sys.argv)}"
            ) from error
    sys.stdout.flush()
    os.execvp("sudo", ["sudo", "env", *kept, sys.executable, *sys.argv])
