# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which running kernels may have tcp_migrate_req on."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.filter.tcp_migrate_req_safe import (
    FilterModule,
    tcp_migrate_req_safe,
)

PLAIN = "#1 SMP PREEMPT_DYNAMIC Tue Oct 6 10:00:00 UTC 2026"


@pytest.mark.parametrize(
    ("release", "version", "safe"),
    [
        # One below and exactly at each fixed version.
        ("5.15.208", PLAIN, False),
        ("5.15.209", PLAIN, True),
        ("6.1.174", PLAIN, False),
        ("6.1.175", PLAIN, True),
        ("6.6.139", PLAIN, False),
        ("6.6.140", PLAIN, True),
        ("6.12.85", PLAIN, False),
        ("6.12.86", PLAIN, True),
        ("6.18.26", PLAIN, False),
        ("6.18.27", PLAIN, True),
        ("7.0.3", PLAIN, False),
        ("7.0.4", PLAIN, True),
        # Later series have it from the start, their first candidates may not.
        ("7.1.0", PLAIN, True),
        ("7.1", PLAIN, True),
        ("7.1.0-rc2", PLAIN, False),
        ("7.2.0-rc1", PLAIN, True),
        ("8.0.1-custom", PLAIN, True),
        # Series that ended without the fix, and kernels from before the setting.
        ("6.17.13", PLAIN, False),
        ("6.19.5", PLAIN, False),
        ("5.10.240", PLAIN, False),
        ("5.13.19", PLAIN, False),
        # Debian: the release says 0, the version says which.
        ("6.1.0-40-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.153-1 (2025-09-20)", False),
        ("6.1.0-49-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.175-1 (2026-06-20)", True),
        ("6.12.48+deb13-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.12.48-1 (2025-09-20)", False),
        ("6.12.90+deb13-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.12.90-1 (2026-07-01)", True),
        (
            "6.12.86+deb12-amd64",
            "#1 SMP PREEMPT_DYNAMIC Debian 6.12.86-1~bpo12+1 (2026-06-01)",
            True,
        ),
        ("6.1.0-40-amd64", "#1 SMP PREEMPT_DYNAMIC Debian", False),
        # Vendors whose numbers do not tell.
        ("5.15.0-160-generic", "#170-Ubuntu SMP Wed Oct 1 10:06:56 UTC 2025", False),
        ("6.8.0-85-generic", "#85-Ubuntu SMP PREEMPT_DYNAMIC Thu Sep 18 15:26:59 UTC 2025", False),
        ("5.14.0-570.el9.x86_64", "#1 SMP PREEMPT_DYNAMIC Thu May 15 2025", False),
        ("6.18.44-fc-v669", "#1 SMP PREEMPT_DYNAMIC @0", True),
        ("", "", False),
        ("unknown", PLAIN, False),
    ],
)
def test_only_versions_known_to_be_fixed_are_safe(release: str, version: str, safe: bool) -> None:
    assert tcp_migrate_req_safe(release, version) is safe


@pytest.mark.parametrize(("release", "version"), [(None, PLAIN), ("6.1.175", 6), ([], PLAIN)])
def test_refuses_what_is_not_text(release: Any, version: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="not a string"):
        tcp_migrate_req_safe(release, version)


def test_is_found_under_its_name() -> None:
    assert FilterModule().filters() == {"tcp_migrate_req_safe": tcp_migrate_req_safe}
