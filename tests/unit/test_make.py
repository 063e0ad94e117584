# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripts behind the Makefile: what they say where they stop, and how they count."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder that stands for a machine's PATH, with little in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "cat", "dirname", "env", "flock"):
        (folder / name).symlink_to(shutil.which(name) or name)
    return folder


def add_program(programs: Path, name: str, *lines: str) -> None:
    program = programs / name
    program.write_text("\n".join(("#!/usr/bin/env bash", *lines, "")), encoding="utf-8")
    program.chmod(0o755)


def run_tools(programs: Path, target: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of it, in a folder where it finds no .venv."""
    checkout = programs.parent / "checkout"
    shutil.copytree(TESTS, checkout / "tests", ignore=lambda *_parts: ["unit"])
    (checkout / "requirements-test.txt").touch()
    return subprocess.run(
        [checkout / "tests/tools", target],
        env={"PATH": str(programs)},
        check=False,
        capture_output=True,
        text=True,
    )


def test_a_machine_without_python_is_told_in_one_line(programs: Path) -> None:
    result = run_tools(programs, "units")
    assert result.returncode == 1
    assert result.stderr == "error: there is no python3 here; Python 3.11 or newer is needed\n"


def test_an_old_python_is_told_in_one_line(programs: Path) -> None:
    add_program(programs, "python3", "[[ $2 == *print* ]] && echo 3.9.2 || exit 1")
    result = run_tools(programs, "test")
    assert result.returncode == 1
    assert result.stderr == "error: python3 is Python 3.9.2; 3.11 or newer is needed\n"
    assert result.stdout == ""


def test_a_machine_without_debian_packages_is_told_in_one_line(programs: Path) -> None:
    add_program(programs, "python3", "echo 3.13.0")
    add_program(programs, "sudo", "exit 1")
    result = run_tools(programs, "lint")
    assert result.returncode == 1
    assert result.stderr == (
        "error: this needs Debian 12 or 13, or a system with its packages (shellcheck); "
        "there is no apt-get here\n"
    )


def test_only_missing_packages_are_installed_and_it_says_so(programs: Path) -> None:
    add_program(programs, "python3", "echo 3.13.0", '[[ $* != *"-m venv"* ]] || mkdir -p .venv/bin')
    add_program(
        programs, "dpkg-query", "[[ $3 == chromium* || $3 == shellcheck ]] || echo -n installed"
    )
    add_program(programs, "apt-get", 'echo "$*" >>apt.log')
    add_program(programs, "sudo", 'while [[ $1 == -* ]]; do shift; done; exec "$@"')
    (programs / "mkdir").symlink_to(shutil.which("mkdir") or "mkdir")
    result = run_tools(programs, "test")
    assert (
        "==> Install Debian packages: shellcheck chromium chromium-driver: done in 0:0"
        in result.stdout
    )
    assert (programs.parent / "checkout/apt.log").read_text(encoding="utf-8").splitlines() == [
        "update -qq",
        "install -qq --yes --no-install-recommends shellcheck chromium chromium-driver",
    ]


REPORT = (
    '<testsuites><testsuite tests="{0}" failures="{1}" errors="{2}" skipped="{3}"/></testsuites>'
)


@pytest.mark.parametrize(
    ("reports", "log", "line"),
    [
        ([(5, 0, 0, 0), (7, 1, 1, 2)], "==> Units: failed (1) in 0:09\n", "8 passed, 2 failed"),
        (
            [(5, 0, 0, 0)],
            "==> mypy: failed (1) in 0:09\n==> ruff: done in 0:01\n",
            "5 passed, 1 failed",
        ),
        ([], "==> mypy: failed (1) in 0:09\n==> ruff: failed (2) in 0:01\n", "0 passed, 2 failed"),
        ([(5, 0, 0, 1)], "==> Units: done in 0:09\n", "4 passed, 0 failed"),
    ],
)
def test_the_count_never_hides_a_fault(
    tmp_path: Path, reports: list[tuple[int, ...]], log: str, line: str
) -> None:
    for index, numbers in enumerate(reports):
        (tmp_path / f"{index}.xml").write_text(REPORT.format(*numbers), encoding="utf-8")
    (tmp_path / "log").write_text(log, encoding="utf-8")
    counted = subprocess.run(
        ["python3", TESTS / "count.py", tmp_path / "log", tmp_path],
        check=True,
        capture_output=True,
        text=True,
    )
    assert counted.stdout == f"{line}\n"


def test_lines_of_what_runs_beside_others_begin_with_a_name() -> None:
    script = "echo one; echo two >&2; exit 3"
    done = subprocess.run(
        [TESTS / "named", "program", "bash", "-c", script],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert sorted(done.stdout.splitlines()) == ["program: one", "program: two"]
