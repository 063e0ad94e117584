# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter gives an address or says why there is none."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.filter.fleet_address import FilterModule

fleet_address = FilterModule().filters()["fleet_address"]


def test_the_address_comes_from_the_facts() -> None:
    assert fleet_address({"default_ipv4": {"address": "10.0.0.2"}}) == "10.0.0.2"


@pytest.mark.parametrize(
    ("facts", "message"), [({}, "gather the subset network"), ("10.0.0.2", "the facts, not str")]
)
def test_without_one_it_says_what_would_do(facts: object, message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        fleet_address(facts)
