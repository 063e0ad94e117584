# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as systemd-nspawn containers on overlayfs: real systemd, a network of their own.

Each host is in a control group of its own. Without that, the containers of a machine that has no
systemd would share one group, and each systemd would see the others' processes as its own. It is
also how a host is found after any crash: every process in the group is the host's.

The overlay is mounted in a mount namespace of the host's: it goes when the host goes.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from fleet_lab.driver import Place
from fleet_lab.system import LabError, missing_programs, run

__all__ = ["Nspawn"]

_CGROUPS = Path("/sys/fs/cgroup")

# Runs as the process that becomes systemd-nspawn, in a mount namespace of its own. It writes down
# who it is and enters its groups before anything else; stdin is the lab's lock, given back then.
# Paths are relative: nothing to escape in mount options.
_LAUNCH = r"""
set -eu
echo "$$ $(cut -d' ' -f22 /proc/$$/stat)" > process
for group in $GROUPS_TO_ENTER; do echo $$ > "$group/cgroup.procs"; done
exec </dev/null
# volatile: no fsync reaches the disk. Nothing here outlives a crash of the machine anyway.
mount -t overlay overlay -o lowerdir=image,upperdir=upper,workdir=work,volatile root
# nspawn keeps notes in /run; these shall end with it.
mount -t tmpfs tmpfs /run
exec systemd-nspawn --quiet --directory=root --boot --machine="$MACHINE" --register=no --keep-unit \
  --network-bridge="$BRIDGE" --link-journal=no --resolv-conf=off --timezone=off --console=read-only
"""


class Nspawn:
    """The driver for hosts that share this machine's kernel."""

    def missing(self, folder: Path) -> list[str]:
        reasons = missing_programs(("systemd-nspawn", "systemd-container"))
        if not _roots():
            reasons.append(f"no control groups are mounted at {_CGROUPS}")
        for root in _roots():
            probe = root / "websockets-fleet/probe"
            try:
                _make_group(probe)
                _remove_group(probe, time.monotonic() + 1)
            except OSError as error:
                reasons.append(f"no control group can be made in {root} ({error.strerror})")
        return reasons or _cannot_isolate(folder)

    def start(self, place: Place, image: Path, lock: int) -> None:
        for name in ("upper", "work", "root"):
            (place.folder / name).mkdir(exist_ok=True)
        # Left by a host that died: a volatile overlay refuses to be mounted again beside it.
        shutil.rmtree(place.folder / "work/work", ignore_errors=True)
        link = place.folder / "image"
        link.unlink(missing_ok=True)
        link.symlink_to(image)
        groups = _groups(place)
        for group in groups:
            _make_group(group)
            _delegate(group)
        with (place.folder / "console.log").open("ab") as console:
            subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", _LAUNCH],
                cwd=place.folder,
                stdin=lock,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    "PATH": os.environ["PATH"],
                    "SYSTEMD_NSPAWN_LOCK": "0",
                    "GROUPS_TO_ENTER": " ".join(map(str, groups)),
                    "MACHINE": place.machine,
                    "BRIDGE": place.bridge,
                },
            )

    def running(self, place: Place) -> bool:
        return _recorded(place) is not None

    def stop(self, place: Place) -> None:
        deadline = time.monotonic() + 20
        while processes := _processes(place):
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            if time.monotonic() > deadline:
                raise LabError(f"{place.machine}: processes {processes} do not end")
            time.sleep(0.02)
        for group in _groups(place):
            _remove_group(group, deadline)
        # It goes with the host's network namespace, a moment later; the next start needs the name.
        if _link_exists(place):
            with suppress(LabError):
                run(["ip", "link", "delete", "dev", f"vb-{place.machine}"])
        (place.folder / "process").unlink(missing_ok=True)

    def machines(self, prefix: str) -> list[str]:
        folders = [folder for root in _roots() for folder in root.glob("websockets-fleet/*")]
        return sorted({folder.name for folder in folders if folder.name.startswith(prefix)})

    def log(self, place: Place) -> str:
        console = place.folder / "console.log"
        if not console.exists():
            return ""
        return "\n".join(console.read_text(errors="replace").splitlines()[-15:])


def _roots() -> list[Path]:
    """The hierarchies that systemd counts processes in, of version 1 and 2."""
    if (_CGROUPS / "cgroup.procs").exists():
        return [_CGROUPS]
    roots = [_CGROUPS / name for name in ("systemd", "unified")]
    return [root for root in roots if (root / "cgroup.procs").exists()]


def _groups(place: Place) -> list[Path]:
    return [root / "websockets-fleet" / place.machine for root in _roots()]


def _make_group(group: Path) -> None:
    # Another lab's last host may take the parent away meanwhile.
    while not group.is_dir():
        with suppress(FileNotFoundError, FileExistsError):
            group.parent.mkdir(exist_ok=True)
            group.mkdir()


def _delegate(group: Path) -> None:
    """Let the host's systemd use the controllers that this machine gives (version 2 only)."""
    above = group.parent
    for folder in (above.parent, above):
        with suppress(OSError):
            for controller in (folder / "cgroup.controllers").read_text().split():
                with suppress(OSError):
                    (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def _link_exists(place: Place) -> bool:
    """Say whether the host's end on the bridge is still there (by its alternative name)."""
    command = ["ip", "link", "show", "dev", f"vb-{place.machine}"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _recorded(place: Place) -> int | None:
    """Give the process that became systemd-nspawn, if it still is the one we started."""
    try:
        process, started = map(int, (place.folder / "process").read_text().split())
        stat = Path(f"/proc/{process}/stat").read_text()
    except (OSError, ValueError):
        return None
    fields = stat.rpartition(")")[2].split()
    return process if int(fields[19]) == started and fields[0] != "Z" else None


def _processes(place: Place) -> set[int]:
    """Every process of the host: the one we started, and all in the host's control groups."""
    found: set[int] = set()
    for group in _groups(place):
        # Groups go while they are looked at: os.walk() passes over one, Path.glob() fails.
        for folder, _, _ in os.walk(group):
            with suppress(OSError):
                text = Path(folder, "cgroup.procs").read_text()
                # 0 stands for a process that this process namespace can't see.
                found.update(n for n in map(int, text.split()) if n > 1)
    started = _recorded(place)
    return found | {started} if started else found


def _remove_group(group: Path, deadline: float) -> None:
    """Remove an empty control group with all below it, then its parent if that is empty too."""
    while group.is_dir():
        for folder, _, _ in os.walk(group, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
        if time.monotonic() > deadline:
            raise LabError(f"control group {group} can't be removed")
        if group.is_dir():
            time.sleep(0.02)
    with suppress(OSError):
        group.parent.rmdir()


def _cannot_isolate(folder: Path) -> list[str]:
    """Try what every start does: a namespace of each kind, an overlay with its upper part here."""
    namespaces = ["--mount", "--net", "--uts", "--ipc", "--pid", "--fork"]
    unshare = ["unshare", *namespaces, "--propagation", "private"]
    if reason := _failure([*unshare, "true"], folder):
        return [f"this machine allows no namespaces ({reason})"]
    with tempfile.TemporaryDirectory(prefix="probe-", dir=folder) as probe:
        for name in ("lower", "upper", "work", "root"):
            Path(probe, name).mkdir()
        options = "lowerdir=lower,upperdir=upper,workdir=work,volatile"
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, "root"]
        reason = _failure([*unshare, *mount], Path(probe))
        if reason:
            help_ = (
                "load the module overlay, or set XDG_CACHE_HOME to a folder on ext4, xfs or tmpfs"
            )
            return [f"no overlayfs can be mounted in {folder} ({reason}): {help_}"]
    return []


def _failure(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
