# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve one WebSocket handler in one process, as a service manager likes it.

``config`` says what to serve, ``application`` finds it, ``server`` serves it until SIGTERM and
drains, ``admin`` tells how it goes, ``notify`` talks to systemd. Processes are systemd's business:
this package starts none.
"""
