# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets leave no trace in what is shown."""

from __future__ import annotations

from ansible_collections.websockets.fleet.plugins.module_utils._mask import mask


def test_each_secret_goes_and_the_rest_stays() -> None:
    text = "bad dsn postgres://u:hunter2@h/db, hunter2, hunter"
    assert mask(text, ["hunter2", ""]) == "bad dsn postgres://u:****@h/db, ****, hunter"


def test_a_secret_that_holds_another_one_goes_as_a_whole() -> None:
    assert mask("key: abcdef", ["abc", "abcdef"]) == "key: ****"
