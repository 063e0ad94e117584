"""Versions of the scenario's application."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

APP = Path(__file__).parents[1] / "app"


@pytest.fixture
def version(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that makes a project folder of the application in another version."""

    def make(name: str) -> Path:
        folder = tmp_path / f"version-{name}"
        shutil.copytree(APP, folder)
        module = folder / "greet.py"
        module.write_text(
            re.sub(r'^VERSION = ".*"$', f'VERSION = "{name}"', module.read_text(), flags=re.M)
        )
        return folder

    return make
