"""Versions of the scenario's application, and who serves them."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect

if TYPE_CHECKING:
    from conftest import Fleet, Run

APP = Path(__file__).parents[1] / "app"
SITE = "websockets.fleet.site"

Version = Callable[..., Path]


@pytest.fixture
def version(tmp_path: Path) -> Version:
    """Return a function that makes a project folder of the application in another version."""

    def make(name: str, more: str = "", dependencies: str = "") -> Path:
        folder = tmp_path / f"version-{name}"
        shutil.copytree(APP, folder, ignore=shutil.ignore_patterns("__pycache__"))
        module = folder / "greet.py"
        text = re.sub(r'^VERSION = ".*"$', f'VERSION = "{name}"', module.read_text(), flags=re.M)
        module.write_text(text + more)
        project = folder / "pyproject.toml"
        project.write_text(project.read_text().replace('<18"]', f'<18"{dependencies}]'))
        return folder

    return make


class Site:
    """One application server, deployed to without the others."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.fleet = fleet
        self.server = fleet[name]
        self.limit = ("--limit", f"{name},localhost")

    def deploy(self, *arguments: str) -> Run:
        """Run site.yml on it."""
        return self.fleet.play(SITE, *self.limit, *arguments)

    def answer(self) -> str:
        """Return the version that it serves."""

        async def ask() -> str:
            async with connect(f"ws://{self.server.address}:8765/") as connection:
                await connection.send("which version are you?")
                return str(await connection.recv())

        return asyncio.run(ask())

    def releases(self) -> list[str]:
        """Return what is in the folder of releases, whole or not."""
        return sorted(self.server.run("ls -A /opt/greet/releases").split())

    def link(self, name: str) -> str:
        """Return the release that a link names."""
        return Path(self.server.run(f"readlink /opt/greet/{name}")).name


@pytest.fixture
def site(fleet: Fleet) -> Site:
    """The server that reaches an index."""
    return Site(fleet, "app1")


@pytest.fixture
def offline(fleet: Fleet) -> Site:
    """The server that reaches nothing but the lab."""
    return Site(fleet, "app2")
