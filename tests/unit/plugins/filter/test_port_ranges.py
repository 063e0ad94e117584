# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The union of ports, in the kernel's form."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.websockets.fleet.plugins.filter.port_ranges import (
    FilterModule,
    port_ranges,
)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], ""),
        ([""], ""),
        (["", 8765], "8765"),
        ([8765, 8766], "8765-8766"),
        (["8765-8768", 8766], "8765-8768"),
        (["22,9000-9001", "8765"], "22,8765,9000-9001"),
        (["9000", "80"], "80,9000"),
        (["1-10", "5-20", "21"], "1-21"),
        (["1-65535", 8765], "1-65535"),
        (["8765, 8770"], "8765,8770"),
    ],
)
def test_joins_as_the_kernel_shows_it(items: list[int | str], expected: str) -> None:
    assert port_ranges(items) == expected


@pytest.mark.parametrize(
    "items",
    ["8765", None, [None], [True], [1.5], [0], [65536], ["8768-8765"], ["http"], ["-5"], ["1-2-3"]],
)
def test_refuses_what_is_no_port(items: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="port_ranges: "):
        port_ranges(items)


@given(st.lists(st.integers(min_value=1, max_value=65535), max_size=50))
def test_holds_exactly_the_ports_given_and_is_stable(ports: list[int]) -> None:
    text = port_ranges(list(ports))
    held: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _dash, last = part.partition("-")
        held.update(range(int(first), int(last or first) + 1))
    assert held == set(ports)
    assert port_ranges([text]) == text


def test_is_found_under_its_name() -> None:
    assert FilterModule().filters() == {"port_ranges": port_ranges}
