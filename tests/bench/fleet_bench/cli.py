# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: measure round after round, say what came out, keep it where asked to."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import os
import platform
import resource
import select
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .chart import chart
from .load import Echo, handshakes, hold
from .results import KINDS, Rate, Round, Row, Turn, comparisons, rows, table
from .servers import Server, ServerError
from .wire import WireError

__all__ = ["Plan", "conditions", "main", "measure", "replace_block"]

DOCS = Path(__file__).resolve().parents[3] / "docs"
BEGIN = "<!-- The rest is written by make bench-launcher OPTIONS=--keep. -->\n"
TIME_LIMIT = 200.0
"""Seconds after which no round begins any more: all of it stays below four minutes."""

QUIET = 0.8
"""Part of the time that a server needs a CPU for, if nothing but the benchmark runs."""


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured in a round: seconds are those that one server has in a row.

    Where no connection is ``held``, memory is not measured.
    """

    held: int = 1000
    talking: int = 100
    message_turns: int = 7
    message_seconds: float = 0.08
    handshake_turns: int = 1
    handshake_seconds: float = 0.15
    at_once: int = 16


def _turn(measure_one: Callable[[str], Rate], order: Sequence[str]) -> Turn:
    """Each server twice, the first one first and last: what drifts meets both alike."""
    turn: Turn = {}
    for kind in (*order, *reversed(order)):
        rate = measure_one(kind)
        turn[kind] = turn[kind] + rate if kind in turn else rate
    return turn


def measure(event_loop: str, plan: Plan, order: Sequence[str]) -> Round:
    """One round: a new process of each kind, side by side, each of them idle while the other works.

    ``order`` says who is first.
    """
    with contextlib.ExitStack() as stack:
        servers: dict[str, Server] = {}
        for kind in order:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            servers[kind] = stack.enter_context(Server(kind, event_loop, folder))

        memory = {}
        for kind, server in servers.items() if plan.held else ():
            # What is imported with the first connection is not what a connection takes.
            with hold(server.port, 1):
                pass
            idle = server.memory_kib()
            with hold(server.port, plan.held):
                memory[kind] = (server.memory_kib() - idle) / plan.held

        echoes = {}
        for kind, server in servers.items():
            held = stack.enter_context(hold(server.port, plan.talking))
            echoes[kind] = Echo(held, stack.enter_context(select.epoll()))

        def messages(kind: str) -> Rate:
            return echoes[kind].run(plan.message_seconds, servers[kind].cpu_seconds)

        def opened(kind: str) -> Rate:
            server = servers[kind]
            return handshakes(server.port, plan.at_once, plan.handshake_seconds, server.cpu_seconds)

        # The first turn only warms them up.
        talk = [_turn(messages, order) for _number in range(1 + plan.message_turns)][1:]
        doors = [_turn(opened, order) for _number in range(plan.handshake_turns)]
    return Round(event_loop, memory, talk, doors)


def replace_block(page: str, block: str) -> str:
    """The page with a new end."""
    head, found, _old = page.partition(BEGIN)
    if not found:
        raise ValueError(f"the page has no line {BEGIN!r}")
    return f"{head}{BEGIN}\n{block}"


def _event_loops() -> list[str]:
    found = importlib.util.find_spec("uvloop") is not None
    if not found:
        print("uvloop is not installed: asyncio's own event loop only")
    return ["asyncio", "uvloop"] if found else ["asyncio"]


def conditions(rounds: Sequence[Round]) -> str:
    """What it was measured with."""
    loops = list(dict.fromkeys(one.event_loop for one in rounds))
    packages = ["websockets", *(["uvloop"] if "uvloop" in loops else [])]
    versions = [f"{package} {importlib.metadata.version(package)}" for package in packages]
    busy = sum(one.busy() for one in rounds) / len(rounds)
    text = (
        f"{platform.python_implementation()} {platform.python_version()}, {', '.join(versions)}, "
        f"{os.cpu_count()} CPUs, {len(rounds) // len(loops)} rounds; while it was asked for "
        f"messages, a server had a CPU for {busy:.0%} of the time."
    )
    if busy < QUIET:
        text += " The machine had other things to do: the numbers say little, measure again."
    return textwrap.fill(text, 120)


def _say(number: int, count: int, one: Round) -> None:
    """Progress: one line for a round."""
    compared = "; ".join(f"{name} {value}" for name, value in comparisons(rows([one])))
    print(f"round {number} of {count}, {one.event_loop}: {compared}", flush=True)


def _raise_file_limit(wanted: int) -> None:
    """Servers inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ServerError(f"{wanted} open files are needed, {hard} are allowed")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _measure_all(count: int, plan: Plan) -> list[Round]:
    """All rounds, or as many as there is time for."""
    began = time.monotonic()
    # Memory takes the most time and hardly varies.
    without_memory = dataclasses.replace(plan, held=0)
    rounds: list[Round] = []
    event_loops = _event_loops()
    for number in range(1, count + 1):
        if time.monotonic() - began > TIME_LIMIT:
            print(f"time is up after {number - 1} rounds")
            break
        for event_loop in event_loops:
            # Who is first takes turns too.
            order = KINDS if number % 2 else KINDS[::-1]
            rounds.append(measure(event_loop, plan if number <= 3 else without_memory, order))
            _say(number, count, rounds[-1])
    return rounds


def _keep(result: Sequence[Row], measured_with: str) -> None:
    (DOCS / "benchmark.svg").write_text(chart(result, measured_with), encoding="utf-8")
    page = DOCS / "benchmark.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(replace_block(text, f"{measured_with}\n\n{table(result)}"), encoding="utf-8")
    print(f"kept in {page} and benchmark.svg")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: 0 if all bounds are met, 1 if one is not, 2 if it can't tell."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure what the launcher costs.")
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="at most (20)")
    parser.add_argument("--keep", action="store_true", help="write the result to docs/benchmark.*")
    options = parser.parse_args(arguments)

    # However it is stopped, it stops its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    plan = Plan()
    try:
        _raise_file_limit(plan.held + 200)
        rounds = _measure_all(max(1, options.rounds), plan)
    except (OSError, ServerError, WireError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    result = rows(rounds)
    measured_with = conditions(rounds)
    print(f"\n{measured_with}\n\n{table(result)}", flush=True)
    if options.keep:
        _keep(result, measured_with)
    missed = [row for row in result if not row.met]
    for row in missed:
        print(f"{row.event_loop}, {row.name}: the bound is not met", file=sys.stderr)
    return 1 if missed else 0
