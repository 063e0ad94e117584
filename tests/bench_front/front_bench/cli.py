# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: boot hosts, measure every set-up in every fault, say what came out."""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
import sys
from collections.abc import Sequence

from .faults import FAULTS, Plan, measure
from .fleet import ROOT, Fleet, FleetError, remove_hosts, start_hosts
from .results import Outcome, table
from .upstreams import VARIANTS

__all__ = ["BLOCKS", "PAGE", "main", "missed", "replace_block"]

PAGE = ROOT / "docs" / "servers_that_fail.md"
BLOCKS = ("comparison", "port_per_process", "shared_port")

Results = dict[tuple[str, str], list[Outcome]]


async def _measure_all(
    fleet: Fleet, plan: Plan, names: Sequence[str], faults: Sequence[str], rounds: int
) -> Results:
    found = await fleet.site()
    results: Results = {}
    try:
        for _number in range(rounds):
            for fault in faults:
                for name in names:
                    variant = VARIANTS[name]
                    await fleet.well()
                    target = await fleet.apply(variant, found)
                    outcome = await measure(
                        fleet, target, plan, FAULTS[fault], probed=variant.probed
                    )
                    results.setdefault((name, fault), []).append(outcome)
                    print(table({(name, fault): [outcome]}).splitlines()[-1], flush=True)
                    for failure, count in outcome.failures.most_common(3):
                        print(f"    {count} x {failure}", flush=True)
    finally:
        await fleet.restore(found)
    return results


def replace_block(page: str, name: str, block: str) -> str:
    """Give the page with another block between the comments that name it and end it."""
    begin, end = f"<!-- {name} -->\n", "<!-- end -->\n"
    head, found, rest = page.partition(begin)
    _old, ended, tail = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"the page has no block {name!r}")
    return f"{head}{begin}\n{block}\n{end}{tail}"


def missed(results: Results) -> list[str]:
    """What the role promises and did not keep: everybody is in, and no handshake failed."""
    return [
        f"{name}, {fault}: {one.connected} of {one.clients} connected, {one.failed} failed"
        for (name, fault), outcomes in results.items()
        for one in outcomes
        if name == "role" and (one.connected < one.clients or one.failed)
    ]


def _raise_file_limit(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise FleetError(f"{wanted} open files are needed, {hard} are allowed")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _parser() -> argparse.ArgumentParser:
    about = "; ".join(f"{name}: {variant.about}" for name, variant in VARIANTS.items())
    parser = argparse.ArgumentParser(
        prog="bench-front", description="Measure what faults do to clients.", epilog=about
    )
    parser.add_argument("--all", action="store_true", help="every set-up in every fault")
    parser.add_argument("--set-ups", nargs="+", choices=VARIANTS, default=["guide", "role"])
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=["restarts"])
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="medians of so many (1)")
    parser.add_argument(
        "--listen", choices=["port_per_process", "shared_port"], default="port_per_process"
    )
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="of a server (2)")
    parser.add_argument(
        "--keep",
        nargs="?",
        const="comparison",
        choices=BLOCKS,
        help=f"write the result to {PAGE.name}, as this table (comparison)",
    )
    parser.add_argument("--keep-hosts", action="store_true", help="for another run")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: 0, 1 if the role lost a client, 2 if it can't tell."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.all:
        options.set_ups, options.faults = list(VARIANTS), list(FAULTS)
    # However it is stopped, it removes its hosts.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    plan = Plan()
    try:
        _raise_file_limit(4 * plan.clients)
        fleet = start_hosts(options.listen, options.processes)
        results = asyncio.run(
            _measure_all(fleet, plan, options.set_ups, options.faults, options.rounds)
        )
    except (OSError, FleetError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        if not options.keep_hosts:
            remove_hosts()
    print(f"\n{table(results)}", flush=True)
    if options.keep:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(replace_block(page, options.keep, table(results)), encoding="utf-8")
        print(f"kept in {PAGE}")
    lost = missed(results)
    for line in lost:
        print(f"not as promised: {line}", file=sys.stderr)
    return 1 if lost else 0
