# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a release on the server, or find it. Private to the collection."""

from __future__ import annotations

import configparser
import contextlib
import errno
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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.websockets.fleet.plugins.module_utils._mask import mask
from ansible_collections.websockets.fleet.plugins.module_utils._pip_environment import (
    PipEnvironment,
    prepare,
)

__all__ = [
    "Build",
    "ReleaseError",
    "build",
    "check_program",
    "current",
    "find",
    "home",
    "in_use",
    "last_lines",
    "prune",
    "release_id",
    "version",
]

# The launcher speaks to websockets 17; 17.0 itself broke serve_forever() on uvloop.
# The client library of Prometheus makes /metrics.
LAUNCHER_REQUIREMENTS = ("websockets>=17.0.1,<18", "prometheus-client>=0.20,<1")
# What each event loop of the launcher needs beside them.
EVENT_LOOPS: Mapping[str, tuple[str, ...]] = {"asyncio": (), "uvloop": ("uvloop>=0.21,<1",)}

BUILD_PREFIX = ".build-"
LAST_LINES = 15
STEP_SECONDS = 900

PATH = "/usr/local/bin:/usr/bin:/bin"
MEBIBYTE = 2**20
# pip and the launcher's packages; what is uploaded, unpacked, as packages with their bytecode.
SPACE = 64 * MEBIBYTE
SPACE_FACTOR = 4

# Where pip looks for a configuration that is not an account's own, and what of it uv does alike.
PIP_CONFIGURATIONS = ("/etc/xdg/pip/pip.conf", "/etc/pip.conf")
PIP_HARMLESS = frozenset(
    {"break-system-packages", "cert", "disable-pip-version-check", "no-cache-dir", "timeout"}
)

IDENTITY = """
import json, platform, sys, sysconfig
print(json.dumps([
    sys.implementation.name, list(sys.version_info), platform.machine(),
    sysconfig.get_config_var("EXT_SUFFIX"),
]))
"""

# Python brings a wheel of pip for its virtual environments. Installed by that in its usual way it
# takes seconds, and stays in the release, where nobody needs it.
UNPACK_PIP = """
import ensurepip, glob, os, sys, sysconfig, zipfile
bundled = os.path.join(os.path.dirname(ensurepip.__file__), "_bundled")
folders = [sysconfig.get_config_var("WHEEL_PKG_DIR"), bundled, "/usr/share/python-wheels"]
found = [wheel for folder in folders if folder for wheel in glob.glob(folder + "/pip-*.whl")]
if not found:
    sys.exit("no wheel of pip comes with this Python")
zipfile.ZipFile(found[0]).extractall(sys.argv[1])
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
    event_loop: str = "asyncio"
    wheelhouse: bool = False
    """Whether the archive holds a folder of wheels to install everything from."""
    pip_args: tuple[str, ...] = ()
    pip_environment: Mapping[str, str] = field(default_factory=dict)
    check_config: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the processes have in their environment, for the import check."""
    secrets: tuple[str, ...] = ()
    """Values of it that no output may have."""
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
    needs = f"{LAUNCHER_REQUIREMENTS} {sorted(EVENT_LOOPS.items())}"
    total = hashlib.sha256(f"{digest} {python} {needs} {done.stdout}".encode())
    return total.hexdigest()[:12]


def find(name: str, identity: str) -> bool:
    """Return whether the release is there, whole."""
    return (home(name) / "releases" / identity / "release.json").is_file()


def last_lines(text: str) -> str:
    """Return the end of what a program said, which tells why it failed."""
    return "\n".join(text.strip().splitlines()[-LAST_LINES:])


def _mebibytes(size: int) -> str:
    return f"{size / MEBIBYTE:.0f} MiB"


def _no_space(folder: Path, need: str) -> ReleaseError:
    return ReleaseError(
        f"there is not enough space in {folder} to build a release: {need}"
        f" {_mebibytes(shutil.disk_usage(folder).free)} are free; make room on that file system,"
        " what runs is not touched"
    )


def _check_space(folder: Path, archive: str) -> None:
    """Raise ReleaseError where the file system is too full to begin at all."""
    with tarfile.open(archive) as stream:
        need = SPACE + SPACE_FACTOR * sum(member.size for member in stream)
    if shutil.disk_usage(folder).free < need:
        raise _no_space(folder, f"it takes about {_mebibytes(need)},")


class _Builder:
    """Runs the steps of one build as the application's account, in the build's folder."""

    def __init__(
        self,
        folder: Path,
        account: pwd.struct_passwd,
        pip: PipEnvironment,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.account = account
        self.pip = pip
        self.secrets = (*pip.secrets, *secrets)
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
            "PATH": PATH,
            "PYTHONUNBUFFERED": "1",
            # What a step leaves there goes with the home.
            "TMPDIR": str(self.folder / "home"),
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
            if os.strerror(errno.ENOSPC) in done.stderr + done.stdout:
                raise _no_space(self.folder.parent, f"{purpose} filled it up, now")
            words = last_lines(done.stderr) or last_lines(done.stdout)
            # The folder is gone when somebody reads this.
            words = mask(words.replace(f"{self.folder}/", ""), self.secrets)
            raise ReleaseError(f"{purpose} failed:\n{words}")
        return done.stdout


class _Pip:
    """Installs packages with pip."""

    name = "pip"

    def __init__(self, build: Build, builder: _Builder) -> None:
        self.builder = builder
        unpacked = builder.folder / "home" / "pip"
        unpack = [build.python, "-I", "-c", UNPACK_PIP, str(unpacked)]
        builder.run("finding pip", unpack)
        # As pip runs itself for another interpreter: it is none of that one's packages then.
        self.command = [builder.python, str(unpacked / "pip" / "__pip-runner__.py")]
        self.options = ["--quiet", "--no-warn-script-location", *build.pip_args]
        self.environment = {
            **builder.pip.variables,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_CACHE_DIR": "1",
            "PIP_NO_INPUT": "1",
        }
        if build.wheelhouse:
            self.options += ["--no-index", "--find-links", str(builder.folder / "wheelhouse")]
            # An index or a folder of the host's configuration is none of the release's inputs.
            self.environment["PIP_CONFIG_FILE"] = os.devnull

    def install(self, purpose: str, *what: str) -> None:
        command = [*self.command, "install", *self.options, *what]
        self.builder.run(purpose, command, cwd=".", more=self.environment)

    def check(self, purpose: str) -> None:
        self.builder.run(purpose, [*self.command, "check"], more=self.environment)


class _Uv:
    """Installs the same packages with uv, which takes a fraction of the time."""

    name = "uv"

    def __init__(self, build: Build, builder: _Builder, path: str, certificates: str) -> None:
        self.builder = builder
        self.command = [path, "pip"]
        # As pip does: bytecode for an account that can't write it, the best version of any index.
        self.options = ["--quiet", "--compile-bytecode", "--index-strategy", "unsafe-best-match"]
        self.python = ["--python", builder.python]
        self.environment = {
            "UV_NO_CONFIG": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_SYSTEM_CERTS": "1",
            # The same, to a uv that does not know it by that name yet.
            "UV_NATIVE_TLS": "1",
        }
        if certificates:
            self.environment["SSL_CERT_FILE"] = certificates
        if build.wheelhouse:
            self.options += ["--no-index", "--find-links", str(builder.folder / "wheelhouse")]

    def install(self, purpose: str, *what: str) -> None:
        command = [*self.command, "install", *self.python, *self.options, *what]
        self.builder.run(purpose, command, cwd=".", more=self.environment)

    def check(self, purpose: str) -> None:
        command = [*self.command, "check", *self.python]
        self.builder.run(purpose, command, more=self.environment)


def _pip_settings(paths: Iterable[str]) -> dict[str, str]:
    """Return the settings of the host's own configuration of pip."""
    parser = configparser.RawConfigParser()
    parser.read(paths, encoding="utf-8")
    return {key: value for name in parser.sections() for key, value in parser.items(name, raw=True)}


def _installer(build: Build, builder: _Builder) -> _Pip | _Uv:
    """Return uv where the host has it and nothing is said to pip that uv may not know of."""
    uv = shutil.which("uv", path=PATH)
    settings = {} if build.wheelhouse else _pip_settings(PIP_CONFIGURATIONS)
    requirements = builder.folder / "requirements.txt"
    lines = (
        requirements.read_text("utf-8", "replace").splitlines() if requirements.is_file() else []
    )
    words = [line.lstrip() for line in lines]
    options = any(word.startswith("-") and not word.startswith("--hash") for word in words)
    for_pip = build.pip_args or build.pip_environment or set(settings) - PIP_HARMLESS or options
    if uv and not for_pip:
        return _Uv(build, builder, uv, settings.get("cert", ""))
    return _Pip(build, builder)


def _unpack(archive: str, folder: Path) -> None:
    with tarfile.open(archive) as stream:
        # The archive is the controller's own; the filter is there since Python 3.11.4.
        if hasattr(tarfile, "data_filter"):
            stream.extractall(folder, filter="data")
        else:
            stream.extractall(folder)  # noqa: S202


def _take(archive: str) -> None:
    """Remove the archive: a controller that was killed does not."""
    path = Path(archive)
    path.unlink()
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def _make_home(folder: Path, netrc: str) -> None:
    """Make a home for the time of the build that nobody else can look into."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    if netrc:
        # The folder is still root's: nobody has put something in this place.
        with os.fdopen(os.open(home / ".netrc", os.O_WRONLY | os.O_CREAT, 0o600), "w") as stream:
            stream.write(netrc)


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


def _install(build: Build, builder: _Builder) -> str:
    """Install what the release is made of; return the name of the installer."""
    requirements = builder.folder / "requirements.txt"
    named = ["--requirement", "requirements.txt"] if requirements.is_file() else []
    sources = [f"./{path}" for path in build.install]
    launcher = [*LAUNCHER_REQUIREMENTS, *EVENT_LOOPS[build.event_loop]] if build.launcher else []
    if not (named or sources or launcher):
        return ""
    installer = _installer(build, builder)
    if named and b"--hash" in requirements.read_bytes():
        # pip wants a hash of everything then, which a folder has not: what is installed is what
        # the file names, and nothing beside it.
        installer.install("installing app_requirements", "--require-hashes", *named)
        if sources:
            installer.install("installing the application", "--no-deps", *sources)
        installer.check("checking app_requirements")
        if launcher:
            purpose = "finding what the launcher needs in app_requirements, which has hashes,"
            # With a wheelhouse it is said already, and uv takes it once.
            alone = [] if build.wheelhouse else ["--no-index"]
            installer.install(purpose, *alone, *launcher)
    else:
        # All at once: a conflict between them is an error, and no pin is undone by a later step.
        installer.install("installing the application", *named, *sources, *launcher)
    return installer.name


def _fill(build: Build, builder: _Builder) -> str:
    """Install everything into the build's folder and see that it imports.

    Return the name of the installer.
    """
    folder = builder.folder
    venv = [build.python, "-m", "venv", "--without-pip", "../venv"]
    builder.run("creating the virtual environment", venv)
    installer = _install(build, builder)
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
    return installer


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


def _sync(folder: Path) -> None:
    """Put the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
        pip = prepare(wanted.pip_environment)
        folder = Path(tempfile.mkdtemp(prefix=f"{BUILD_PREFIX}{identity}-", dir=releases))
        try:
            _check_space(releases, wanted.archive)
            _unpack(wanted.archive, folder)
            _take(wanted.archive)
            (folder / "app").mkdir(exist_ok=True)
            _make_home(folder, pip.netrc)
            _own(folder, account.pw_uid, account.pw_gid, final=False)
            installer = _fill(wanted, _Builder(folder, account, pip, wanted.secrets))
            for name in ("home", "wheelhouse"):
                shutil.rmtree(folder / name, ignore_errors=name == "wheelhouse")
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
                "installer": installer,
            }
            _write_new(folder / "release.json", json.dumps(description, indent=2) + "\n", group)
            # What a rename makes visible must be on disk: a power cut leaves all or nothing.
            os.sync()
            folder.rename(releases / identity)
            _sync(releases)
        except (OSError, tarfile.TarError, configparser.Error, UnicodeDecodeError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _no_space(releases, "it is full,") from error
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
    surplus = _surplus(name, identity, keep)
    if surplus and remove:
        with _locked(releases):
            # Another run may have switched while this one waited.
            surplus = _surplus(name, identity, keep)
            for path in surplus:
                # Half a release must not look like one, whatever ends this.
                doomed = path.rename(releases / f"{BUILD_PREFIX}{path.name}-pruned")
                shutil.rmtree(doomed)
    return [path.name for path in surplus]


def _surplus(name: str, identity: str, keep: int) -> list[Path]:
    releases = home(name) / "releases"
    found = [path for path in releases.glob("[!.]*") if path.is_dir()]
    if len(found) <= keep:
        return []
    kept = {identity} | in_use(releases)
    for link in ("current", "previous", "rolled_back"):
        with contextlib.suppress(OSError):
            kept.add((home(name) / link).readlink().name)
    others = [path for path in found if path.name not in kept]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return others[max(0, keep - (len(found) - len(others))) :]


def version(name: str, identity: str) -> str:
    """Return the label that a release was built with, empty where there is none."""
    try:
        text = (home(name) / "releases" / identity / "release.json").read_text()
    except OSError:
        return ""
    return str(json.loads(text).get("version", ""))


def current(name: str) -> str:
    """Return the identity of the release that ``current`` points to, or an empty string."""
    try:
        return (home(name) / "current").readlink().name
    except OSError:
        return ""
