# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action says of a host's processes beside the module's own words."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.websockets.fleet.plugins.action.instances import file_shortage

ASKED = {"name": "chat", "release": "new", "fingerprint": "f2", "file_limit": "65536"}


def process(file_limit: int | None, release: str = "new") -> dict[str, Any]:
    return {"index": 1, "release": release, "fingerprint": "f2", "file_limit": file_limit}


@pytest.mark.parametrize(
    ("processes", "least"),
    [
        ([], None),
        ([process(65536), process(1048576)], None),
        ([process(65536), process(20000)], 20000),
        # One that is down, and one that check mode leaves as it is and a run would restart.
        ([process(None)], None),
        ([process(1024, release="old"), process(65536)], None),
        ([process(1024, release="old"), process(30000)], 30000),
    ],
)
def test_what_the_host_gives_less_is_said(
    processes: list[dict[str, Any]], least: int | None
) -> None:
    words = file_shortage(ASKED, processes)
    assert (f"chat may open {least} files, not the 65536 of app_file_limit" in words) == (
        least is not None
    )
    assert bool(words) == (least is not None)


def test_who_asks_for_no_number_hears_none() -> None:
    asked = {key: value for key, value in ASKED.items() if key != "file_limit"}
    assert file_shortage(asked, [process(1024)]) == ""
