"""What the files module promises: all or nothing, in order, secrets unseen."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest

from ansible_collections.websockets.fleet.plugins.module_utils._files import (
    Entry,
    FilesError,
    Outcome,
    lay,
    parse_mode,
)

OWNER = pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name


def directory(path: Path, mode: int = 0o750) -> Entry:
    return Entry(str(path), OWNER, GROUP, mode)


def file(path: Path, content: str = "a\n", *, secret: bool = False, validate: str = "") -> Entry:
    return Entry(str(path), OWNER, GROUP, 0o640, content.encode(), secret, validate)


def run(
    *entries: Entry,
    absent: tuple[Path, ...] = (),
    check_mode: bool = False,
    refuse: str = "",
    landed: list[str] | None = None,
) -> Outcome:
    def validate(entry: Entry, staged: str) -> None:
        assert entry.content is not None
        assert Path(staged).read_bytes() == entry.content
        if entry.validate == "refuse" or entry.path.endswith(refuse or "\0"):
            raise FilesError(f"{entry.path} was refused")

    def land(staged: str, path: str) -> None:
        if landed is not None:
            landed.append(Path(path).name)
        Path(staged).rename(path)

    return lay(
        [entry for entry in entries if entry.content is None],
        [entry for entry in entries if entry.content is not None],
        [str(path) for path in absent],
        validate,
        land,
        check_mode,
    )


def test_files_land_with_mode_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    entries = (directory(tmp_path / "etc"), file(tmp_path / "etc" / "a"))
    assert run(*entries).changed_paths == [str(tmp_path / "etc"), str(tmp_path / "etc" / "a")]
    assert (tmp_path / "etc").stat().st_mode & 0o7777 == 0o750
    assert (tmp_path / "etc" / "a").stat().st_mode & 0o7777 == 0o640
    assert (tmp_path / "etc" / "a").read_text() == "a\n"
    assert run(*entries).changed_paths == []


def test_files_land_in_the_order_given(tmp_path: Path) -> None:
    landed: list[str] = []
    run(file(tmp_path / "b"), file(tmp_path / "a"), file(tmp_path / "c"), landed=landed)
    assert landed == ["b", "a", "c"]


def test_one_refused_file_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old\n")
    with pytest.raises(FilesError, match="b was refused"):
        run(
            directory(tmp_path / "new"),
            file(tmp_path / "a", "new\n"),
            file(tmp_path / "b", validate="refuse"),
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]
    assert (tmp_path / "a").read_text() == "old\n"


def test_check_mode_reports_the_same_and_writes_nothing(tmp_path: Path) -> None:
    entries = (directory(tmp_path / "etc"), file(tmp_path / "etc" / "a"))
    dry = run(*entries, check_mode=True)
    assert list(tmp_path.iterdir()) == []
    assert dry.changed_paths == run(*entries).changed_paths
    assert dry.diff[1]["after"] == "a\n"


def test_a_changed_mode_alone_is_seen_mended_and_shown(tmp_path: Path) -> None:
    run(file(tmp_path / "a"))
    (tmp_path / "a").chmod(0o666)
    outcome = run(file(tmp_path / "a"))
    assert "0666" in outcome.diff[0]["before"]
    assert "0640" in outcome.diff[0]["after"]
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o640


@pytest.mark.parametrize("old", ["", "PASSWORD=old\n"])
def test_a_secret_shows_in_no_diff(tmp_path: Path, old: str) -> None:
    if old:
        run(file(tmp_path / "s", old, secret=True))
    outcome = run(file(tmp_path / "s", "PASSWORD=new\n", secret=True))
    assert outcome.changed_paths
    assert "PASSWORD" not in str(outcome.diff)


def test_absent_removes_files_and_trees_once(tmp_path: Path) -> None:
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("nowhere")
    absent = (tmp_path / "tree", tmp_path / "link", tmp_path / "never")
    assert len(run(absent=absent, check_mode=True).changed_paths) == 2
    assert len(run(absent=absent).changed_paths) == 2
    assert list(tmp_path.iterdir()) == []
    assert run(absent=absent).changed_paths == []


def test_nothing_is_written_through_a_link_or_over_another_kind(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FilesError, match="symbolic link"):
        run(file(tmp_path / "link"))
    with pytest.raises(FilesError, match="is not a file"):
        run(file(tmp_path / "folder"))
    with pytest.raises(FilesError, match="directory does not exist"):
        run(file(tmp_path / "none" / "a"))


def test_an_unknown_owner_is_named(tmp_path: Path) -> None:
    entry = Entry(str(tmp_path / "a"), "no-such-user", GROUP, 0o640, b"a")
    with pytest.raises(FilesError, match="no-such-user"):
        run(entry)
    assert run(entry, check_mode=True).changed_paths == [str(tmp_path / "a")]


@pytest.mark.parametrize("text", ["u=rw", "0999", "77777", "-1", ""])
def test_modes_are_octal(text: str) -> None:
    with pytest.raises(FilesError, match="octal"):
        parse_mode(text, "/a")
    assert parse_mode("0640", "/a") == 0o640
