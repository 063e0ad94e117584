"""Where the keys of the fleet's own certificates are, and where not."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fleet

BASE = "/etc/websockets-fleet/echo"
# What Ansible, molecule and the collection write on the controller. Next to it are the hosts'.
WRITTEN = (
    os.environ.get("ANSIBLE_HOME", Path.home() / ".ansible"),
    Path(__file__).resolve().parents[3] / ".build",
    tempfile.gettempdir(),
)
LOAD_BALANCERS = ("lb1", "lb2")


def test_the_authority_has_its_key_on_one_host_for_root_alone(fleet: Fleet) -> None:
    shown = fleet["lb1"].run(f"stat --format '%U %G %a' {BASE}/ca {BASE}/ca/ca.key")
    assert shown.splitlines() == ["root root 700", "root root 600"]
    assert fleet["lb2"].run("find / -xdev -name ca.key") == ""


@pytest.mark.parametrize("name", LOAD_BALANCERS)
def test_nginx_and_root_read_the_key_and_nobody_else(fleet: Fleet, name: str) -> None:
    shown = fleet[name].run(f"stat --format '%U %G %a' {BASE}/tls {BASE}/tls/privkey.pem")
    assert shown.splitlines() == ["root www-data 750", "root www-data 640"]


def test_no_key_travelled(fleet: Fleet) -> None:
    """Each host has one of its own, and the controller has none."""
    keys = [fleet[name].run(f"cat {BASE}/tls/privkey.pem") for name in LOAD_BALANCERS]
    keys.append(fleet["lb1"].run(f"cat {BASE}/ca/ca.key"))
    lines = [key.splitlines()[1] for key in keys]
    assert len(set(lines)) == len(lines)
    search = ["grep", "--recursive", "--files-with-matches", "--no-messages", "--fixed-strings"]
    done = subprocess.run(
        [*search, *(f"--regexp={line}" for line in lines), *WRITTEN],
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout == ""
