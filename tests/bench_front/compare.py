# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the comparison from a checkout: python tests/bench_front/compare.py --help."""

import sys

from front_bench.cli import main

sys.exit(main())
