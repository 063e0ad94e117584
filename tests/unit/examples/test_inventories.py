"""The example inventories say nothing that the collection would not understand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
INVENTORIES = sorted((REPOSITORY / "examples" / "inventories").iterdir())
HOSTS = {"one_host": (1, 1), "three_hosts": (1, 2), "many_hosts": (2, 24)}


def known_variables() -> set[str]:
    """Return the names of all options of all roles."""
    names: set[str] = set()
    for path in REPOSITORY.glob("roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text())["argument_specs"].values():
            names.update(entry["options"])
    return names


def read(inventory: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "inventory", "-i", str(inventory), "--list"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("inventory", INVENTORIES, ids=lambda path: path.name)
def test_an_example_inventory_is_understood(inventory: Path) -> None:
    found = read(inventory)
    hostvars = found["_meta"]["hostvars"]

    def members(group: str) -> set[str]:
        entry = found.get(group, {})
        below = [members(child) for child in entry.get("children", [])]
        return set(entry.get("hosts", [])).union(*below)

    counts = (len(members("load_balancers")), len(members("app_servers")))
    assert counts == HOSTS[inventory.name]
    for host, variables in hostvars.items():
        used = {name for name in variables if not name.startswith("ansible_")}
        assert used <= known_variables(), host
        assert {"app_name", "nginx_domain"} <= used
        assert ("app_handler" in used) != ("app_command" in used)
        # Plain paths beside the inventory exist.
        for name in ("app_source", "nginx_static_root"):
            path = variables.get(name, "{{ inventory_dir }}")
            assert (inventory / path.replace("{{ inventory_dir }}/", "")).exists() or path == (
                "{{ inventory_dir }}"
            )
