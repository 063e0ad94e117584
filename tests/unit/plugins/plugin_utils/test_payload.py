# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same source is the same release everywhere, another source is another one."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.websockets.fleet.plugins.plugin_utils._payload import (
    SourceError,
    collect,
)

FILES = {"chat.py": "print(1)\n", "web/page.html": "<html>", "web/a b.txt": "é", "run.sh": "#!"}


def project(folder: Path, files: dict[str, str] | None = None) -> Path:
    for name, content in (FILES if files is None else files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o755 if name.endswith(".sh") else 0o644)
    return folder


def digest(source: Path, requirements: list[str] | str = "", launcher: Path | None = None) -> str:
    return collect(str(source), requirements or [], launcher).digest()


def test_the_digest_is_of_content_not_of_place_time_order_or_umask(tmp_path: Path) -> None:
    one = project(tmp_path / "one")
    two = project(tmp_path / "elsewhere" / "two", dict(reversed(FILES.items())))
    os.utime(two / "chat.py", (0, 0))
    (two / "chat.py").chmod(0o600)
    (two / "web").chmod(0o700)
    assert digest(one) == digest(two)


def test_what_tools_leave_is_no_part_of_it(tmp_path: Path) -> None:
    source = project(tmp_path / "one")
    before = digest(source)
    left = {".git/config": "x", "__pycache__/chat.cpython-311.pyc": "x", ".venv/bin/python": "x"}
    left |= {"web/__pycache__/x.pyc": "x", "chat.egg-info/PKG-INFO": "x", "old.pyc": "x"}
    left |= {".ruff_cache/x": "x", ".mypy_cache/x": "x", "node_modules/x/y.js": "x"}
    project(source, left)
    assert digest(source) == before


def _rename(source: Path) -> None:
    (source / "chat.py").rename(source / "chat2.py")


def _swap(source: Path) -> None:
    (source / "chat.py").write_text("<html>")
    (source / "web" / "page.html").write_text("print(1)\n")


def _link(source: Path) -> None:
    (source / "chat.py").unlink()
    (source / "chat.py").symlink_to("run.sh")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda source: (source / "chat.py").write_text("print(2)\n"), id="content"),
        pytest.param(lambda source: (source / "chat.py").chmod(0o755), id="mode"),
        pytest.param(_rename, id="name"),
        pytest.param(_swap, id="contents swapped"),
        pytest.param(lambda source: (source / "empty").write_text(""), id="new file"),
        pytest.param(lambda source: (source / "run.sh").unlink(), id="file gone"),
        pytest.param(lambda source: (source / "pyproject.toml").write_text(""), id="a project now"),
        pytest.param(_link, id="a link now"),
        pytest.param(lambda source: (source / "l").symlink_to("chat.py"), id="new link"),
    ],
)
def test_any_change_of_the_source_is_another_release(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    source = project(tmp_path / "one")
    before = digest(source)
    change(source)
    assert digest(source) != before


def test_requirements_and_launcher_are_part_of_the_release(tmp_path: Path) -> None:
    source = project(tmp_path / "one")
    launcher = project(tmp_path / "websockets_fleet", {"__main__.py": "1"})
    (tmp_path / "requirements.txt").write_text("redis==5\n")
    seen = [digest(source), digest(source, ["redis==5"]), digest(source, ["redis==6"])]
    seen += [digest(source, launcher=launcher)]
    project(launcher, {"__main__.py": "2"})
    seen += [digest(source, launcher=launcher)]
    assert len(set(seen)) == 5
    # A list and a file of the same lines are the same; no requirements are none.
    assert digest(source, str(tmp_path / "requirements.txt")) == seen[1]
    (tmp_path / "requirements.txt").write_text("\n")
    assert digest(source, str(tmp_path / "requirements.txt")) == seen[0]


def test_wheels_and_how_it_is_installed_are_part_of_the_release(tmp_path: Path) -> None:
    source = str(project(tmp_path / "one"))
    wheels = project(tmp_path / "wheels", {"a-1-py3-none-any.whl": "1", "notes": "1"})

    def of(**settings: object) -> str:
        return collect(source, [], None, str(wheels), settings).digest()

    seen = [digest(Path(source)), of(), of(pip_args=["--pre"]), of(event_loop="uvloop")]
    project(wheels, {"notes": "2"})
    assert of() == seen[1]
    project(wheels, {"a-1-py3-none-any.whl": "2"})
    seen.append(of())
    assert len(set(seen)) == 5


def test_a_wheelhouse_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    def refused(files: dict[str, str]) -> str:
        wheels = project(tmp_path / "wheels", files)
        with pytest.raises(SourceError) as caught:
            collect("", ["redis"], None, str(wheels))
        return str(caught.value)

    assert "that is no folder on the controller; the playbook" in refused({})
    assert "there is no wheel (.whl) in it; the playbook" in refused({"notes": ""})
    both = {"a-1-py3-none-any.whl": "", "b-1.tar.gz": "", "c-1.zip": ""}
    assert "it holds b-1.tar.gz, c-1.zip, and a server without an index" in refused(both)


def _edit(source: Path) -> None:
    (source / "chat.py").write_text("print(2)\n")


def _remove(source: Path) -> None:
    (source / "chat.py").unlink()


@pytest.mark.parametrize(
    ("change", "words"), [(_edit, "changed on the controller"), (_remove, "went away")]
)
def test_a_source_that_changes_while_it_is_read_is_no_release(
    tmp_path: Path, change: Callable[[Path], None], words: str
) -> None:
    source = project(tmp_path / "one")
    payload = collect(str(source), [], None)
    before = payload.digest()
    change(source)
    with pytest.raises(SourceError, match=f"{words}.*; run again"):
        payload.write_archive(io.BytesIO(), before)


@pytest.mark.parametrize(
    ("files", "source", "install", "names"),
    [
        ({"chat.py": ""}, "chat.py", (), ["app/chat.py"]),
        ({"p/chat.py": ""}, "p", (), ["app/chat.py"]),
        ({"p/pyproject.toml": ""}, "p", ("app",), ["app/pyproject.toml"]),
        ({"p/setup.py": ""}, "p", ("app",), ["app/setup.py"]),
        (
            {"c-1-py3-none-any.whl": ""},
            "c-1-py3-none-any.whl",
            ("dist/c-1-py3-none-any.whl",),
            None,
        ),
        ({"c-1.tar.gz": ""}, "c-1.tar.gz", ("dist/c-1.tar.gz",), None),
        ({"c-1.zip": ""}, "c-1.zip", ("dist/c-1.zip",), None),
    ],
)
def test_what_a_source_may_be(
    tmp_path: Path,
    files: dict[str, str],
    source: str,
    install: tuple[str, ...],
    names: list[str] | None,
) -> None:
    payload = collect(str(project(tmp_path, files) / source), [], None)
    assert payload.install == install
    assert [file.name for file in payload.files] == (names or list(install))


def test_an_application_may_come_from_an_index_only() -> None:
    payload = collect("", ["chat==1"], None)
    assert [(file.name, file.read()) for file in payload.files] == [
        ("requirements.txt", b"chat==1\n")
    ]
    assert payload.install == ()


def test_sources_that_can_not_be_used_are_named(tmp_path: Path) -> None:
    def refused(source: Path, requirements: str = "") -> str:
        with pytest.raises(SourceError) as caught:
            collect(str(source), requirements or [], None)
        return str(caught.value)

    (tmp_path / "empty" / ".git").mkdir(parents=True)
    (tmp_path / "chat.exe").write_text("")
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "fifo")
    assert "does not exist on the controller" in refused(tmp_path / "missing")
    assert f"the folder {tmp_path}/empty is empty" in refused(tmp_path / "empty")
    assert "chat.exe is no project folder, wheel" in refused(tmp_path / "chat.exe")
    assert "fifo is neither a file nor a folder" in refused(tmp_path / "pipe")
    source = project(tmp_path / "one")
    words = refused(source, str(tmp_path / "missing.txt"))
    assert words == f"app_requirements: {tmp_path}/missing.txt does not exist on the controller"


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../other", "web/../../other"])
def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path, target: str) -> None:
    source = project(tmp_path / "one")
    (source / "link").symlink_to(target)
    with pytest.raises(SourceError, match="link is a link that leaves the project folder"):
        collect(str(source), [], None)


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    source = project(tmp_path / "one")
    (source / "link").symlink_to("link")
    with pytest.raises(SourceError, match="link is a link"):
        collect(str(source), [], None)


def test_links_hold_where_the_release_is(tmp_path: Path) -> None:
    source = project(tmp_path / "one")
    links = {
        "plain": "chat.py",
        "absolute": str(source / "web" / "page.html"),
        "web/through_name": "../../one/chat.py",
        "folder": "web",
        "chain": "absolute",
    }
    for name, target in links.items():
        (source / name).symlink_to(target)
    # The folder itself may be reached through a link.
    (tmp_path / "alias").symlink_to("one")
    unpacked = unpack(tmp_path / "alias", tmp_path / "out")
    source.rename(tmp_path / "gone")
    assert (unpacked / "app" / "plain").read_text() == "print(1)\n"
    assert (unpacked / "app" / "absolute").read_text() == "<html>"
    assert (unpacked / "app" / "web" / "through_name").read_text() == "print(1)\n"
    assert (unpacked / "app" / "folder" / "page.html").read_text() == "<html>"
    assert (unpacked / "app" / "chain").read_text() == "<html>"


def unpack(source: Path, destination: Path) -> Path:
    stream = io.BytesIO()
    payload = collect(str(source), ["redis"], None)
    payload.write_archive(stream, payload.digest())
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        archive.extractall(destination, filter="data")
    return destination


def test_the_archive_holds_names_contents_and_modes(tmp_path: Path) -> None:
    unpacked = unpack(project(tmp_path / "one"), tmp_path / "out")
    assert {
        str(path.relative_to(unpacked / "app")): path.read_text()
        for path in (unpacked / "app").rglob("*")
        if path.is_file()
    } == FILES
    assert (unpacked / "app" / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (unpacked / "app" / "chat.py").stat().st_mode & 0o777 == 0o644
    assert (unpacked / "requirements.txt").read_text() == "redis\n"
    # A wheel, which pip builds of the files, is a ZIP archive: it knows no year before 1980.
    assert (unpacked / "app" / "chat.py").stat().st_mtime >= 365 * 11 * 86400
