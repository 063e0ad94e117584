# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root file systems of the hosts: Debian by mmdebstrap, built once, cached, never changed.

An image's folder is named after a digest of everything that went in, so a changed recipe is
another image and hosts that run on the old one are left alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fleet_lab.machine import Mirrors, apt_proxy_conf, mirrors
from fleet_lab.system import LabError, locked, remove_tree, run, say, write_file

__all__ = [
    "JUST_WANTED_DAYS",
    "KEYRING",
    "UNUSED_DAYS",
    "USER",
    "USER_ID",
    "Recipe",
    "ensure",
    "path",
    "prune",
    "recipes",
]

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
USER = "deploy"
USER_ID = 1000

# A server as an installer leaves it and no more: what a role needs, the role has to install.
PACKAGES = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "kmod",
    "libpam-systemd",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "sudo",
    "systemd",
    "systemd-sysv",
)

FILES = {
    f"etc/sudoers.d/{USER}": (0o440, f"{USER} ALL=(ALL) NOPASSWD: ALL\n"),
    "etc/ssh/sshd_config.d/fleet.conf": (
        0o644,
        "PermitRootLogin no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n",
    ),
    # Every host gets its own, or makes it at its first boot.
    "etc/machine-id": (0o444, ""),
    # The packages a host installs are needed once: do not keep them.
    "etc/apt/apt.conf.d/90fleet": (0o644, 'APT::Keep-Downloaded-Packages "false";\n'),
}

COMMANDS = (
    f"useradd --create-home --shell /bin/bash --uid {USER_ID} {USER}",
    f"install -d -o {USER} -g {USER} -m 0700 /home/{USER}/.ssh",
    "systemctl enable systemd-networkd.service ssh.service",
    # A host lives for minutes: nothing but the test itself may take dpkg's lock.
    "systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer",
    # Nobody sits at a console, and nothing waits for the network to be online.
    "systemctl mask console-getty.service systemd-networkd-wait-online.service",
    "rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /etc/hostname",
)

SUITES = {"debian12": "bookworm", "debian13": "trixie"}

# An image is kept for the checkouts of other recipes, and for a lab that is about to use it.
UNUSED_DAYS = 14.0
JUST_WANTED_DAYS = 1 / 24


_CONFINED = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--propagation", "private", "--pid", "--mount-proc", "--kill-child"),
)


@dataclass(frozen=True)
class Recipe:
    """All that an image is made of."""

    name: str
    suite: str
    mirrors: Mirrors
    packages: tuple[str, ...] = PACKAGES
    files: Mapping[str, tuple[int, str]] = field(default_factory=lambda: FILES)
    commands: tuple[str, ...] = COMMANDS

    @property
    def digest(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.digest}"

    @property
    def sources(self) -> list[str]:
        return [
            f"deb {self.mirrors.archive} {self.suite} main",
            f"deb {self.mirrors.archive} {self.suite}-updates main",
            f"deb {self.mirrors.security} {self.suite}-security main",
        ]


def recipes(apt: Path = Path("/etc/apt")) -> dict[str, Recipe]:
    """Give the recipe of every image, with this machine's mirrors."""
    files = [apt / "sources.list", *sorted(apt.glob("sources.list.d/*"))]
    texts = [
        file.read_text()
        for file in files
        if file.suffix in {".list", ".sources"} and file.is_file()
    ]
    found = mirrors(texts)
    return {name: Recipe(name, suite, found) for name, suite in SUITES.items()}


def path(folder: Path, recipe: Recipe) -> Path:
    """Give the root of a recipe's image, built or not."""
    return folder / recipe.folder / "root"


def ensure(folder: Path, wanted: Sequence[Recipe]) -> dict[str, Path]:
    """Give the recipes' roots by name; build, side by side, those that are missing."""
    with ThreadPoolExecutor() as pool:
        roots = list(pool.map(lambda recipe: _ensure(folder, recipe), wanted))
    return {recipe.name: root for recipe, root in zip(wanted, roots, strict=True)}


def _ensure(folder: Path, recipe: Recipe) -> Path:
    root = path(folder, recipe)
    if not root.is_dir():
        work = folder / f".building-{recipe.name}"
        with locked(work, f"{recipe.name}: another builder is at work") as lock:
            if not root.is_dir():
                _build(root.parent, work / "image", recipe, lock)
    with suppress(PermissionError):  # built through sudo, wanted without
        os.utime(root.parent)  # pruning asks when an image was last wanted
    return root


def _build(image: Path, work: Path, recipe: Recipe, lock: int) -> None:
    say(f"{recipe.name}: building the image with mmdebstrap (tens of seconds, once)")
    start = time.monotonic()
    if work.exists():
        remove_tree(work)  # of a builder that was killed: we hold its lock
    work.mkdir()
    root = work / "root"
    write_file(work / "recipe.json", json.dumps(asdict(recipe), indent=2, sort_keys=True) + "\n")
    log = work / "build.log"
    with log.open("w") as output:
        # The lock's descriptor goes along: it stays held for as long as mmdebstrap lives. That is
        # no longer than we do, and its mounts end with it.
        builder = subprocess.Popen(
            [*_CONFINED, *_command(recipe, root)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[lock],
            env={**os.environ, "LC_ALL": "C.UTF-8", "TMPDIR": "/tmp"},
        )
        _follow(builder, recipe.name, log)
    if builder.returncode != 0:
        last = "\n".join(log.read_text().splitlines()[-15:])
        raise LabError(f"{recipe.name}: mmdebstrap failed (whole log: {log}):\n{last}")
    for path, (mode, content) in recipe.files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        write_file(root / path, content, mode)
    work.rename(image)
    say(f"{recipe.name}: image built in {time.monotonic() - start:.0f} s")


def _command(recipe: Recipe, root: Path) -> list[str]:
    proxies = apt_proxy_conf(run(["apt-config", "dump"]), os.environ) or ""
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        f"--keyring={KEYRING}",
        # The package lists stay: a host can install at once.
        "--skip=cleanup/apt/lists",
        f"--include={','.join(recipe.packages)}",
        *(f"--aptopt={line}" for line in proxies.splitlines()),
        *(f'--customize-hook=chroot "$1" {command}' for command in recipe.commands),
        recipe.suite,
        str(root),
        *recipe.sources,
    ]


def _follow(builder: subprocess.Popen[bytes], name: str, log: Path) -> None:
    """Repeat mmdebstrap's own progress lines until it ends."""
    shown = 0
    while True:
        with suppress(subprocess.TimeoutExpired):
            builder.wait(timeout=0.5)
        lines = log.read_text(errors="replace").splitlines()
        steps = [line[3:] for line in lines if line.startswith("I: ") and "hook" not in line]
        for step in steps[shown:]:
            say(f"{name}: {step}")
        shown = len(steps)
        if builder.returncode is not None:
            return


def prune(folder: Path, used: Collection[Path], keep_days: float) -> list[str]:
    """Remove the images that no lab uses and nobody has wanted for some days; give their names."""
    for doomed in folder.glob(".removing-*"):
        remove_tree(doomed)  # of a run that was killed
    removed: list[str] = []
    limit = time.time() - keep_days * 86400
    for image in sorted(folder.glob("[!.]*")):
        if image / "root" not in used and image.stat().st_mtime <= limit:
            # Renamed first: half an image must never look like one.
            doomed = folder / f".removing-{image.name}"
            image.rename(doomed)
            remove_tree(doomed)
            removed.append(image.name)
    return removed
