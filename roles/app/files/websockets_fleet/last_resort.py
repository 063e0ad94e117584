# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock that ends the process when everything else has failed to."""

from __future__ import annotations

import os
import select
import threading
import time

__all__ = ["LastResort"]


MESSAGE = b"<3>websockets_fleet: something blocks the exit, ending without it\n"


def _exit() -> None:
    """End the process now, with a message if it can be had without waiting."""
    try:
        # Not through logging: the blocked thread may hold its lock.
        if select.select([], [1], [], 0)[1]:
            os.write(1, MESSAGE)
    finally:
        os._exit(0)


class LastResort:
    """Ends the process, exit code 0, a while after it was asked to stop.

    It is a thread of its own, so that a handler which blocks the event loop can't keep the process
    alive. The first :meth:`arm` allows ``patience`` seconds, a further one ``impatience`` seconds
    from then on, if that is sooner. Nothing calls it off: until its time has come, a process may
    also be held up on its way out.
    """

    def __init__(self, patience: float, impatience: float) -> None:
        self._patience = patience
        self._impatience = impatience
        self._reader, self._writer = os.pipe2(os.O_CLOEXEC)
        threading.Thread(target=self._run, name="last-resort", daemon=True).start()

    def arm(self) -> None:
        """Start the clock; safe in a signal handler, because it takes no lock."""
        os.write(self._writer, b"!")

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        end: float | None = None
        while True:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not poll.poll(None if left is None else left * 1000):
                _exit()
            os.read(self._reader, 1)
            now = time.monotonic()
            end = now + self._patience if end is None else min(end, now + self._impatience)
