# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks, files and folders of the lab."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fleet_lab import hosts
from fleet_lab.system import LabError, locked, missing_programs, remove_tree, run, write_file

HOLD = """
import sys
from pathlib import Path
from fleet_lab.system import locked
with locked(Path(sys.argv[1]), "waiting"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_held_by_one_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(sys.modules["fleet_lab"].__path__[0]).parent
    monkeypatch.setenv("PYTHONPATH", str(source))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lab")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "held\n"
        monkeypatch.setattr("fleet_lab.system.say", lambda _: other.stdin.close())
        with locked(tmp_path / "lab", "waiting"):
            assert other.wait(5) == 0


def test_a_locked_folder_may_be_removed(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    with locked(folder, ""):
        remove_tree(folder)
    with locked(folder, ""):
        assert folder.is_dir()


def test_a_failed_program_is_reported_with_its_own_words() -> None:
    with pytest.raises(LabError, match="No such file"):
        run(["ls", "/nowhere"])
    with pytest.raises(LabError, match="no-such-program is missing"):
        run(["no-such-program"])


def test_missing_programs_are_named_with_their_packages() -> None:
    assert missing_programs(("sh", "dash"), ("no-such-program", "its-package")) == [
        "no-such-program is missing: apt-get install its-package"
    ]


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "x"
    write_file(file, "old")
    write_file(file, "new", 0o600)
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_folders_of_an_overlay_look_like_those_of_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.chown", lambda *_: None)
    image, upper = tmp_path / "image", tmp_path / "upper"
    (image / "etc/private").mkdir(parents=True)
    (image / "etc/private").chmod(0o700)
    upper.mkdir()
    hosts.lay([hosts.File("etc/private/key", "secret", 0o600)], image, upper)
    assert (upper / "etc/private").stat().st_mode & 0o777 == 0o700
    assert (upper / "etc/private/key").stat().st_mode & 0o777 == 0o600
    assert (upper / "etc/private/key").read_text() == "secret"
