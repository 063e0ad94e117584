# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for the repository as a whole, whoever writes the next role, template or page."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]

# Whoever adds to these decides what users download, or how every role's page reads.
TARBALL = {
    *("CHANGELOG.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md"),
    *("docs", "examples", "meta", "playbooks", "plugins", "roles"),
}


def git_files(*patterns: str) -> list[Path]:
    """What git tracks, or would: the files that a clone has."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = sorted({REPOSITORY / name for name in listed.split("\0") if name})
    return [path for path in paths if path.is_file()]


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def is_text(path: Path) -> bool:
    return b"\0" not in path.read_bytes()


TEXTS = [path for path in git_files() if path.name != "LICENSE" and is_text(path)]
PAGES = git_files("*.md")
ROLES = sorted({path.parents[1] for path in git_files("roles/*/tasks/main.yml")})
PLAYBOOKS = git_files("playbooks/*.yml")
MODULES = git_files("plugins/modules/*.py")
FILTERS = git_files("plugins/filter/*.py")
LOOKUPS = git_files("plugins/lookup/*.py")
TESTED = FILTERS + LOOKUPS + git_files("plugins/module_utils/*.py", "plugins/plugin_utils/*.py")

each_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


@each_role
def test_role_defaults_are_those_its_specification_promises(role: Path) -> None:
    specification = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    promised = {
        name: option.get("default")
        for entry in specification.values()
        for name, option in entry.get("options", {}).items()
        if not option.get("required")
    }
    defaults = load(role / "defaults" / "main.yml") or {}
    # What a template computes has no one default; the specification says in words what it will be.
    computed = {
        name
        for name, value in defaults.items()
        if promised.get(name) is None and "{{" in str(value)
    }
    assert defaults.keys() == promised.keys()
    assert {name: defaults[name] for name in defaults.keys() - computed} == {
        name: promised[name] for name in promised.keys() - computed
    }


@each_role
def test_role_main_is_a_table_of_contents(role: Path) -> None:
    main = role / "tasks" / "main.yml"
    assert len(main.read_text(encoding="utf-8").splitlines()) <= 40
    includes = {
        f"ansible.builtin.{verb}_{what}"
        for verb in ("include", "import")
        for what in ("tasks", "role")
    }
    assert [task.get("name") for task in load(main) if not includes & task.keys()] == []


@each_role
def test_role_pages_have_one_order(role: Path) -> None:
    """A reader who knows one role's page finds the same things in the same place on the next."""
    orders = {
        other: re.findall(r"(?m)^## (.+)$", (other / "README.md").read_text(encoding="utf-8"))
        for other in ROLES
    }
    longest = max(orders.values(), key=len)
    assert orders[role]
    assert [heading for heading in longest if heading in orders[role]] == orders[role]


@pytest.mark.parametrize("template", git_files("roles/*/templates/*"), ids=name_of)
def test_template_says_that_it_is_managed(template: Path) -> None:
    first = template.read_text(encoding="utf-8").splitlines()[0]
    assert re.search(r"\{\{ ansible_managed \| comment(\(.*\))? \}\}", first)


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=name_of)
def test_playbook_can_be_called_by_its_full_name(playbook: Path) -> None:
    assert re.fullmatch(r"[a-z0-9_]+\.yml", playbook.name)


@pytest.mark.parametrize("source", TESTED, ids=name_of)
def test_logic_has_a_test_of_its_own(source: Path) -> None:
    relative = source.relative_to(REPOSITORY).parent
    assert list((REPOSITORY / "tests/unit" / relative).glob(f"test_{source.stem.strip('_')}*.py"))


def test_every_name_in_the_texts_exists() -> None:
    """A role, module, filter or playbook that was renamed is renamed wherever it is spoken of."""
    fragments = git_files("plugins/doc_fragments/*.py")
    known = {path.stem for path in (*MODULES, *LOOKUPS, *PLAYBOOKS, *fragments)}
    known |= {role.name for role in ROLES} | {"plugins"}
    for path in FILTERS:
        name = f"ansible_collections.websockets.fleet.plugins.filter.{path.stem}"
        known |= importlib.import_module(name).FilterModule().filters().keys()
    unknown = {
        (name_of(path), name)
        for path in TEXTS
        for name in re.findall(r"\bwebsockets\.fleet\.([a-z0-9_]+)", path.read_text("utf-8"))
        if name not in known
    }
    assert unknown == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", text)
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_readme_names_every_room() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    names = [path.stem for path in (*MODULES, *PLAYBOOKS)] + [role.name for role in ROLES]
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []


def test_texts_say_nothing_that_holds_only_here() -> None:
    """Where packages come from is the machine's own configuration; nothing is left for later."""
    forbidden = {
        "the folder of this checkout": re.escape(str(REPOSITORY)),
        "a package registry": r"pypi[.]org|pythonhosted[.]org|galaxy[.]ansible[.]com|npmjs[.]",
        "work left for later": r"\b(T[O]DO|F[I]XME)\b",
    }
    found = {
        (name_of(path), what)
        for path in TEXTS
        for what, pattern in forbidden.items()
        if re.search(pattern, path.read_text(encoding="utf-8"))
    }
    assert found == set()


def test_tarball_holds_what_users_need_and_nothing_else(tmp_path: Path) -> None:
    builder = Path(sys.executable).with_name("ansible-galaxy")
    subprocess.run(
        [builder, "collection", "build", "--output-path", tmp_path],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
    )
    (tarball,) = tmp_path.iterdir()
    with tarfile.open(tarball) as archive:
        names = {member.name for member in archive.getmembers() if member.isfile()}
    cloned = {name_of(path) for path in git_files()}
    assert {name.partition("/")[0] for name in names} <= TARBALL
    assert names - cloned == {"FILES.json", "MANIFEST.json"}
    sources = git_files("plugins", "roles", "playbooks", "meta", "docs", "examples")
    assert {name_of(path) for path in sources} - names == set()
