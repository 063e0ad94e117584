"""What a release can be made of, that the same input is the same release, and which ones stay."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Server

Version = Callable[..., Path]
PIP = [sys.executable, "-m", "pip"]


def wheel(folder: Path) -> Path:
    """Return the wheel of a project folder."""
    command = [*PIP, "wheel", "--quiet", "--no-deps", f"--wheel-dir={folder.parent}", str(folder)]
    subprocess.run(command, check=True)
    return folder.parent / "greet-1.0-py3-none-any.whl"


def sdist(folder: Path) -> Path:
    """Return the sdist of a project folder."""
    path = folder.parent / "greet-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, arcname="greet-1.0")
    return path


def module(folder: Path) -> Path:
    """Return the one file of a project folder."""
    return folder / "greet.py"


KINDS = {"wheel": wheel, "sdist": sdist, "module": module}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_source_is_served(site: Any, version: Version, kind: str) -> None:
    run = site.deploy("-e", f"app_source={KINDS[kind](version(kind))}")
    assert run.code == 0, run.output
    assert site.answer() == kind
    # As many as app_keep_releases says.
    stay = {name for name in site.releases() if name != ".lock"}
    assert stay == {site.link("current"), site.link("previous")}


def test_the_same_again_is_one_remote_execution_and_no_upload(site: Any) -> None:
    assert site.deploy().code == 0
    before = site.server.run("journalctl --show-cursor --lines=0 | sed -n 's/^-- cursor: //p'")
    run = site.deploy()
    assert run.code == 0, run.output
    assert run.changed["app1"] == 0, run.output
    journal = site.server.run(f"journalctl --output=cat --after-cursor='{before}'").splitlines()
    assert sum("Invoked with" in line and "check_config=" in line for line in journal) == 1
    assert not [line for line in journal if re.search(r"\b(sftp|scp)\b", line)]


# Paths below a release's site-packages, without what an installer says of itself.
PACKAGES = r"""
cd /opt/greet/current/venv/lib/python3*/site-packages && find . -type f \
  ! -name INSTALLER ! -name RECORD ! -name direct_url.json ! -name 'uv_*.json' | sort
"""


@contextmanager
def uv(server: Server, folder: Path) -> Iterator[None]:
    """Put uv on a host, as an administrator does."""
    command = [*PIP, "download", "--quiet", "--no-deps", "--only-binary=:all:", "uv"]
    subprocess.run([*command, f"--dest={folder}"], check=True)
    with zipfile.ZipFile(next(folder.glob("uv-*.whl"))) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        (folder / "uv").write_bytes(archive.read(name))
    copy = f"src={folder}/uv dest=/usr/local/bin/uv mode=0755"
    copied = server.host.ansible("copy", copy, check=False, become=True)
    assert copied["changed"], copied
    try:
        yield
    finally:
        server.run("rm /usr/local/bin/uv")


def test_uv_installs_the_same_as_pip(site: Any, version: Version, tmp_path: Path) -> None:
    def installed(by: str) -> str:
        run = site.deploy("-e", f"app_source={version(f'by-{by}')}")
        assert run.code == 0, run.output
        assert site.answer() == f"by-{by}"
        description = json.loads(site.server.run("cat /opt/greet/current/release.json"))
        assert description["installer"] == by
        return str(site.server.run(PACKAGES))

    by_pip = installed("pip")
    assert "websockets/asyncio/__pycache__/server.cpython-311.pyc" in by_pip
    with uv(site.server, tmp_path):
        assert installed("uv") == by_pip
