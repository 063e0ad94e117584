# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make this checkout importable as ``ansible_collections.websockets.fleet``.

Ansible's own loader imports the plugins, as it does in a play: a test that passes here does not
depend on the folder the checkout is in, nor on an installed copy of the collection.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from ansible.plugins.loader import init_plugin_loader

REPOSITORY = Path(__file__).resolve().parents[2]


def _make_importable(repository: Path) -> None:
    root = Path(tempfile.mkdtemp(prefix="websockets-fleet-units-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    namespace = root / "ansible_collections" / "websockets"
    namespace.mkdir(parents=True)
    (namespace / "fleet").symlink_to(repository)
    init_plugin_loader([str(root)])


# At import, not in a fixture: test modules import the plugins while pytest collects them.
_make_importable(REPOSITORY)
