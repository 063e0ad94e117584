# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names as a certificate has them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.filter.subject_alt_names import (
    FilterModule,
    subject_alt_names,
)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], []),
        (["chat.example.com"], ["DNS:chat.example.com"]),
        (["Chat.Example.COM", "chat.example.com"], ["DNS:chat.example.com"]),
        (["localhost", "lb1"], ["DNS:localhost", "DNS:lb1"]),
        (["*.example.com"], ["DNS:*.example.com"]),
        (["192.0.2.1"], ["IP:192.0.2.1"]),
        (["2001:DB8:0:0::1", "2001:db8::1"], ["IP:2001:db8::1"]),
        (["a-1.test", "10.0.0.1", "::1"], ["DNS:a-1.test", "IP:10.0.0.1", "IP:::1"]),
    ],
)
def test_says_of_each_what_it_is(names: list[str], expected: list[str]) -> None:
    assert subject_alt_names(names) == expected


@pytest.mark.parametrize(
    "names",
    [
        *("chat.example.com", None, [None], [1], [""], ["a b"], ["-a.test"], ["a-.test"]),
        *(["a..test"], ["a*.test"], ["*"], ["10.0.0.256"], ["10.0.0.1/24"], ["a_b.test"]),
        *(["x" * 64], [".".join(["abcdefgh"] * 30)], ["https://chat.test"], ["a\n"]),
    ],
)
def test_refuses_what_is_no_name(names: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="subject_alt_names: "):
        subject_alt_names(names)


def test_is_found_under_its_name() -> None:
    assert FilterModule().filters() == {"subject_alt_names": subject_alt_names}
