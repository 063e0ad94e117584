# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lay a set of small text files: compare, validate, land. Private to the collection."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Entry", "FilesError", "Outcome", "compare", "lay", "parse_mode"]

HIDDEN = "(secret content)\n"


class FilesError(Exception):
    """A file can't be laid; the message names the path and what would be right."""


@dataclass(frozen=True)
class Entry:
    """One file or directory as it should be; ``content`` is ``None`` for a directory."""

    path: str
    owner: str
    group: str
    mode: int
    content: bytes | None = None
    secret: bool = False
    validate: str = ""


@dataclass
class Outcome:
    """What was, or in check mode would be, changed."""

    changed_paths: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)


def parse_mode(text: str, path: str) -> int:
    """Return the number that an octal mode such as ``0640`` stands for.

    Raises FilesError for anything else, symbolic modes included.
    """
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise FilesError(f"{path}: mode {text!r} is not an octal mode such as '0644'")
    return mode


def _name_of(number: int, lookup: Callable[[int], Any], attribute: str) -> str:
    try:
        return str(getattr(lookup(number), attribute))
    except KeyError:
        return str(number)


def _attributes(path: Path) -> tuple[str, str, int] | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return (
        _name_of(found.st_uid, pwd.getpwuid, "pw_name"),
        _name_of(found.st_gid, grp.getgrgid, "gr_name"),
        stat.S_IMODE(found.st_mode),
    )


def compare(entry: Entry) -> dict[str, str] | None:
    """Return the difference between the host and ``entry`` as a diff, ``None`` where there is none.

    Raises FilesError where something of another kind has the path.
    """
    path = Path(entry.path)
    if path.is_symlink():
        raise FilesError(f"{path} is a symbolic link: nothing is written through it, remove it")
    directory = entry.content is None
    if path.exists() and path.is_dir() != directory:
        wanted = "directory" if directory else "file"
        raise FilesError(f"{entry.path} exists and is not a {wanted}: remove it first")
    wanted_attributes = (entry.owner, entry.group, entry.mode)
    attributes = _attributes(path)
    before_content = path.read_bytes() if attributes and not directory else b""
    after_content = entry.content or b""
    if attributes == wanted_attributes and before_content == after_content:
        return None

    # What only its owner may read was a secret, whatever comes in its place.
    hidden = entry.secret or (attributes is not None and not directory and not attributes[2] & 0o77)

    def text(content: bytes) -> str:
        if hidden:
            return HIDDEN if content else ""
        return content.decode("utf-8", "replace")

    def header(values: tuple[str, str, int] | None) -> str:
        if values is None:
            return f"{entry.path} (absent)"
        return f"{entry.path} ({values[0]}:{values[1]} {values[2]:04o})"

    before, after = text(before_content), text(after_content)
    if hidden and before_content != after_content:
        after = "(secret content, changed)\n"
    if before == after:
        before = header(attributes) + "\n" + before
        after = header(wanted_attributes) + "\n" + after
    return {
        "before_header": header(attributes),
        "after_header": header(wanted_attributes),
        "before": before,
        "after": after,
    }


def _owner_ids(entry: Entry) -> tuple[int, int]:
    try:
        return pwd.getpwnam(entry.owner).pw_uid, grp.getgrnam(entry.group).gr_gid
    except KeyError as error:
        raise FilesError(
            f"{entry.path}: owner {entry.owner}:{entry.group}: {error.args[0]}"
        ) from error


def _make_directory(entry: Entry) -> bool:
    """Make or mend a directory; return whether it is new."""
    uid, gid = _owner_ids(entry)
    path = Path(entry.path)
    new = not path.is_dir()
    if new:
        try:
            path.mkdir(0o700)
        except FileNotFoundError as error:
            raise FilesError(f"{path}: its parent directory does not exist") from error
    os.chown(path, uid, gid)
    path.chmod(entry.mode)
    return new


def _stage(entry: Entry) -> Path:
    """Write the content beside its place, with its final owner and mode; return that path."""
    uid, gid = _owner_ids(entry)
    path = Path(entry.path)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except FileNotFoundError as error:
        raise FilesError(f"{path}: its directory does not exist") from error
    staged = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(entry.content or b"")
            stream.flush()
            os.fsync(stream.fileno())
        os.chown(staged, uid, gid)
        staged.chmod(entry.mode)
    except OSError:
        staged.unlink()
        raise
    return staged


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _compare_all(entries: list[Entry], outcome: Outcome) -> list[Entry]:
    """Return the entries that differ from the host and note them in ``outcome``."""
    stale = []
    for entry in entries:
        difference = compare(entry)
        if difference:
            stale.append(entry)
            outcome.changed_paths.append(entry.path)
            outcome.diff.append(difference)
    return stale


def _prepare(
    directories: list[Entry], files: list[Entry], validate: Callable[[Entry, str], None]
) -> list[tuple[Path, Entry]]:
    """Make the directories and the checked files beside their places; on any fault undo that."""
    made: list[Path] = []
    staged: list[tuple[Path, Entry]] = []
    try:
        for entry in directories:
            if _make_directory(entry):
                made.append(Path(entry.path))
        for entry in files:
            staged.append((_stage(entry), entry))
        for path, entry in staged:
            validate(entry, str(path))
    except (OSError, FilesError) as error:
        for path, _entry in staged:
            path.unlink()
        for path in reversed(made):
            path.rmdir()
        if isinstance(error, OSError):
            raise FilesError(f"nothing was written: {error}") from error
        raise
    return staged


def lay(
    directories: list[Entry],
    files: list[Entry],
    absent: list[str],
    validate: Callable[[Entry, str], None],
    land: Callable[[str, str], None],
    check_mode: bool,
) -> Outcome:
    """Make the host's files what they should be and return what that changed.

    ``validate(entry, staged)`` raises FilesError where the program that will read a file refuses
    it; every file passes it before the first lands through ``land(staged, path)``, in the order
    given.
    In check mode nothing is written, not even for validation.
    """
    outcome = Outcome()
    stale_directories = _compare_all(directories, outcome)
    stale_files = _compare_all(files, outcome)
    present = [path for path in absent if os.path.lexists(path)]
    for path in present:
        outcome.changed_paths.append(path)
        outcome.diff.append(
            {
                "before_header": path,
                "after_header": f"{path} (absent)",
                "before": "present\n",
                "after": "",
            }
        )
    if not check_mode:
        staged_files = _prepare(stale_directories, stale_files, validate)
        try:
            for staged, entry in staged_files:
                land(str(staged), entry.path)
        finally:
            for staged, _entry in staged_files:
                staged.unlink(missing_ok=True)
        for path in present:
            _remove(Path(path))
    return outcome
