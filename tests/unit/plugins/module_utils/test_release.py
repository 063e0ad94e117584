# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release is there whole or not at all, and what is needed stays."""

from __future__ import annotations

import errno
import grp
import json
import os
import pwd
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.websockets.fleet.plugins.module_utils import _release
from ansible_collections.websockets.fleet.plugins.module_utils._release import (
    Build,
    ReleaseError,
    build,
    current,
    find,
    prune,
    release_id,
)
from ansible_collections.websockets.fleet.plugins.plugin_utils._payload import (
    collect,
)

SCRIPT = "#!/usr/bin/env python\nprint('served')\n"
# What looks like a virtual environment and takes no seconds to make.
QUICK_VENV = r"""#!/bin/sh
mkdir -p ../venv/bin
ln -s PYTHON ../venv/bin/python
printf '#!%s/venv/bin/python\n' "$(dirname "$PWD")" >../venv/bin/pip
printf 'VIRTUAL_ENV=%s/venv\n' "$(dirname "$PWD")" >../venv/bin/activate
printf '%s\0' "$PWD" >../venv/bin/binary
chmod 755 ../venv/bin/pip ../venv/bin/binary
"""


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put applications into a folder, and let this account be theirs."""
    account = pwd.getpwuid(os.getuid())
    folder = tmp_path / "opt"
    folder.mkdir()
    monkeypatch.setattr(_release, "home", lambda name: folder / name)
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: account)
    if os.getuid() != 0:
        # Only root gives files away and changes accounts.
        run = subprocess.run

        def as_self(command: list[str], **options: Any) -> Any:
            for key in ("user", "group", "extra_groups"):
                options.pop(key, None)
            return run(command, check=options.pop("check"), **options)

        monkeypatch.setattr(subprocess, "run", as_self)
        monkeypatch.setattr(os, "chown", lambda *_arguments: None)
        monkeypatch.setattr(os, "lchown", lambda *_arguments: None)
        monkeypatch.setattr(os, "fchown", lambda *_arguments: None)
    return folder / "chat"


def wheelhouse(folder: Path) -> str:
    """Make a folder with one wheel, whose package says where it is installed."""
    folder.mkdir()
    information = "shouts-1.0.dist-info"
    tags = "Root-Is-Purelib: true\nTag: py3-none-any\n"
    files = {
        "shouts.py": "import sys\ndef main():\n    print(sys.prefix)\n"
        "if __name__ == '__main__':\n    main()\n",
        f"{information}/METADATA": "Metadata-Version: 2.1\nName: shouts\nVersion: 1.0\n",
        f"{information}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\n{tags}",
        f"{information}/entry_points.txt": "[console_scripts]\nshout = shouts:main\n",
    }
    files[f"{information}/RECORD"] = "".join(f"{name},,\n" for name in files)
    with zipfile.ZipFile(folder / "shouts-1.0-py3-none-any.whl", "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
    return str(folder)


def payload(
    folder: Path, requirements: Sequence[str] = (), wheelhouse: str = "", **files: str
) -> Path:
    """Return an archive of a source; an executable one for each name without a suffix."""
    source = folder / "source"
    source.mkdir(exist_ok=True)
    for name, content in files.items():
        (source / name).write_text(content)
        (source / name).chmod(0o777)
    archive = folder / "release.tar.gz"
    collected = collect(str(source), list(requirements), None, wheelhouse)
    with archive.open("wb") as stream:
        collected.write_archive(stream, collected.digest())
    return archive


@pytest.fixture
def wanted(tmp_path: Path) -> Build:
    python = tmp_path / "quick"
    python.write_text(QUICK_VENV.replace("PYTHON", sys.executable))
    python.chmod(0o755)
    return Build(
        name="chat",
        digest="d",
        python=str(python),
        label="1.2",
        archive=str(payload(tmp_path, serve=SCRIPT)),
        program="app/serve",
    )


def names(releases: Path) -> list[str]:
    return sorted(path.name for path in releases.iterdir())


def test_a_release_is_built_runs_at_its_place_and_is_found(
    top: Path, wanted: Build, tmp_path: Path
) -> None:
    assert not find("chat", "abc")
    wheels = wheelhouse(tmp_path / "wheels")
    archive = payload(tmp_path, requirements=["shouts"], wheelhouse=wheels, serve=SCRIPT)
    shouting = replace(wanted, python=sys.executable, archive=str(archive), wheelhouse=True)
    build(shouting, "abc")
    release = top / "releases" / "abc"
    assert find("chat", "abc")
    assert names(top / "releases") == [".lock", "abc"]
    made = ["app", "release.env", "release.json", "requirements.txt", "venv"]
    assert names(release) == made
    assert (release / "release.env").read_text() == "APP_RELEASE=abc\n"
    description = json.loads((release / "release.json").read_text())
    assert (description["release"], description["version"]) == ("abc", "1.2")
    assert description["inputs"] == "d"
    # Both ways to its interpreter: by path, and by the first line of a script.
    for command in (f"{release}/venv/bin/python -m shouts", f"{release}/venv/bin/shout"):
        done = subprocess.run(command.split(), check=True, capture_output=True, text=True)
        assert done.stdout == f"{release}/venv\n"
    # What installs is no part of it.
    assert not list((release / "venv").rglob("pip*"))


def test_scripts_name_the_place_that_the_release_is_going_to(top: Path, wanted: Build) -> None:
    build(wanted, "abc")
    release = top / "releases" / "abc"
    assert (release / "venv/bin/pip").read_text() == f"#!{release}/venv/bin/python\n"
    assert (release / "venv/bin/activate").read_text() == f"VIRTUAL_ENV={release}/venv\n"
    # A program's bytes are its own: another length would break it.
    assert b"/.build-abc-" in (release / "venv/bin/binary").read_bytes()


def test_the_application_may_read_and_run_its_release_and_write_nothing(
    top: Path, wanted: Build
) -> None:
    build(wanted, "abc")
    release = top / "releases" / "abc"
    modes = {
        oct(path.stat().st_mode & 0o7777)
        for path in (release, *release.rglob("*"))
        if not path.is_symlink()
    }
    assert modes == {"0o750", "0o640"}
    assert (release / "app" / "serve").stat().st_mode & 0o7777 == 0o750
    assert (release / "release.json").stat().st_mode & 0o7777 == 0o640
    assert {top.stat().st_mode & 0o7777, release.parent.stat().st_mode & 0o7777} == {0o750}


def test_a_release_that_is_there_is_not_built_again(top: Path, wanted: Build) -> None:
    build(wanted, "abc")
    before = (top / "releases" / "abc").stat()
    build(replace(wanted, archive="/no/such/archive"), "abc")
    assert (top / "releases" / "abc").stat() == before


FAILURES = {
    "the program is missing": (
        {"program": "app/other"},
        "app_command: app/other is no program in the",
    ),
    "the interpreter fails": ({"python": "/bin/false"}, "creating the virtual environment failed"),
    "no interpreter": (
        {"python": "/no/python"},
        "creating the virtual environment could not start",
    ),
    "a project that can't be installed": (
        {"install": ("app",)},
        "installing the application failed",
    ),
    "the import check": ({"check_config": "x"}, "the import check.* failed:\n.*websockets_fleet"),
    "no archive": ({"archive": "/no/archive"}, "building the release failed: .*/no/archive"),
    "no archive, but a file": ({"archive": "/etc/passwd"}, "building the release failed: "),
}


@pytest.mark.parametrize(("change", "message"), FAILURES.values(), ids=FAILURES)
def test_a_build_that_fails_leaves_nothing_and_says_why(
    top: Path, wanted: Build, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ReleaseError, match=message):
        build(replace(wanted, **change), "abc")
    assert names(top / "releases") == [".lock"]
    assert not find("chat", "abc")


def test_what_a_step_says_last_has_no_secret_in_it(top: Path, wanted: Build) -> None:
    # The words of the import check, as if the application had said them.
    failing = replace(wanted, check_config="x", secrets=("websockets_fleet",))
    with pytest.raises(ReleaseError, match=r"\*\*\*\*") as failed:
        build(failing, "abc")
    assert "websockets_fleet" not in str(failed.value)
    assert not find("chat", "abc")


def test_a_step_that_takes_too_long_ends(
    top: Path, wanted: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_release, "STEP_SECONDS", 0.2)
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    with pytest.raises(ReleaseError, match=r"the virtual environment took more than 0\.2 s"):
        build(replace(wanted, python=str(slow)), "abc")
    assert names(top / "releases") == [".lock"]


def test_what_a_build_that_was_cut_off_left_is_removed(top: Path, wanted: Build) -> None:
    (top / "releases" / ".build-old-x1" / "venv").mkdir(parents=True)
    (top / "releases" / ".build-old-x1" / "release.json").write_text("{}")
    build(wanted, "abc")
    assert names(top / "releases") == [".lock", "abc"]


def test_an_application_without_an_account_is_refused(
    top: Path, wanted: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", unknown)
    with pytest.raises(ReleaseError, match="there is no account chat to build as"):
        build(wanted, "abc")
    assert not top.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root runs something as another account")
def test_nothing_is_run_as_root(
    top: Path, wanted: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = pwd.getpwuid(65534)
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: nobody)
    for folder in (tmp_path, *tmp_path.parents[:2], top.parent):
        folder.chmod(folder.stat().st_mode | 0o011)
    told = tmp_path / "told"
    told.mkdir(mode=0o777)
    told.chmod(0o777)
    spy = tmp_path / "python"
    spy.write_text(f"#!/bin/sh\nid -u >{told}/uid; id -G >{told}/groups; umask >{told}/umask\n")
    spy.chmod(0o755)
    before = os.umask(0o077)
    try:
        with pytest.raises(ReleaseError):
            build(replace(wanted, python=str(spy), program="no"), "abc")
    finally:
        os.umask(before)
    assert (told / "uid").read_text() == "65534\n"
    assert (told / "groups").read_text() == f"{nobody.pw_gid}\n"
    assert (told / "umask").read_text() == "0022\n"


# What installs


INSTALLER = r"""#!/bin/sh
{ echo "$0 $*"; env; } >>FOLDER/told
cat "$HOME/.netrc" >>FOLDER/netrc 2>/dev/null
stat -c '%a %n' "$HOME" "$HOME/.netrc" >>FOLDER/modes 2>/dev/null
echo "SAYS" >&2
exit STATUS
"""


@pytest.fixture
def told(top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a uv and a virtual environment there that write down how they are called, and fail."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = INSTALLER.replace("FOLDER", str(tmp_path)).replace("STATUS", "1")
    (folder / "uv").write_text(script.replace("SAYS", "uv says no"))
    said = "a bad login: s3cret-of-ci, at https://ci:s3cret%2Dof%2Dci@a.example"
    (folder / "python").write_text(script.replace("SAYS", said))
    # It makes the virtual environment, with the other one as its interpreter.
    quick = QUICK_VENV.replace("PYTHON", str(folder / "python"))
    (folder / "quick").write_text(quick)
    for path in folder.iterdir():
        path.chmod(0o755)
    monkeypatch.setattr(_release, "PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(_release, "PIP_CONFIGURATIONS", (str(tmp_path / "pip.conf"),))
    return tmp_path / "told"


def attempt(wanted: Build, tmp_path: Path, requirement: str = "redis", **changes: Any) -> str:
    """Build what the installer refuses; return the message."""
    archive = payload(tmp_path, [requirement], serve=SCRIPT)
    python = str(tmp_path / "bin" / "quick")
    with pytest.raises(ReleaseError) as caught:
        build(replace(wanted, python=python, archive=str(archive), **changes), "abc")
    return str(caught.value)


def test_uv_installs_where_it_is_there(wanted: Build, told: Path, tmp_path: Path) -> None:
    assert "installing the application failed:\nuv says no" in attempt(wanted, tmp_path)
    line = told.read_text().splitlines()[0]
    assert line.startswith(f"{tmp_path}/bin/uv pip install --python ")
    assert line.endswith(
        "--compile-bytecode --index-strategy unsafe-best-match --requirement requirements.txt"
    )


@pytest.mark.parametrize(
    ("requirement", "changes", "settings"),
    [
        ("redis", {"pip_args": ("--pre",)}, ""),
        ("redis", {"pip_environment": {"PIP_PRE": "1"}}, ""),
        ("redis", {}, "[global]\nindex-url = https://pypi.example.com/simple\n"),
        ("redis", {}, "[install]\npre = 1\n"),
        ("redis\n--pre", {}, ""),
    ],
)
def test_pip_installs_where_something_is_said_to_it(
    wanted: Build,
    told: Path,
    tmp_path: Path,
    requirement: str,
    changes: dict[str, Any],
    settings: str,
) -> None:
    (tmp_path / "pip.conf").write_text(settings)
    assert "a bad login" in attempt(wanted, tmp_path, requirement, **changes)
    assert "/pip/__pip-runner__.py install --quiet" in told.read_text()


def test_settings_that_are_none_of_pip_alone_leave_it_to_uv(
    wanted: Build, told: Path, tmp_path: Path
) -> None:
    (tmp_path / "pip.conf").write_text("[global]\ncert = /etc/ca.crt\ntimeout = 60\n")
    assert "uv says no" in attempt(wanted, tmp_path, "redis --hash=sha256:0")
    assert "SSL_CERT_FILE=/etc/ca.crt\n" in told.read_text()
    assert "--require-hashes" in told.read_text()


def test_a_wheelhouse_is_all_that_is_looked_into(wanted: Build, told: Path, tmp_path: Path) -> None:
    # A host's index is none of it then.
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://pypi.example.com/simple\n")
    attempt(wanted, tmp_path, wheelhouse=True)
    attempt(wanted, tmp_path, wheelhouse=True, pip_args=("--pre",))
    by_uv, by_pip = (line for line in told.read_text().splitlines() if " install " in line)
    assert "--no-index --find-links /" in by_uv
    assert "--pre --no-index --find-links /" in by_pip
    assert "PIP_CONFIG_FILE=/dev/null\n" in told.read_text()


def test_the_event_loop_is_installed_with_the_launcher(
    wanted: Build, told: Path, tmp_path: Path
) -> None:
    attempt(wanted, tmp_path, launcher=True)
    assert "uvloop" not in told.read_text()
    attempt(wanted, tmp_path, launcher=True, event_loop="uvloop")
    assert told.read_text().count("uvloop>=") == 1


def test_a_password_of_an_index_is_in_a_file_of_the_account_alone(
    wanted: Build, told: Path, tmp_path: Path
) -> None:
    environment = {"PIP_INDEX_URL": "https://ci:s3cret%2Dof%2Dci@a.example/simple"}
    message = attempt(wanted, tmp_path, pip_environment=environment)
    assert message.endswith("a bad login: ****, at https://ci:****@a.example")
    assert "PIP_INDEX_URL=https://a.example/simple\n" in told.read_text()
    assert "s3cret" not in told.read_text()
    login = 'machine a.example login "ci" password "s3cret-of-ci"\n'
    assert (tmp_path / "netrc").read_text() == login
    modes = [line.split()[0] for line in (tmp_path / "modes").read_text().splitlines()]
    assert modes == ["700", "600"]


# Space


def test_a_build_does_not_begin_without_space(
    top: Path, wanted: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage("/")._replace(free=3 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: free)
    words = f"not enough space in {top}/releases to build .*: it takes about 64 MiB, 3 MiB are free"
    with pytest.raises(ReleaseError, match=words):
        build(wanted, "abc")
    assert names(top / "releases") == [".lock"]


def test_a_step_that_finds_the_disk_full_is_understood(
    top: Path, wanted: Build, told: Path, tmp_path: Path
) -> None:
    uv = tmp_path / "bin" / "uv"
    uv.write_text("#!/bin/sh\necho 'error: No space left on device (os error 28)' >&2\nexit 2\n")
    message = attempt(wanted, tmp_path)
    assert f"not enough space in {top}/releases to build a release" in message
    assert "installing the application filled it up, now" in message
    assert names(top / "releases") == [".lock"]
    assert not told.exists()


def test_a_disk_that_is_full_when_files_are_written_is_understood(
    top: Path, wanted: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_release, "_move_scripts", full)
    with pytest.raises(ReleaseError, match=r"there is not enough space in .*: it is full, "):
        build(wanted, "abc")
    assert names(top / "releases") == [".lock"]


def test_the_archive_does_not_outlive_a_build(top: Path, wanted: Build, tmp_path: Path) -> None:
    folder = tmp_path / "ansible-tmp"
    folder.mkdir()
    archive = Path(wanted.archive).rename(folder / "release.tar.gz")
    build(replace(wanted, archive=str(archive)), "abc")
    assert not folder.exists()
    assert find("chat", "abc")


# Identity


def test_the_identity_is_the_same_for_the_same_input() -> None:
    one = release_id("digest", sys.executable)
    assert one == release_id("digest", sys.executable)
    assert one != release_id("digest2", sys.executable)
    assert len(one) == 12
    assert set(one) <= set("0123456789abcdef")


def test_another_interpreter_is_another_release(tmp_path: Path) -> None:
    python = tmp_path / "python"
    seen = set()
    for version in ("3.11.2", "3.11.3"):
        python.write_text(f"#!/bin/sh\necho {version}\n")
        python.chmod(0o755)
        seen.add(release_id("digest", str(python)))
    assert len(seen) == 2


@pytest.mark.parametrize("python", ["/no/python", "/bin/false"])
def test_an_interpreter_that_does_not_run_is_named(python: str) -> None:
    with pytest.raises(ReleaseError, match=f"app_python '{python}' does not run"):
        release_id("digest", python)


# Pruning


@pytest.fixture
def releases(top: Path) -> Path:
    """Lay five releases, a the oldest and e the newest."""
    folder = top / "releases"
    for age, name in enumerate("abcde"):
        (folder / name / "app").mkdir(parents=True)
        (folder / name / "release.json").write_text("{}")
        os.utime(folder / name, (age, age))
    return folder


def visible(releases: Path) -> str:
    return "".join(name for name in names(releases) if not name.startswith("."))


def test_the_newest_stay(releases: Path) -> None:
    assert prune("chat", "e", 2, remove=False) == ["c", "b", "a"]
    assert visible(releases) == "abcde"
    assert prune("chat", "e", 2, remove=True) == ["c", "b", "a"]
    assert visible(releases) == "de"
    assert names(releases)[0] == ".lock"
    assert prune("chat", "e", 2, remove=True) == []


@pytest.mark.parametrize("label", ["previous", "rolled_back"])
def test_what_is_asked_for_current_or_was_current_stays(releases: Path, label: str) -> None:
    (releases.parent / "current").symlink_to("releases/b")
    (releases.parent / label).symlink_to("releases/a")
    assert current("chat") == "b"
    assert prune("chat", "c", 1, remove=True) == ["e", "d"]
    assert visible(releases) == "abc"


def test_what_runs_stays(releases: Path, top: Path) -> None:
    # Its folder may be reached through links.
    top.with_name("alias").symlink_to(top)
    with subprocess.Popen(["sleep", "60"], cwd=top.with_name("alias") / "releases/b/app") as child:
        try:
            assert prune("chat", "e", 1, remove=True) == ["d", "c", "a"]
        finally:
            child.kill()
    assert visible(releases) == "be"


def test_what_runs_stays_where_the_folder_is_a_link(
    releases: Path, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top.parent.with_name("srv").symlink_to(top.parent)
    monkeypatch.setattr(_release, "home", lambda name: top.parent.with_name("srv") / name)
    with subprocess.Popen(["sleep", "60"], cwd=releases / "b" / "app") as child:
        try:
            assert prune("chat", "e", 1, remove=True) == ["d", "c", "a"]
        finally:
            child.kill()


def test_a_shell_in_the_folder_of_releases_is_no_trouble(releases: Path) -> None:
    with subprocess.Popen(["sleep", "60"], cwd=releases) as child:
        try:
            assert prune("chat", "e", 4, remove=True) == ["a"]
        finally:
            child.kill()


def test_a_prune_that_is_cut_off_leaves_no_half_release(
    releases: Path, wanted: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(_path: Path) -> None:
        raise OSError("power")

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", cut_off)
        with pytest.raises(OSError, match="power"):
            prune("chat", "e", 4, remove=True)
    assert not find("chat", "a")
    assert visible(releases) == "bcde"
    # It can be built again, and the rest of it goes.
    build(wanted, "a")
    assert names(releases) == [".lock", "a", "b", "c", "d", "e"]


def test_no_release_is_the_current_one_before_the_first(top: Path) -> None:
    assert current("chat") == ""
    assert top.name == "chat"


def test_files_belong_to_root_and_the_group_of_the_account(
    top: Path, wanted: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr(
        os, "lchown", lambda path, uid, gid: given.__setitem__(Path(path).name, (uid, gid))
    )
    written: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _file, uid, gid: written.append((uid, gid)))
    build(wanted, "abc")
    group = grp.getgrgid(pwd.getpwuid(os.getuid()).pw_gid).gr_gid
    assert {given[name] for name in ("serve", "pip", "python")} == {(0, group)}
    # release.env and release.json
    assert written == [(0, group)] * 2
    assert top.is_dir()
