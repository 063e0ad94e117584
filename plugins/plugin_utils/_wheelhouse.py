# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Download the wheels that servers without an index need, on the controller. Private."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.websockets.fleet.plugins.module_utils._mask import mask
from ansible_collections.websockets.fleet.plugins.module_utils._pip_environment import (
    prepare,
)

__all__ = ["Changes", "Downloader", "Target", "WheelhouseError", "apply", "compare", "targets"]

# Names what the playbook downloaded: wheels that somebody else put into the folder stay there.
MANIFEST = ".websockets-fleet.json"
LAST_LINES = 15
STEP_SECONDS = 1800

INTERPRETERS = {"cpython": "cp", "pypy": "pp"}
# The oldest glibc that wheels of an architecture are made for, and names from before PEP 600.
OLDEST_GLIBC = {"x86_64": 5, "i686": 5}
LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}

# What a project without [build-system] is built by, for pip of any age.
SETUPTOOLS = ["setuptools>=40.8.0", "wheel"]

# pip takes tags for another Python, but judges `; python_version < "3.13"` by its own.
PIP = """
import json, sys
import pip._vendor.packaging.markers as markers
from pip._internal.cli.main import main
own, server = markers.default_environment, json.loads(sys.argv.pop(1))
markers.default_environment = lambda: {**own(), **server}
sys.exit(main(sys.argv[1:]))
"""


class WheelhouseError(Exception):
    """The wheels can't be had; the message says what would do."""


@dataclass(frozen=True)
class Target:
    """One kind of Python that servers have."""

    implementation: str
    version: str
    machine: str
    glibc: tuple[int, int]
    markers: Mapping[str, str]
    hosts: tuple[str, ...]

    def __str__(self) -> str:
        """Name it for people."""
        glibc = ".".join(map(str, self.glibc))
        name = f"{self.implementation} {self.version} on {self.machine} with glibc {glibc}"
        return f"{name} ({', '.join(self.hosts)})"

    def platforms(self) -> list[str]:
        """Return the platform tags of wheels that it can use, the newest first."""
        major, newest = self.glibc
        tags = []
        for minor in range(newest, OLDEST_GLIBC.get(self.machine, 17) - 1, -1):
            tags.append(f"manylinux_{major}_{minor}_{self.machine}")
            if minor in LEGACY:
                tags.append(f"{LEGACY[minor]}_{self.machine}")
        return [*tags, f"linux_{self.machine}"]

    def options(self) -> list[str]:
        """Return the options that tell pip about it."""
        options = ["--implementation", INTERPRETERS[self.implementation]]
        options += ["--python-version", self.version]
        for platform in self.platforms():
            options += ["--platform", platform]
        return options


def targets(servers: Mapping[str, Mapping[str, Any]]) -> list[Target]:
    """Return the kinds of Python among the servers; raise WheelhouseError for an unknown one."""
    groups: dict[str, list[str]] = {}
    for host, facts in servers.items():
        groups.setdefault(json.dumps(facts, sort_keys=True), []).append(host)
    found = []
    for text, hosts in groups.items():
        facts = json.loads(text)
        libc, _space, number = facts["libc"].partition(" ")
        if facts["implementation"] not in INTERPRETERS or libc != "glibc":
            raise WheelhouseError(
                f"app_python of {', '.join(hosts)} is {facts['implementation']} with"
                f" {facts['libc'] or 'another C library'}: it must be CPython or PyPy, with glibc"
            )
        major, minor = number.split(".")[:2]
        found.append(
            Target(
                facts["implementation"],
                facts["markers"]["python_full_version"],
                facts["markers"]["platform_machine"],
                (int(major), int(minor)),
                facts["markers"],
                tuple(hosts),
            )
        )
    return found


def _project_file(path: Path) -> bytes | None:
    """Return the pyproject.toml of a project folder or an sdist."""
    if path.is_dir():
        file = path / "pyproject.toml"
        return file.read_bytes() if file.is_file() else None
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.count("/") == 1 and name.endswith("/pyproject.toml"):
                    return archive.read(name)
        return None
    with tarfile.open(path) as stream:
        for member in stream:
            file_object = stream.extractfile(member)
            if member.name.count("/") == 1 and member.name.endswith("/pyproject.toml"):
                return file_object.read() if file_object else None
    return None


def build_requirements(path: Path) -> list[str]:
    """Return what builds a project folder or an sdist; nothing for a wheel."""
    if path.suffix == ".whl":
        return []
    try:
        project = tomllib.loads((_project_file(path) or b"").decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WheelhouseError(f"app_source: its pyproject.toml can't be read: {error}") from error
    requires: list[str] = project.get("build-system", {}).get("requires", SETUPTOOLS)
    return requires


class Downloader:
    """Runs the controller's pip in a folder that holds the unpacked payload of a release."""

    def __init__(
        self,
        python: str,
        folder: Path,
        pip_args: Sequence[str],
        pip_environment: Mapping[str, str],
    ) -> None:
        self.python = python
        self.folder = folder
        self.pip_args = list(pip_args)
        self.pip = prepare(pip_environment)
        self.environment = os.environ | {**self.pip.variables, "PIP_NO_INPUT": "1"}
        # Their platform is the controller's; what is asked for is the servers'.
        self.environment |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONWARNINGS": "ignore"}
        if self.pip.netrc:
            netrc = folder / ".netrc"
            netrc.touch(mode=0o600)
            netrc.write_text(self.pip.netrc)
            self.environment["NETRC"] = str(netrc)

    def _run(self, purpose: str, command: list[str]) -> str:
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=STEP_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise WheelhouseError(f"{purpose}: {type(error).__name__}") from error
        if done.returncode:
            words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-LAST_LINES:]
            raise WheelhouseError(f"{purpose}:\n{mask(chr(10).join(words), self.pip.secrets)}")
        return done.stdout

    def check(self) -> None:
        """Raise WheelhouseError where the controller's Python has no pip."""
        try:
            self._run("", [self.python, "-m", "pip", "--version"])
        except WheelhouseError as error:
            raise WheelhouseError(
                f"{self.python}, which runs Ansible, has no pip: install it, such as with"
                f" {self.python} -m ensurepip or the package python3-pip"
            ) from error

    def download(self, target: Target, what: Sequence[str], links: Path, destination: Path) -> None:
        """Download wheels for ``what`` and all that it needs; ``links`` is looked into as well."""
        options = ["download", "--quiet", "--only-binary=:all:", *target.options(), *self.pip_args]
        if links.is_dir():
            options += ["--find-links", str(links.resolve())]
        command = [self.python, "-c", PIP, json.dumps(dict(target.markers)), *options]
        self._run(
            f"there are not all wheels for {target}. Where an index has the source only, build a"
            " wheel on such a server (pip wheel) and put it into app_wheelhouse. pip says",
            [*command, "--dest", str(destination), *what],
        )


@dataclass(frozen=True)
class Changes:
    """How a wheelhouse differs from what is needed."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    foreign: tuple[str, ...]
    """Wheels that are not needed, and that the playbook did not put there."""


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _downloaded(wheelhouse: Path) -> set[str]:
    """Return the names of the wheels that earlier runs put there."""
    try:
        return set(json.loads((wheelhouse / MANIFEST).read_text())["wheels"])
    except FileNotFoundError:
        return set()
    except (ValueError, KeyError, TypeError) as error:
        raise WheelhouseError(f"{wheelhouse / MANIFEST} can't be read: remove it") from error


def compare(wheelhouse: Path, needed: Path) -> Changes:
    """Compare the wheels in two folders, the first of which need not exist."""
    wanted = {path.name: path for path in needed.glob("*.whl")}
    there = {path.name: path for path in wheelhouse.glob("*.whl")}
    downloaded = _downloaded(wheelhouse)
    added = [
        name
        for name, path in wanted.items()
        if name not in there or _digest(there[name]) != _digest(path)
    ]
    surplus = there.keys() - wanted.keys()
    return Changes(
        tuple(sorted(added)),
        tuple(sorted(surplus & downloaded)),
        tuple(sorted(surplus - downloaded)),
    )


def _write_manifest(wheelhouse: Path, names: set[str]) -> None:
    text = json.dumps({"wheels": sorted(names)}, indent=2) + "\n"
    staged = wheelhouse / f"{MANIFEST}.new"
    staged.write_text(text)
    staged.rename(wheelhouse / MANIFEST)


def apply(wheelhouse: Path, needed: Path, changes: Changes) -> None:
    """Make a wheelhouse what is needed. An interrupted run is finished by the next."""
    wheelhouse.mkdir(parents=True, exist_ok=True)
    before = _downloaded(wheelhouse)
    own = {path.name for path in wheelhouse.glob("*.whl")} - before
    wanted = {path.name for path in needed.glob("*.whl")} - (own - set(changes.added))
    _write_manifest(wheelhouse, before | wanted)
    for name in changes.added:
        staged = wheelhouse / f".{name}.new"
        shutil.copyfile(needed / name, staged)
        staged.rename(wheelhouse / name)
    for name in changes.removed:
        (wheelhouse / name).unlink()
    _write_manifest(wheelhouse, wanted)
