# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a host that runs another release than the inventory asks for."""

from __future__ import annotations

import pytest

from ansible_collections.websockets.fleet.plugins.plugin_utils._other_release import (
    other_release,
)

FOUND = {"current": "aaa", "current_version": "1.4.1", "rolled_back": "", "release": "bbb"}


@pytest.mark.parametrize(
    ("change", "label", "line"),
    [
        ({}, "1.4.2", "runs release aaa (1.4.1); the inventory asks for bbb (1.4.2)"),
        ({"current_version": ""}, "", "runs release aaa; the inventory asks for bbb"),
        (
            {"rolled_back": "ccc"},
            "",
            "runs release aaa (1.4.1), rolled back from ccc; the inventory asks for bbb",
        ),
        ({"current": ""}, "", ""),
        ({"current": "bbb"}, "", ""),
        ({"current": "bbb", "rolled_back": "ccc"}, "", ""),
    ],
)
def test_an_ordinary_deploy_is_no_warning(change: dict[str, str], label: str, line: str) -> None:
    assert other_release(FOUND | change, label, check=False) == (line, False)


@pytest.mark.parametrize(("check", "words"), [(False, "is"), (True, "would be")])
def test_who_deploys_what_was_rolled_back_is_warned(check: bool, words: str) -> None:
    line = (
        "runs release aaa (1.4.1), rolled back from bbb; the inventory asks for bbb (1.4.2), "
        f"which {words} deployed now"
    )
    found = FOUND | {"rolled_back": "bbb"}
    assert other_release(found, "1.4.2", check=check) == (line, True)
