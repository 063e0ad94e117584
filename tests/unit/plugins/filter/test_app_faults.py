# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter in a template, as the role has it."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.filter.app_faults import FilterModule

app_faults = FilterModule().filters()["app_faults"]


def test_faults_of_the_values_and_of_the_fleet_come_together() -> None:
    values = {"app_name": "Chat", "app_listen": "unix_socket"}
    found = app_faults(values, ["lb1"], "app1")
    assert any(fault.startswith("app_name is 'Chat'") for fault in found)
    assert any("lb1 can't reach its sockets" in fault for fault in found)
    assert not any("sockets" in fault for fault in app_faults(values))


@pytest.mark.parametrize("value", [None, "app_name", ["app_name"]])
def test_anything_but_a_dictionary_is_refused(value: object) -> None:
    with pytest.raises(AnsibleFilterError, match="app_faults takes a dictionary, not"):
        app_faults(value)
