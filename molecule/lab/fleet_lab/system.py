# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs, locks, progress lines."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "LabError",
    "cache_folder",
    "elapsed",
    "give_to_user",
    "locked",
    "make_folder",
    "missing_programs",
    "remove_tree",
    "run",
    "say",
    "write_file",
]

_START = time.monotonic()


class LabError(Exception):
    """The lab can't do what was asked; the message is for the person who asked."""


def say(text: str) -> None:
    """Print a progress line with the time since the program started."""
    print(f"[{elapsed():5.1f} s] {text}", flush=True)


def elapsed() -> float:
    return time.monotonic() - _START


def run(command: Sequence[str], *, text: str | None = None) -> str:
    """Run a program to its end and return what it printed; raise LabError if it fails."""
    stdin = subprocess.DEVNULL if text is None else None
    try:
        done = subprocess.run(
            command, input=text, stdin=stdin, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise LabError(f"{command[0]} is missing") from error
    if done.returncode != 0:
        what = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        raise LabError(f"{' '.join(command)}: {what}")
    return done.stdout


def missing_programs(*programs: tuple[str, str]) -> list[str]:
    """Say which programs are missing and which Debian package has each."""
    return [
        f"{program} is missing: apt-get install {package}"
        for program, package in programs
        if shutil.which(program) is None
    ]


def cache_folder() -> Path:
    """Give the folder for what outlives a checkout: images, and the labs that are up."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "websockets-fleet"


@contextmanager
def locked(folder: Path, waiting: str) -> Iterator[int]:
    """Hold the lock of a folder (made if missing) and give its file descriptor.

    A folder that another process removes while we wait is made and locked again.
    """
    while True:
        make_folder(folder)
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        try:
            _lock(descriptor, waiting)
            if _same(descriptor, folder):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _lock(descriptor: int, waiting: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(waiting)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _same(descriptor: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), folder.stat())
    except FileNotFoundError:
        return False


def write_file(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Write a file by rename, so that nobody ever reads half of it."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content.encode() if isinstance(content, str) else content)
    temporary.rename(path)


def give_to_user(*paths: Path) -> None:
    """Hand files to the person who called sudo: they use the key and read the inventory."""
    if os.geteuid() == 0 and "SUDO_UID" in os.environ:
        for path in paths:
            os.chown(path, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))


def make_folder(folder: Path) -> None:
    """Make a folder and what is missing above it; in a home they belong to its user."""
    for path in (*reversed(folder.parents), folder):
        if not path.exists():
            path.mkdir(exist_ok=True)
            if path.parent.stat().st_uid != 0:
                give_to_user(path)


def remove_tree(folder: Path) -> None:
    """Remove a folder; refuse while anything is mounted below it."""
    inside = f"{folder.resolve()}/"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount_point = line.split()[4].encode().decode("unicode_escape")
        if f"{mount_point}/".startswith(inside):
            raise LabError(f"{mount_point} is mounted: unmount it before {folder} can go")
    shutil.rmtree(folder, ignore_errors=False)
