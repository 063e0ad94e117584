# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter is found under its name; tests/unit/plugins/plugin_utils has what it does."""

from __future__ import annotations

from ansible_collections.websockets.fleet.plugins.filter.nginx_limits_raised import (
    FilterModule,
    nginx_limits_raised,
)


def test_is_found_under_its_name() -> None:
    assert FilterModule().filters() == {"nginx_limits_raised": nginx_limits_raised}
