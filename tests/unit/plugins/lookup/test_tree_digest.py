# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest of a folder says whether its content changed, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader

from ansible_collections.websockets.fleet.plugins.lookup.tree_digest import (
    LookupModule,
    tree_digest,
)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


FILES = {"index.html": b"<html>", "js/chat.js": b"\xff\x00", ".hidden": b""}


def test_same_content_has_the_same_digest(tmp_path: Path) -> None:
    one = write(tmp_path / "one", FILES)
    two = write(tmp_path / "two", dict(reversed(FILES.items())))
    (two / "index.html").chmod(0o600)
    assert tree_digest(one) == tree_digest(two)


@pytest.mark.parametrize(
    "change",
    [
        {"index.html": b"<html >"},
        {"js/other.js": b""},
        {".hidden": b"x"},
        {"js/chat.js": b"<html>", "index.html": b"\xff\x00"},
    ],
)
def test_any_other_content_has_another(tmp_path: Path, change: dict[str, bytes]) -> None:
    one = write(tmp_path / "one", FILES)
    two = write(tmp_path / "two", FILES | change)
    assert tree_digest(one) != tree_digest(two)


def test_a_file_that_moved_is_another_content(tmp_path: Path) -> None:
    assert tree_digest(write(tmp_path / "one", {"a": b"x", "b/c": b"y"})) != tree_digest(
        write(tmp_path / "two", {"a": b"x", "b": b"y"})
    )


def lookup(term: str) -> list[str]:
    return LookupModule(loader=DataLoader()).run([term], variables={})


def test_looks_up_a_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "one", FILES)
    assert lookup(str(folder)) == [tree_digest(folder)]


def test_names_what_is_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(AnsibleLookupError, match="is not a folder on the controller"):
        lookup(str(tmp_path / "missing"))
    write(tmp_path, {"file": b""})
    with pytest.raises(AnsibleLookupError, match="is not a folder on the controller"):
        lookup(str(tmp_path / "file"))
