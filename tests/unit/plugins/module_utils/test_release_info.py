# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases a host has, and which of them runs with what is configured there."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.websockets.fleet.plugins.module_utils import (
    _instances,
    _release,
    _release_info,
    _switch,
)
from ansible_collections.websockets.fleet.plugins.module_utils._release_info import (
    Configuration,
    configuration,
    fault,
    releases,
)

REPOSITORY = Path(__file__).resolve().parents[4]
UNIT = """\
[Service]
EnvironmentFile=/etc/chat/env
Environment=INSTANCE=%i APP_FINGERPRINT=f00ba4
ExecStart={start}
"""
LAUNCHED = '"{home}/current/venv/bin/python" "-m" "websockets_fleet" "--config" "server.toml"'
# What a launcher of another time might do.
PYTHON = """#!/bin/sh
echo "$@" >"{told}"
echo "$PWD $INSTANCE $APP_NAME $KEY" >>"{told}"
cat "$5" >&2
echo "KEY is $KEY" >&2
exit {code}
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay the application's folders and units in a folder, as this account's own."""
    for module in (_release, _release_info, _switch):
        monkeypatch.setattr(module, "home", lambda name: tmp_path / "opt" / name)
    for module in (_instances, _release_info):
        monkeypatch.setattr(module, "UNITS", tmp_path / "units")
        monkeypatch.setattr(module, "ETC", tmp_path / "etc")
    account = pwd.getpwuid(os.getuid())
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: account)
    if os.getuid() != 0:
        run = subprocess.run

        def as_self(command: list[str], **options: Any) -> Any:
            for key in ("user", "group", "extra_groups"):
                options.pop(key)
            return run(command, check=options.pop("check"), **options)

        monkeypatch.setattr(subprocess, "run", as_self)
    for folder in ("opt/chat/releases", "etc/chat", "units/chat.target.wants"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def lay(host: Path, identity: str, **description: str) -> Path:
    folder = host / "opt/chat/releases" / identity
    for name in ("app", "venv/bin"):
        (folder / name).mkdir(parents=True)
    (folder / "release.json").write_text(json.dumps({"release": identity, **description}))
    return folder


def configure(host: Path, start: str) -> None:
    start = start.replace("{home}", str(host / "opt/chat"))
    (host / "units/chat@.service").write_text(UNIT.format(start=start))
    (host / "units/chat.target.wants/chat@1.service").touch()
    (host / "units/chat.target.wants/chat@2.service").touch()
    (host / "etc/chat/env").write_text('# managed\nAPP_NAME="chat"\nPYTHONUNBUFFERED=1\n')
    (host / "etc/chat/secrets").write_text('KEY="correct horse"\nPART="horse"\nNONE=""\n')
    (host / "etc/chat/server.toml").write_text("max_size = 1\n")


def interpreter(folder: Path, code: int) -> Path:
    told = folder / "told"
    python = folder / "venv/bin/python"
    python.write_text(PYTHON.format(told=told, code=code))
    python.chmod(0o755)
    return told


def test_the_releases_are_listed_with_what_they_are(host: Path) -> None:
    lay(host, "aaa", version="1", inputs="d1", built="2026-11-01", python="/usr/bin/python3")
    lay(host, "bbb", version="2", inputs="d2", built="2026-11-02", python="/usr/bin/python3")
    lay(host, "ccc", version="", inputs="d3", built="2026-11-03", python="/usr/bin/python3")
    lay(host, ".build-ddd-x", built="2026-11-04")
    (host / "opt/chat/releases/half").mkdir()
    for label, identity in (("current", "bbb"), ("previous", "aaa"), ("rolled_back", "ccc")):
        (host / "opt/chat" / label).symlink_to(f"releases/{identity}")
    with subprocess.Popen(["sleep", "60"], cwd=host / "opt/chat/releases/ccc/app") as child:
        try:
            found = releases("chat")
        finally:
            child.kill()
    assert [release["release"] for release in found] == ["ccc", "bbb", "aaa"]
    assert found[1] == {
        "release": "bbb",
        "version": "2",
        "inputs": "d2",
        "built": "2026-11-02",
        "python": "/usr/bin/python3",
        "current": True,
        "previous": False,
        "rolled_back": False,
        "in_use": False,
    }
    assert [release["previous"] for release in found] == [False, False, True]
    assert [release["rolled_back"] for release in found] == [True, False, False]
    assert [release["in_use"] for release in found] == [True, False, False]


def test_a_host_without_the_application_has_nothing(host: Path) -> None:
    assert releases("other") == []
    assert configuration("other") == Configuration()


def test_the_configuration_is_read_from_the_unit(host: Path) -> None:
    configure(host, LAUNCHED)
    assert configuration("chat") == Configuration("f00ba4", 2, True, "venv/bin/python")
    configure(host, '"{home}/current/app/serve" "-m" "x"')
    assert configuration("chat") == Configuration("f00ba4", 2, False, "app/serve")
    configure(host, '"/usr/bin/node" "server.js"')
    assert configuration("chat") == Configuration("f00ba4", 2, False, "")


def test_the_unit_that_the_role_renders_is_understood() -> None:
    """The words that are looked for stand in the template and in what fills it."""
    template = REPOSITORY / "roles/app/templates/etc/systemd/system/app@.service.j2"
    text = template.read_text()
    assert "Environment=INSTANCE=%i APP_FINGERPRINT={{ app_fingerprint }}\n" in text
    assert "ExecStart={% for word in __app_arguments %}{{ quote(word) }} {% endfor %}\n" in text
    variables = (REPOSITORY / "roles/app/vars/main.yml").read_text()
    assert "'/current/venv/bin/python', '-m', 'websockets_fleet',\n" in variables


def test_the_launcher_of_the_release_checks_what_is_configured(host: Path) -> None:
    configure(host, LAUNCHED)
    folder = lay(host, "aaa")
    told = interpreter(folder, 0)
    assert fault("chat", "aaa") == ""
    config = host / "etc/chat/server.toml"
    assert told.read_text().splitlines() == [
        f"-m websockets_fleet --check --config {config}",
        f"{folder}/app 1 chat correct horse",
    ]


def test_what_the_launcher_refuses_is_told_without_a_secret(host: Path) -> None:
    configure(host, LAUNCHED)
    interpreter(lay(host, "aaa"), 1)
    assert fault("chat", "aaa").splitlines() == [
        "release aaa refuses the configuration on this host:",
        "max_size = 1",
        "KEY is ****",
    ]


def test_the_real_launcher_refuses_an_option_that_it_does_not_know(host: Path) -> None:
    configure(host, LAUNCHED)
    (host / "etc/chat/env").write_text(f'PYTHONPATH="{REPOSITORY}/roles/app/files"\n')
    (host / "etc/chat/server.toml").write_text('handler = "json:dumps"\nof_tomorrow = 1\n')
    python = lay(host, "aaa") / "venv/bin/python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    assert "of_tomorrow" in fault("chat", "aaa")


@pytest.mark.parametrize("start", ['"{home}/current/app/serve"', LAUNCHED])
def test_a_release_without_the_program_of_the_unit_is_refused(host: Path, start: str) -> None:
    configure(host, start)
    folder = lay(host, "aaa")
    assert "is no program in release aaa" in fault("chat", "aaa")
    program = folder / "app/serve"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    interpreter(folder, 0)
    assert fault("chat", "aaa") == ""


def test_a_release_that_is_not_whole_is_refused(host: Path) -> None:
    configure(host, LAUNCHED)
    (host / "opt/chat/releases/half").mkdir()
    for identity in ("half", "none"):
        assert fault("chat", identity) == f"release {identity} is not on this host"


def test_a_launcher_that_does_not_answer_ends(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(host, LAUNCHED)
    monkeypatch.setattr(_release_info, "CHECK_SECONDS", 0.2)
    python = lay(host, "aaa") / "venv/bin/python"
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o755)
    assert "the launcher of release aaa does not run: " in fault("chat", "aaa")
