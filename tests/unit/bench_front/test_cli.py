# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: what it keeps, and what it calls a fault."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from front_bench import cli
from front_bench.results import Outcome

WELL = Outcome(400, 400, 500, 0, 0.1, 0.2, 0.3, 0.1, 1.0, 1.3, Counter())
PAGE = "before\n<!-- one -->\nold\n<!-- end -->\nbetween\n<!-- two -->\n<!-- end -->\n"


def test_a_block_is_replaced_and_nothing_else() -> None:
    assert cli.replace_block(PAGE, "one", "new\n") == (
        "before\n<!-- one -->\n\nnew\n\n<!-- end -->\nbetween\n<!-- two -->\n<!-- end -->\n"
    )


def test_a_page_without_the_block_is_refused() -> None:
    with pytest.raises(ValueError, match="'three'"):
        cli.replace_block(PAGE, "three", "new\n")


def test_the_page_has_every_block_that_can_be_kept() -> None:
    page = cli.PAGE.read_text(encoding="utf-8")
    for name in cli.BLOCKS:
        cli.replace_block(page, name, "")


@pytest.mark.parametrize("lost", [{"failed": 1}, {"connected": 399}])
def test_only_the_role_has_to_keep_what_it_promises(lost: dict[str, int]) -> None:
    bad = dataclasses.replace(WELL, **lost)  # type: ignore[arg-type]
    assert cli.missed({("role", "restarts"): [WELL], ("guide", "restarts"): [bad]}) == []
    assert len(cli.missed({("role", "restarts"): [WELL, bad]})) == 1
