# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wheelhouse holds what the servers' Pythons need, and what people put there stays."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.websockets.fleet.plugins.plugin_utils._wheelhouse import (
    SETUPTOOLS,
    Downloader,
    WheelhouseError,
    apply,
    build_requirements,
    compare,
    targets,
)


def facts(python: str = "3.11.2", machine: str = "x86_64", libc: str = "glibc 2.36") -> Any:
    return {
        "implementation": "cpython",
        "libc": libc,
        "markers": {
            "platform_machine": machine,
            "python_full_version": python,
            "python_version": python.rpartition(".")[0],
        },
    }


# What is asked for


def test_servers_with_the_same_python_are_asked_for_once() -> None:
    one, two = targets({"app1": facts(), "app2": facts("3.13.5"), "app3": facts()})
    assert (one.hosts, two.hosts) == (("app1", "app3"), ("app2",))
    assert str(one) == "cpython 3.11.2 on x86_64 with glibc 2.36 (app1, app3)"
    assert two.options()[:4] == ["--implementation", "cp", "--python-version", "3.13.5"]


@pytest.mark.parametrize(
    ("machine", "libc", "first", "last", "holds", "lacks"),
    [
        ("x86_64", "glibc 2.36", 36, "manylinux1_x86_64", "manylinux_2_28_x86_64", "2_37"),
        ("aarch64", "glibc 2.41", 41, "manylinux2014_aarch64", "manylinux_2_17_aarch64", "2_16"),
    ],
)
def test_wheels_for_an_older_glibc_do(
    machine: str, libc: str, first: int, last: str, holds: str, lacks: str
) -> None:
    (target,) = targets({"app1": facts(machine=machine, libc=libc)})
    platforms = target.platforms()
    assert platforms[0] == f"manylinux_2_{first}_{machine}"
    assert platforms[-2:] == [last, f"linux_{machine}"]
    assert holds in platforms
    assert lacks not in str(platforms)


@pytest.mark.parametrize("libc", ["", "musl 1.2"])
def test_a_server_that_no_wheel_is_known_for_is_named(libc: str) -> None:
    with pytest.raises(WheelhouseError, match=r"app_python of app2 is cpython with .*with glibc"):
        targets({"app1": facts(), "app2": facts(libc=libc)})


# What builds a project

PROJECT = '[build-system]\nrequires = ["flit_core>=3.11,<4"]\n'


def archived(folder: Path, kind: str, text: str | None) -> Path:
    """Make a project folder, an sdist or a wheel with this pyproject.toml."""
    files = {"chat-1/PKG-INFO": "", "chat-1/tests/pyproject.toml": "[other]"}
    files |= {} if text is None else {"chat-1/pyproject.toml": text}
    path = folder / f"chat-1{kind}"
    if kind == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    elif kind == ".tar.gz":
        with tarfile.open(path, "w:gz") as stream:
            for name, content in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                stream.addfile(entry, io.BytesIO(content.encode()))
    else:
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
    return path


@pytest.mark.parametrize("kind", ["", ".zip", ".tar.gz"])
def test_what_builds_a_project_is_needed_too(tmp_path: Path, kind: str) -> None:
    assert build_requirements(archived(tmp_path, kind, PROJECT)) == ["flit_core>=3.11,<4"]


@pytest.mark.parametrize("kind", ["", ".zip", ".tar.gz"])
@pytest.mark.parametrize("text", [None, "[tool.black]\n"])
def test_setuptools_builds_what_says_nothing_else(
    tmp_path: Path, kind: str, text: str | None
) -> None:
    assert build_requirements(archived(tmp_path, kind, text)) == SETUPTOOLS


def test_nothing_builds_a_wheel(tmp_path: Path) -> None:
    assert build_requirements(tmp_path / "chat-1-py3-none-any.whl") == []


def test_a_project_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(WheelhouseError, match=r"its pyproject\.toml can't be read"):
        build_requirements(archived(tmp_path, "", "[build-system"))


# What is in the folder


def lay(folder: Path, files: Mapping[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.whl"):
        path.unlink()
    for name, content in files.items():
        (folder / f"{name}.whl").write_text(content)
    return folder


def content(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text() for path in folder.glob("*.whl")}


def bring(wheelhouse: Path, needed: Path) -> tuple[tuple[str, ...], ...]:
    changes = compare(wheelhouse, needed)
    apply(wheelhouse, needed, changes)
    return changes.added, changes.removed, changes.foreign


def test_a_wheelhouse_follows_what_is_needed(tmp_path: Path) -> None:
    wheelhouse = tmp_path / "deep" / "wheelhouse"
    needed = lay(tmp_path / "needed", {"a": "1", "b": "1"})
    assert bring(wheelhouse, needed) == (("a.whl", "b.whl"), (), ())
    assert bring(wheelhouse, needed) == ((), (), ())
    lay(needed, {"b": "2", "c": "1"})
    assert bring(wheelhouse, needed) == (("b.whl", "c.whl"), ("a.whl",), ())
    assert content(wheelhouse) == {"b": "2", "c": "1"}
    assert bring(wheelhouse, needed) == ((), (), ())


def test_what_somebody_else_put_there_stays(tmp_path: Path) -> None:
    wheelhouse = lay(tmp_path / "wheelhouse", {"own": "1", "used": "1"})
    needed = lay(tmp_path / "needed", {"a": "1", "used": "1"})
    assert bring(wheelhouse, needed) == (("a.whl",), (), ("own.whl",))
    assert bring(wheelhouse, lay(needed, {})) == ((), ("a.whl",), ("own.whl", "used.whl"))
    assert content(wheelhouse) == {"own": "1", "used": "1"}


def test_a_run_that_is_cut_off_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(_path: Path, **_options: object) -> None:
        raise OSError("power")

    wheelhouse = tmp_path / "wheelhouse"
    needed = lay(tmp_path / "needed", {"a": "1"})
    bring(wheelhouse, needed)
    lay(needed, {"b": "1"})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", cut_off)
        with pytest.raises(OSError, match="power"):
            bring(wheelhouse, needed)
    assert content(wheelhouse) == {"a": "1", "b": "1"}
    assert bring(wheelhouse, lay(needed, {})) == ((), ("a.whl", "b.whl"), ())
    assert content(wheelhouse) == {}


def test_a_list_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / ".websockets-fleet.json").write_text("[]")
    with pytest.raises(WheelhouseError, match=r"\.websockets-fleet\.json can't be read: remove it"):
        compare(tmp_path, tmp_path)


# How pip is run

SPY = """#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word"; done >FOLDER/arguments
env >FOLDER/environment
cat "$NETRC" >FOLDER/netrc
echo "no t0k3n-of-ci for you" >&2
exit 1
"""


def test_pip_gets_the_password_and_shows_it_to_nobody(tmp_path: Path) -> None:
    spy = tmp_path / "python"
    spy.write_text(SPY.replace("FOLDER", str(tmp_path)))
    spy.chmod(0o755)
    environment = {"PIP_INDEX_URL": "https://ci:t0k3n-of-ci@pypi.example.com/simple"}
    downloader = Downloader(str(spy), tmp_path, ["--pre"], environment)
    (target,) = targets({"app1": facts()})
    with pytest.raises(WheelhouseError, match=r"no \*\*\*\* for you") as caught:
        downloader.download(target, ["redis"], tmp_path, tmp_path / "needed")
    assert "there are not all wheels for cpython 3.11.2" in str(caught.value)
    arguments = (tmp_path / "arguments").read_text()
    assert "--pre\n" in arguments
    assert arguments.endswith("redis\n")
    assert "t0k3n-of-ci" not in arguments
    assert "t0k3n-of-ci" not in (tmp_path / "environment").read_text()
    assert "t0k3n-of-ci" in (tmp_path / "netrc").read_text()
    assert (tmp_path / ".netrc").stat().st_mode & 0o777 == 0o600


def test_a_controller_without_pip_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(
        WheelhouseError, match="/bin/false, which runs Ansible, has no pip: install"
    ):
        Downloader("/bin/false", tmp_path, [], {}).check()
    Downloader(sys.executable, tmp_path, [], {}).check()
