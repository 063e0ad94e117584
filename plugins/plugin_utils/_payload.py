# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into a release, read on the controller: identity and archive. Private."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

__all__ = ["Payload", "SourceError", "collect", "write_archive"]

# What tools leave in a project folder: no input of the program that runs on the servers.
LEFT_OUT = frozenset(
    {
        ".git",
        ".hg",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".tox",
        ".venv",
        "__pycache__",
        "node_modules",
        "venv",
    }
)
LEFT_OUT_ENDINGS = (".pyc", ".egg-info")
DISTRIBUTION_ENDINGS = (".whl", ".tar.gz", ".zip")

# One time for all files. Wheels can't hold one before 1980: this is the year 2000.
ARCHIVE_TIME = 946684800


class SourceError(Exception):
    """The source can't be used; the message names the variable, the value and what would do."""


@dataclass(frozen=True)
class File:
    """One file of the payload: its place in the release and where its bytes come from."""

    name: str
    executable: bool
    path: Path | None = None
    content: bytes = b""
    link: str = ""

    def read(self) -> bytes:
        """Return the bytes."""
        return self.content if self.path is None else self.path.read_bytes()


@dataclass(frozen=True)
class Payload:
    """Everything of a release that comes from the controller."""

    files: tuple[File, ...]
    install: tuple[str, ...] = field(default=())
    """Paths in the payload that pip installs: the project folder or a distribution."""

    def digest(self) -> str:
        """Return a digest of names, modes and contents: the controller's part of the identity."""
        total = hashlib.sha256(json.dumps(self.install).encode())
        for file in self.files:
            content = hashlib.sha256(file.read()).hexdigest()
            total.update(json.dumps([file.name, file.executable, file.link, content]).encode())
        return total.hexdigest()


def _link(root: Path, path: Path) -> str:
    """Return what a link says in the release, where the folder has another place."""
    try:
        target = path.resolve()
    except (OSError, RuntimeError) as error:
        raise SourceError(f"app_source: {path} is a link to itself") from error
    if not target.is_relative_to(root.resolve()):
        raise SourceError(f"app_source: {path} is a link that leaves the project folder")
    return os.path.relpath(target, path.parent.resolve())


def _walk(root: Path, prefix: str, folder: Path) -> Iterator[File]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name in LEFT_OUT or entry.name.endswith(LEFT_OUT_ENDINGS):
            continue
        path = Path(entry.path)
        name = f"{prefix}/{path.relative_to(root).as_posix()}"
        if entry.is_symlink():
            yield File(name, executable=False, link=_link(root, path))
        elif entry.is_dir():
            yield from _walk(root, prefix, path)
        elif entry.is_file():
            yield File(name, executable=bool(path.stat().st_mode & 0o100), path=path)
        else:
            raise SourceError(f"app_source: {path} is neither a file nor a folder")


def _source(source: Path) -> tuple[list[File], tuple[str, ...]]:
    if source.is_dir():
        files = list(_walk(source, "app", source))
        if not files:
            raise SourceError(f"app_source: the folder {source} is empty")
        project = any((source / name).is_file() for name in ("pyproject.toml", "setup.py"))
        return files, ("app",) if project else ()
    if not source.is_file():
        raise SourceError(f"app_source: {source} does not exist on the controller")
    if source.suffix == ".py":
        return [File(f"app/{source.name}", executable=False, path=source)], ()
    if source.name.endswith(DISTRIBUTION_ENDINGS):
        name = f"dist/{source.name}"
        return [File(name, executable=False, path=source)], (name,)
    raise SourceError(
        f"app_source: {source} is no project folder, wheel (.whl), sdist (.tar.gz, .zip)"
        " or Python file (.py)"
    )


def _requirements(requirements: list[str] | str) -> bytes:
    if isinstance(requirements, str):
        path = Path(requirements)
        if not path.is_file():
            raise SourceError(f"app_requirements: {path} does not exist on the controller")
        return path.read_bytes()
    return "".join(f"{line}\n" for line in requirements).encode()


def collect(source: str, requirements: list[str] | str, launcher: Path | None) -> Payload:
    """Return the payload of a release.

    ``source`` is a path on the controller or empty, ``requirements`` a list of specifiers or the
    path of a requirements file, ``launcher`` the launcher's package folder or ``None``.
    Raises SourceError where one of them can't be used.
    """
    files, install = _source(Path(source)) if source else ([], ())
    text = _requirements(requirements)
    if text.strip():
        files.append(File("requirements.txt", executable=False, content=text))
    if launcher is not None:
        files += _walk(launcher, f"launcher/{launcher.name}", launcher)
    return Payload(tuple(files), install)


def write_archive(payload: Payload, stream: IO[bytes]) -> None:
    """Write the payload as a gzip-compressed tar archive."""
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=6) as archive:
        for file in payload.files:
            entry = tarfile.TarInfo(file.name)
            entry.mtime = ARCHIVE_TIME
            entry.mode = 0o755 if file.executable else 0o644
            if file.link:
                entry.type = tarfile.SYMTYPE
                entry.linkname = file.link
                archive.addfile(entry)
            else:
                content = file.read()
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
