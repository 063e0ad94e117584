# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a rollback, as a playbook asks for it."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.filter.rollback_plan import FilterModule

RELEASE = {
    "release": "abc",
    "version": "1.0",
    "inputs": "d",
    "built": "2026-11-01",
    "current": True,
    "previous": False,
    "rolled_back": False,
}
INFO = {"releases": [RELEASE], "processes": 1, "fingerprint": "f"}

rollback_plan = FilterModule().filters()["rollback_plan"]


def test_a_label_that_yaml_reads_as_a_number_is_a_name() -> None:
    assert rollback_plan({"app1": INFO}, 1.0) == {
        "app1": {"release": "abc", "text": "runs release abc (1.0) already", "fault": ""}
    }


@pytest.mark.parametrize("hosts", [[INFO], {"app1": None}, {"app1": {"msg": "unreachable"}}])
def test_anything_but_results_is_refused(hosts: object) -> None:
    with pytest.raises(AnsibleFilterError, match="rollback_plan takes a result of release_info"):
        rollback_plan(hosts, "")
