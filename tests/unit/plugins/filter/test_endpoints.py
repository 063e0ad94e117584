# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter in a template, as the play has it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.filter.endpoints import FilterModule

DEFAULTS = {"app_listen": "shared_port", "app_port": 8765, "app_processes": 2}
endpoints = FilterModule().filters()["endpoints"]


def test_servers_may_be_any_iterable() -> None:
    servers = ({"inventory_hostname": name, "app_bind": "10.0.0.2"} for name in "a")
    assert endpoints(servers, DEFAULTS, "lb") == [{"address": "10.0.0.2:8765", "weight": 2}]
    assert endpoints([], DEFAULTS, "lb") == []


@pytest.mark.parametrize(
    ("servers", "defaults", "message"),
    [
        ("app1", DEFAULTS, "takes a list with the variables of each server"),
        ({"a": 1}, DEFAULTS, "takes a list with the variables of each server"),
        (["app1"], DEFAULTS, "takes a list with the variables of each server"),
        ([{"inventory_hostname": "a"}], {"app_listen": "x"}, "no default sets 'app_processes'"),
        ([{"inventory_hostname": "a"}], DEFAULTS, "endpoints: a: the facts hold no address"),
    ],
)
def test_what_it_can_not_use_is_said(servers: Any, defaults: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        endpoints(servers, defaults, "lb")
