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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

__all__ = ["Payload", "SourceError", "collect", "wheelhouse_faults"]

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
SDIST_ENDINGS = (".tar.gz", ".zip")
DISTRIBUTION_ENDINGS = (".whl", *SDIST_ENDINGS)

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
        if self.path is None:
            return self.content
        try:
            return self.path.read_bytes()
        except FileNotFoundError as error:
            raise SourceError(f"{self.path} went away while it was read; run again") from error


def _add(total: hashlib._Hash, file: File, content: bytes) -> None:
    described = [file.name, file.executable, file.link, hashlib.sha256(content).hexdigest()]
    total.update(json.dumps(described).encode())


@dataclass(frozen=True)
class Payload:
    """Everything of a release that comes from the controller."""

    files: tuple[File, ...]
    install: tuple[str, ...] = field(default=())
    """Paths in the payload that pip installs: the project folder or a distribution."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """What else makes the release another one: how it is installed."""

    def digest(self) -> str:
        """Return a digest of names, modes and contents: the controller's part of the identity."""
        total = self._begin()
        for file in self.files:
            _add(total, file, file.read())
        return total.hexdigest()

    def _begin(self) -> hashlib._Hash:
        settings = json.dumps([self.install, self.settings], sort_keys=True)
        return hashlib.sha256(settings.encode())

    def write_archive(self, stream: IO[bytes], digest: str) -> None:
        """Write a gzip-compressed tar archive of exactly what ``digest`` is the digest of.

        Raises SourceError where that is no longer what the controller has.
        """
        total = self._begin()
        with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
            for file in self.files:
                content = file.read()
                _add(total, file, content)
                entry = tarfile.TarInfo(file.name)
                entry.mtime = ARCHIVE_TIME
                entry.mode = 0o755 if file.executable else 0o644
                if file.link:
                    entry.type = tarfile.SYMTYPE
                    entry.linkname = file.link
                    archive.addfile(entry)
                else:
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))
        if total.hexdigest() != digest:
            raise SourceError(
                "app_source, app_requirements or app_wheelhouse changed on the controller while it"
                " was read; run again"
            )


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


def wheelhouse_faults(wheelhouse: Path) -> list[str]:
    """Return why ``wheelhouse`` is no folder of wheels, in one sentence each."""
    named = f"app_wheelhouse is {str(wheelhouse)!r}"
    make = "the playbook websockets.fleet.wheelhouse makes one"
    if not wheelhouse.is_dir():
        return [f"{named}: that is no folder on the controller; {make}"]
    names = sorted(entry.name for entry in wheelhouse.iterdir())
    sources = [name for name in names if name.endswith(SDIST_ENDINGS)]
    faults = []
    if sources:
        faults.append(
            f"{named}: it holds {', '.join(sources)}, and a server without an index can't build"
            " that; put a wheel (.whl) in its place"
        )
    if not any(name.endswith(".whl") for name in names):
        faults.append(f"{named}: there is no wheel (.whl) in it; {make}")
    return faults


def _wheels(wheelhouse: Path) -> list[File]:
    faults = wheelhouse_faults(wheelhouse)
    if faults:
        raise SourceError("; ".join(faults))
    return [
        File(f"wheelhouse/{path.name}", executable=False, path=path)
        for path in sorted(wheelhouse.glob("*.whl"))
    ]


def collect(
    source: str,
    requirements: list[str] | str,
    launcher: Path | None,
    wheelhouse: str = "",
    settings: Mapping[str, object] | None = None,
) -> Payload:
    """Return the payload of a release.

    ``source`` is a path on the controller or empty, ``requirements`` a list of specifiers or the
    path of a requirements file, ``launcher`` the launcher's package folder or ``None``,
    ``wheelhouse`` a folder of wheels on the controller or empty.
    Raises SourceError where one of them can't be used.
    """
    files, install = _source(Path(source)) if source else ([], ())
    text = _requirements(requirements)
    if text.strip():
        files.append(File("requirements.txt", executable=False, content=text))
    if launcher is not None:
        files += _walk(launcher, f"launcher/{launcher.name}", launcher)
    if wheelhouse:
        files += _wheels(Path(wheelhouse))
    return Payload(tuple(files), install, settings or {})
