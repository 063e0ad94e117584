# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add up what a whole run saw: ``count.py LOG REPORTS`` prints ``N passed, N failed``.

Tests are counted from pytest's reports. A step that failed counts too, unless tests that failed
already tell of it: a run with a fault never ends with "0 failed".
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree


def main(log: Path, reports: Path) -> None:
    passed = failed = 0
    for report in sorted(reports.glob("*.xml")):
        for suite in ElementTree.parse(report).iter("testsuite"):
            tests, failures, errors, skipped = (
                int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")
            )
            failed += failures + errors
            passed += tests - failures - errors - skipped
    steps = re.findall(r"^==> .*: failed ", log.read_text(encoding="utf-8"), re.MULTILINE)
    print(f"{passed} passed, {max(failed, len(steps))} failed")


main(Path(sys.argv[1]), Path(sys.argv[2]))
