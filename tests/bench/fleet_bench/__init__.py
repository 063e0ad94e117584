# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the launcher costs, beside the sample of the documentation: ``make bench-launcher``.

``wire`` is the client's side of the protocol, ``load`` the client, ``servers`` starts what is
measured, ``results`` judges it, ``chart`` draws it, ``cli`` runs all of them.
"""
