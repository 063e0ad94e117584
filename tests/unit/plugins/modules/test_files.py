# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it: modes whatever the umask, and secrets in no output."""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.websockets.fleet.plugins.module_utils import _files
from ansible_collections.websockets.fleet.plugins.modules import files

OWNER = pwd.getpwuid(os.getuid()).pw_name
GROUP = grp.getgrgid(os.getgid()).gr_name
OWN = {"owner": OWNER, "group": GROUP}
SECRET = "# Kept by the fleet\nTOKEN=correct horse\nKEY=battery staple\n"
WORDS = ("correct horse", "battery staple")


def run(
    tmp_path: Path, arguments: dict[str, Any], *words: str, umask: int = 0o022
) -> tuple[dict[str, Any], str]:
    """Run the module as a task would; return its result and everything that was printed."""
    namespace = tmp_path / "collections" / "ansible_collections" / "websockets"
    if not namespace.exists():
        namespace.mkdir(parents=True)
        (namespace / "fleet").symlink_to(Path(_files.__file__).resolve().parents[2])
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
    }
    task = tmp_path / "arguments.json"
    task.write_text(json.dumps(arguments))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ansible", "adhoc", "localhost", "--connection=local"),
            *("-e", f"ansible_python_interpreter={sys.executable}"),
            *("-m", "websockets.fleet.files", "-a", task.read_text(), *words),
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        umask=umask,
    )
    printed = done.stdout + done.stderr
    found = re.search(r"localhost \| \S+ => (\{.*?^\})", done.stdout, re.DOTALL | re.MULTILINE)
    assert found, printed
    result: dict[str, Any] = json.loads(found[1])
    return result, printed


def modes(folder: Path) -> dict[str, str]:
    return {path.name: f"{path.stat().st_mode & 0o7777:04o}" for path in folder.rglob("*")}


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_new_files_have_the_mode_that_was_asked_for(tmp_path: Path, umask: int) -> None:
    etc = tmp_path / "etc"
    arguments = {
        "directories": [{"path": str(etc), "mode": "0750", **OWN}],
        "files": [
            {"path": str(etc / "open"), "content": "a\n", **OWN},
            {"path": str(etc / "group"), "content": "a\n", "mode": "0640", **OWN},
            {"path": str(etc / "secret"), "secret_content": SECRET, "mode": "0400", **OWN},
            {"path": str(etc / "script"), "content": "#!/bin/sh\n", "mode": "0755", **OWN},
        ],
    }
    result, _printed = run(tmp_path, arguments, umask=umask)
    assert result["changed"]
    assert modes(etc) == {"open": "0644", "group": "0640", "secret": "0400", "script": "0755"}
    assert etc.stat().st_mode & 0o7777 == 0o750
    assert (etc / "secret").read_text() == SECRET
    result, _printed = run(tmp_path, arguments, umask=umask)
    assert (result["changed"], result["changed_paths"]) == (False, [])


def test_a_secret_shows_in_no_output(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    entry = {"path": str(path), "secret_content": SECRET, "mode": "0400", **OWN}
    # Through a file of variables, as a play has it: the command line is not the module's.
    variables = tmp_path / "variables.json"
    variables.write_text(json.dumps({"entry": entry}))
    arguments = {"files": ["{{ entry }}"]}
    for words in (["--check"], [], ["-e", "again=1"]):
        _result, printed = run(tmp_path, arguments, "-e", f"@{variables}", "--diff", "-vvv", *words)
        assert str(path) in printed
        assert not [word for word in WORDS if word in printed]
    assert path.read_text() == SECRET


def test_a_secret_that_becomes_another_file_shows_in_no_diff(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    path.write_text(SECRET)
    path.chmod(0o400)
    entry = {"path": str(path), "content": "# none\n", "mode": "0400", **OWN}
    result, printed = run(tmp_path, {"files": [entry]}, "--diff", "-vvv")
    assert result["changed"]
    assert not [word for word in WORDS if word in printed]
    assert path.read_text() == "# none\n"


def test_a_secret_is_in_no_log_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(
        AnsibleModule, "log", lambda _module, message, **more: logged.append(f"{message} {more}")
    )
    entry = {"path": str(tmp_path / "secrets"), "secret_content": SECRET, "mode": "0400", **OWN}
    with patch_module_args({"files": [entry]}), pytest.raises(SystemExit):
        files.main()
    assert json.loads(capsys.readouterr().out)["changed"]
    assert logged
    assert not [word for word in WORDS if word in str(logged)]


def test_a_refused_file_is_told_with_its_own_path_and_nothing_lands(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old\n")
    arguments = {
        "files": [
            {"path": str(tmp_path / "a"), "content": "new\n", **OWN},
            {
                "path": str(tmp_path / "b"),
                "content": "bad\n",
                "validate": "sh -c 'echo %s: line 1 >&2; exit 1'",
                **OWN,
            },
        ]
    }
    result, _printed = run(tmp_path, arguments)
    path = tmp_path / "b"
    assert result["msg"] == f"{path} was refused, nothing was written: {path}: line 1"
    assert (tmp_path / "a").read_text() == "old\n"
    assert not path.exists()
    # Check mode says what would change, without the program that may not be there yet.
    result, _printed = run(tmp_path, arguments, "--check")
    assert result["changed_paths"] == [str(tmp_path / "a"), str(path)]
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"files": [{"path": "etc/a", "content": ""}]}, "'etc/a' is not an absolute path"),
        ({"absent": ["etc/a"]}, "'etc/a' is not an absolute path"),
        ({"files": [{"path": "/etc/a"}]}, "one of the following is required: content, secret_con"),
        (
            {"files": [{"path": "/etc/a", "content": "", "mode": "u=rw"}]},
            "mode 'u=rw' is not an oc",
        ),
        (
            {"files": [{"path": "/etc/a", "content": "", "secret_content": ""}]},
            "mutually exclusive: content|secret_content",
        ),
    ],
)
def test_arguments_that_have_no_meaning_are_refused(
    arguments: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        files.main()
    assert message in json.loads(capsys.readouterr().out)["msg"]
