# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter in a template, as the play has it."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.filter.process_rows import FilterModule

process_rows = FilterModule().filters()["process_rows"]


def test_a_fleet_without_hosts_has_no_rows() -> None:
    assert process_rows({}) == []


@pytest.mark.parametrize("value", [None, "app1", [{"app1": {}}]])
def test_anything_but_a_dictionary_is_refused(value: object) -> None:
    with pytest.raises(AnsibleFilterError, match="process_rows takes a dictionary, not"):
        process_rows(value)
