# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role writes into the file of secrets is what the comparison reads from it."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from ansible_collections.websockets.fleet.plugins.module_utils import _instances

TEMPLATE = Path(__file__).parents[4] / "roles" / "app" / "templates" / "etc" / "app" / "secrets.j2"


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "",
        'a"b',
        "ends in \\",
        '\\"',
        '{"key": "va\\"lue"}',
        "-----BEGIN KEY-----\nabc\n-----END KEY-----\n",
        "one\r\ntwo\r\n",
        "back\\\nslash before a new line",
        "$HOME `id` % #",
        'X="y"\nY="z"',
    ],
)
def test_a_secret_is_read_as_it_was_written(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = jinja2.Environment(
        keep_trailing_newline=True, trim_blocks=True, newline_sequence="\n", autoescape=False
    )
    environment.filters["comment"] = lambda text: f"# {text}"
    text = environment.from_string(TEMPLATE.read_text()).render(
        ansible_managed="managed", app_secrets={"FIRST": "1", "SECRET": value, "THIRD": "3"}
    )
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "secrets").write_bytes(text.encode())
    monkeypatch.setattr(_instances, "ETC", tmp_path)
    assert _instances.secrets_of("chat") == {"FIRST": "1", "SECRET": value, "THIRD": "3"}
