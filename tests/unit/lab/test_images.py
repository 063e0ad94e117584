# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images: which recipe makes which, and when one may go."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fleet_lab.images import Recipe, prune, recipes
from fleet_lab.machine import Mirrors

RECIPE = Recipe("debian12", "bookworm", Mirrors())


def test_the_same_recipe_is_the_same_image() -> None:
    assert Recipe("debian12", "bookworm", Mirrors()).folder == RECIPE.folder


@pytest.mark.parametrize(
    "other",
    [
        replace(RECIPE, packages=(*RECIPE.packages, "curl")),
        replace(RECIPE, suite="trixie"),
        replace(RECIPE, mirrors=Mirrors(archive="http://mirror.example/debian")),
        replace(RECIPE, files={**RECIPE.files, "etc/x": (0o644, "")}),
        replace(RECIPE, files={path: (0o600, text) for path, (_old, text) in RECIPE.files.items()}),
        replace(RECIPE, commands=RECIPE.commands[:-1]),
    ],
    ids=["packages", "suite", "mirror", "files", "modes", "commands"],
)
def test_whatever_goes_in_makes_another_image(other: Recipe) -> None:
    assert other.folder != RECIPE.folder
    assert other.folder.startswith("debian12-")


@pytest.mark.parametrize("package", ["python3-venv", "nginx", "curl"])
def test_what_a_role_has_to_install_is_not_there(package: str) -> None:
    assert package not in RECIPE.packages


def test_recipes_use_the_mirrors_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/x.list").write_text("deb http://m.example/debian trixie main\n")
    (tmp_path / "sources.list.d/x.list.save").write_text("deb http://old/debian trixie main\n")
    found = recipes(tmp_path)
    assert list(found) == ["debian12", "debian13"]
    assert found["debian12"].sources == [
        "deb http://m.example/debian bookworm main",
        "deb http://m.example/debian bookworm-updates main",
        "deb http://deb.debian.org/debian-security bookworm-security main",
    ]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name, days in (("used", 99), ("old", 20), ("recent", 3), (".building-debian12", 99)):
        (tmp_path / name / "root").mkdir(parents=True)
        then = time.time() - days * 86400
        os.utime(tmp_path / name, (then, then))
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_only_unused_images_go(images: Path) -> None:
    assert prune(images, [images / "used/root"], keep_days=14) == ["old"]
    assert names(images) == [".building-debian12", "recent", "used"]


def test_what_a_killed_run_began_to_remove_goes_too(images: Path) -> None:
    (images / ".removing-gone/root").mkdir(parents=True)
    prune(images, [], keep_days=365)
    assert ".removing-gone" not in names(images)
