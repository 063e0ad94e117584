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
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Build",
    "ReleaseError",
    "build",
    "current",
    "find",
    "home",
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
        self, purpose: str, command: list[str], text: str | None = None, cwd: str = "app"
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
                mode = entry.stat().st_mode
                entry.chmod(0o750 if entry.is_dir() or mode & 0o100 else 0o640)


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
    if (folder / "requirements.txt").is_file():
        command = [*pip, "--requirement", "requirements.txt"]
        builder.run("installing app_requirements", command, cwd=".")
    wanted = [f"./{path}" for path in build.install]
    if build.launcher:
        wanted += LAUNCHER_REQUIREMENTS
    if wanted:
        builder.run("installing the application", [*pip, *wanted], cwd=".")
    if build.launcher:
        query = "import sysconfig; print(sysconfig.get_path('purelib'))"
        packages = Path(builder.run("finding site-packages", [builder.python, "-c", query]).strip())
        package = packages / "websockets_fleet"
        (folder / "launcher" / package.name).rename(package)
        (folder / "launcher").rmdir()
        builder.run("compiling", [builder.python, "-m", "compileall", "-q", str(package)])
    if build.check_config:
        command = [builder.python, "-m", "websockets_fleet", "--check", "--config", "-"]
        builder.run("app_handler: the import check", command, build.check_config)
    if build.program and not (folder / build.program).is_file():
        raise ReleaseError(f"app_command: {build.program} is not in the release")


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
            _move_scripts(folder, releases / identity)
            (folder / "release.env").write_text(f"APP_RELEASE={identity}\n")
            description = {
                "release": identity,
                "version": wanted.label,
                "built": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "python": wanted.python,
            }
            (folder / "release.json").write_text(json.dumps(description, indent=2) + "\n")
            _own(folder, 0, group, final=True)
            # What a rename makes visible must be on disk: a power cut leaves all or nothing.
            os.sync()
            folder.rename(releases / identity)
        except (OSError, tarfile.TarError) as error:
            raise ReleaseError(f"building the release failed: {error}") from error
        finally:
            if folder.exists():
                shutil.rmtree(folder)


def _in_use(releases: Path) -> set[str]:
    """Return the names of the releases that some process has as its working directory."""
    found: set[str] = set()
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError, ValueError):
            found.update(link.readlink().relative_to(releases.resolve()).parts[:1])
    return found


def prune(name: str, identity: str, keep: int, *, remove: bool) -> list[str]:
    """Return (and remove) the oldest releases beyond ``keep``.

    Never the release of ``identity``, the current one, the previous one, or one that runs.
    """
    releases = home(name) / "releases"
    kept = {identity} | _in_use(releases)
    for link in ("current", "previous"):
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
