# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock that ends a process."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

import websockets_fleet

PROGRAM = """
import sys, threading, time
from websockets_fleet.last_resort import LastResort
clock = LastResort(patience={patience}, impatience={impatience})
for _ in range({times}):
    clock.arm()
    time.sleep(0.1)
{then}
"""


def run(patience: float, impatience: float, times: int, then: str) -> tuple[int, str, float]:
    """Exit code, output and seconds of a program that arms the clock so many times."""
    source = PROGRAM.format(patience=patience, impatience=impatience, times=times, then=then)
    package = str(Path(websockets_fleet.__file__).parents[1])
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", source],
        check=False,
        env={"PYTHONPATH": package},
        stdout=subprocess.PIPE,
        text=True,
        timeout=20,
    )
    return done.returncode, done.stdout, time.monotonic() - began


BLOCKED = "<3>websockets_fleet: something blocks the exit, ending without it\n"


@pytest.mark.parametrize(
    "then",
    [
        pytest.param("while True: pass", id="the main thread is busy"),
        pytest.param("threading.Thread(target=time.sleep, args=(9,)).start()", id="a thread stays"),
        pytest.param("import atexit; atexit.register(time.sleep, 9)", id="an exit function"),
    ],
)
def test_it_ends_what_does_not_end(then: str) -> None:
    code, output, seconds = run(0.5, 0.5, 1, then)
    assert (code, output) == (0, BLOCKED)
    assert 0.5 <= seconds < 5


def test_output_that_nobody_reads_does_not_stop_it() -> None:
    fill = (
        "import os; os.set_blocking(1, False); os.write(1, b'x' * 10**6); os.set_blocking(1, True)"
    )
    source = PROGRAM.format(patience=0.5, impatience=0.5, times=1, then=f"{fill}; time.sleep(9)")
    environ = {"PYTHONPATH": str(Path(websockets_fleet.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", source], env=environ, stdout=subprocess.PIPE
    ) as process:
        assert process.wait(5) == 0


def test_a_second_call_makes_it_sooner() -> None:
    code, output, seconds = run(15, 0.5, 2, "time.sleep(15)")
    assert (code, output) == (0, BLOCKED)
    assert seconds < 5


def test_a_second_call_never_makes_it_later() -> None:
    code, _output, seconds = run(0.5, 15, 2, "time.sleep(15)")
    assert code == 0
    assert seconds < 5


def test_a_process_that_ends_by_itself_is_left_alone() -> None:
    assert run(5, 5, 1, "sys.exit(3)")[:2] == (3, "")


def test_it_waits_until_it_is_armed() -> None:
    code, output, _seconds = run(0.1, 0.1, 0, "time.sleep(0.5); print('done')")
    assert (code, output) == (0, "done\n")
