# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a release on the server, or find it. Private to the collection."""

from __future__ import annotations

import contextlib
import fcntl
import grp
import hashlib
import json
import os
import pwd
import shutil
import stat
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = [
    "Build",
    "ReleaseError",
    "build",
    "check_program",
    "current",
    "find",
    "home",
    "in_use",
    "prune",
    "release_id",
]

# The launcher speaks to websockets 17; 17.0 itself broke serve_forever() on uvloop.
# The client library of Prometheus makes /metrics.
LAUNCHER_REQUIREMENTS = ("websockets>=17.0.1,<18", "prometheus-client>=0.20,<1")

BUILD_PREFIX = ".build-"
LAST_LINES = 15
STEP_SECONDS = 900

IDENTITY = """
import json, platform, sys, sysconfig
print(json.dumps([
    sys.implementation.name, list(sys.version_info), platform.machine(),
    sysconfig.get_config_var("EXT_SUFFIX"),
]))
"""


class ReleaseError(Exception):
    """A release can't be built; the message holds the last words of the step that failed."""


@dataclass(frozen=True)
class Build:
    """All that building a release needs."""

    name: str
    digest: str
    python: str
    label: str = ""
    archive: str = ""
    install: tuple[str, ...] = ()
    launcher: bool = False
    check_config: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the processes have in their environment, for the import check."""
    program: str = ""


def home(name: str) -> Path:
    """Return the folder of an application."""
    return Path("/opt") / name


def release_id(digest: str, python: str) -> str:
    """Return the identity of a release: a digest of what goes in and of the interpreter.

    Raises ReleaseError where the interpreter does not run.
    """
    try:
        done = subprocess.run(
            [python, "-I", "-c", IDENTITY], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ReleaseError(f"app_python {python!r} does not run: {error}") from error
    total = hashlib.sha256(f"{digest} {python} {LAUNCHER_REQUIREMENTS} {done.stdout}".encode())
    return total.hexdigest()[:12]


def find(name: str, identity: str) -> bool:
    """Return whether the release is there, whole."""
    return (home(name) / "releases" / identity / "release.json").is_file()


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-LAST_LINES:])


class _Builder:
    """Runs the steps of one build as the application's account, in the build's folder."""

    def __init__(self, folder: Path, account: pwd.struct_passwd) -> None:
        self.folder = folder
        self.account = account
        self.python = str(folder / "venv" / "bin" / "python")

    def run(
        self,
        purpose: str,
        command: list[str],
        text: str | None = None,
        cwd: str = "app",
        more: Mapping[str, str] | None = None,
    ) -> str:
        """Run one step and return its output; raise ReleaseError with its last words."""
        environment = {
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_CACHE_DIR": "1",
            "PIP_NO_INPUT": "1",
            "PYTHONUNBUFFERED": "1",
            **(more or {}),
        }
        try:
            done = subprocess.run(
                command,
                cwd=self.folder / cwd,
                env=environment,
                input=text if text is not None else "",
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=STEP_SECONDS,
                check=False,
                user=self.account.pw_uid,
                group=self.account.pw_gid,
                extra_groups=[],
                umask=0o022,
            )
        except subprocess.TimeoutExpired as error:
            raise ReleaseError(f"{purpose} took more than {STEP_SECONDS} s") from error
        except OSError as error:
            raise ReleaseError(f"{purpose} could not start: {error}") from error
        if done.returncode != 0:
            words = _last_lines(done.stderr) or _last_lines(done.stdout)
            # The folder is gone when somebody reads this.
            words = words.replace(f"{self.folder}/", "")
            raise ReleaseError(f"{purpose} failed:\n{words}")
        return done.stdout


def _unpack(archive: str, folder: Path) -> None:
    with tarfile.open(archive) as stream:
        # The archive is the controller's own; the filter is there since Python 3.11.4.
        if hasattr(tarfile, "data_filter"):
            stream.extractall(folder, filter="data")
        else:
            stream.extractall(folder)  # noqa: S202


def _own(folder: Path, uid: int, gid: int, *, final: bool) -> None:
    """Give everything below ``folder`` to an owner; ``final`` takes the right to write away."""
    for path, names, files in os.walk(folder):
        for name in [".", *names, *files]:
            entry = Path(path) / name
            os.lchown(entry, uid, gid)
            if final and not entry.is_symlink():
                # The build may have left a process that puts a link here in the meantime.
                descriptor = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    mode = os.fstat(descriptor).st_mode
                    readable = stat.S_ISDIR(mode) or mode & 0o100
                    os.fchmod(descriptor, 0o750 if readable else 0o640)
                finally:
                    os.close(descriptor)


def _write_new(path: Path, text: str, gid: int) -> None:
    """Write a file of root's, whatever the build put in its place."""
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o640), "w") as stream:
        os.fchown(stream.fileno(), 0, gid)
        os.fchmod(stream.fileno(), 0o640)
        stream.write(text)


def _move_scripts(folder: Path, destination: Path) -> None:
    """Make the scripts of the virtual environment name the place that it is going to."""
    before, after = str(folder).encode(), str(destination).encode()
    for script in (folder / "venv" / "bin").iterdir():
        if script.is_symlink() or not script.is_file():
            continue
        content = script.read_bytes()
        if before in content and b"\0" not in content:
            script.write_bytes(content.replace(before, after))


def _fill(build: Build, builder: _Builder) -> None:
    """Install everything into the build's folder and see that it imports."""
    folder = builder.folder
    builder.run("creating the virtual environment", [build.python, "-m", "venv", "../venv"])
    pip = [builder.python, "-m", "pip", "install", "--quiet", "--no-warn-script-location"]
    requirements = folder / "requirements.txt"
    named = ["--requirement", "requirements.txt"] if requirements.is_file() else []
    sources = [f"./{path}" for path in build.install]
    launcher = list(LAUNCHER_REQUIREMENTS) if build.launcher else []
    if named and b"--hash" in requirements.read_bytes():
        # pip wants a hash of everything then, which a folder has not: what is installed is what
        # the file names, and nothing beside it.
        builder.run("installing app_requirements", [*pip, *named], cwd=".")
        if sources:
            builder.run("installing the application", [*pip, "--no-deps", *sources], cwd=".")
        builder.run("checking app_requirements", [builder.python, "-m", "pip", "check"])
        if launcher:
            purpose = "finding what the launcher needs in app_requirements, which has hashes,"
            builder.run(purpose, [*pip, "--no-index", *launcher])
    elif named or sources or launcher:
        # All at once: a conflict between them is an error, and no pin is undone by a later step.
        builder.run("installing the application", [*pip, *named, *sources, *launcher], cwd=".")
    if build.launcher:
        query = "import sysconfig; print(sysconfig.get_path('purelib'))"
        packages = Path(builder.run("finding site-packages", [builder.python, "-c", query]).strip())
        # The build's own interpreter said so, and it is root that writes there.
        if not packages.resolve().is_relative_to((folder / "venv").resolve()):
            raise ReleaseError(
                f"site-packages of the virtual environment is {packages}, outside it"
            )
        package = packages / "websockets_fleet"
        (folder / "launcher" / package.name).rename(package)
        (folder / "launcher").rmdir()
        builder.run("compiling", [builder.python, "-m", "compileall", "-q", str(package)])
    if build.check_config:
        command = [builder.python, "-m", "websockets_fleet", "--check", "--config", "-"]
        builder.run(
            "app_handler: the import check", command, build.check_config, more=build.environment
        )
    check_program(folder, build.program)


def check_program(folder: Path, program: str) -> None:
    """Raise ReleaseError unless ``program``, a path in the release or empty, can be executed."""
    path = folder / program
    if program and not (path.is_file() and path.stat().st_mode & 0o111):
        raise ReleaseError(f"app_command: {program} is no program in the release")


@contextlib.contextmanager
def _locked(releases: Path) -> Iterator[None]:
    """Hold the right to build; whatever a build left that did not end is removed."""
    with (releases / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for stale in releases.glob(f"{BUILD_PREFIX}*"):
            shutil.rmtree(stale)
        yield


def build(wanted: Build, identity: str) -> None:
    """Build a release under a temporary name and rename it into place.

    A build that fails leaves nothing behind. Raises ReleaseError.
    """
    try:
        account = pwd.getpwnam(wanted.name)
    except KeyError as error:
        raise ReleaseError(f"there is no account {wanted.name} to build as") from error
    group = grp.getgrgid(account.pw_gid).gr_gid
    top = home(wanted.name)
    releases = top / "releases"
    for folder in (top, releases):
        folder.mkdir(mode=0o750, exist_ok=True)
        os.chown(folder, 0, group)
        folder.chmod(0o750)
    with _locked(releases):
        if find(wanted.name, identity):
            return
        folder = Path(tempfile.mkdtemp(prefix=f"{BUILD_PREFIX}{identity}-", dir=releases))
        try:
            _unpack(wanted.archive, folder)
            for name in ("app", "home"):
                (folder / name).mkdir(exist_ok=True)
            _own(folder, account.pw_uid, account.pw_gid, final=False)
            _fill(wanted, _Builder(folder, account))
            shutil.rmtree(folder / "home")
            # From here on all of it is root's: what root writes goes where it should.
            _own(folder, 0, group, final=True)
            _move_scripts(folder, releases / identity)
            _write_new(folder / "release.env", f"APP_RELEASE={identity}\n", group)
            description = {
                "release": identity,
                # The same on every host, whatever its interpreter.
                "inputs": wanted.digest,
                "version": wanted.label,
                "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "python": wanted.python,
            }
            _write_new(folder / "release.json", json.dumps(description, indent=2) + "\n", group)
            # What a rename makes visible must be on disk: a power cut leaves all or nothing.
            os.sync()
            folder.rename(releases / identity)
        except (OSError, tarfile.TarError) as error:
            raise ReleaseError(f"building the release failed: {error}") from error
        finally:
            if folder.exists():
                shutil.rmtree(folder)


def in_use(releases: Path) -> set[str]:
    """Return the names of the releases that some process has as its working directory."""
    found: set[str] = set()
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError, ValueError):
            found.update(link.readlink().relative_to(releases.resolve()).parts[:1])
    return found


def prune(name: str, identity: str, keep: int, *, remove: bool) -> list[str]:
    """Return (and remove) the oldest releases beyond ``keep``.

    Never the release of ``identity``, the current one, the previous one, the one that somebody
    went back from, or one that runs.
    """
    releases = home(name) / "releases"
    kept = {identity} | in_use(releases)
    for link in ("current", "previous", "rolled_back"):
        with contextlib.suppress(OSError):
            kept.add((home(name) / link).readlink().name)
    found = [path for path in releases.glob("[!.]*") if path.is_dir()]
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    surplus = [path for path in found[keep:] if path.name not in kept]
    if surplus and remove:
        with _locked(releases):
            for path in surplus:
                # Half a release must not look like one, whatever ends this.
                doomed = path.rename(releases / f"{BUILD_PREFIX}{path.name}-pruned")
                shutil.rmtree(doomed)
    return [path.name for path in surplus]


def current(name: str) -> str:
    """Return the identity of the release that ``current`` points to, or an empty string."""
    try:
        return (home(name) / "current").readlink().name
    except OSError:
        return ""
