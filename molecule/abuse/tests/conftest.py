"""The Internet: a thousand clients that behave, and those who don't."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fleet, Server

CLIENTS = 1000
NOTES = "/run/crowd.txt"
# What latencies are compared by: so many seconds, some 2,000 messages.
SLICE = 4.0
# How often an abuse is done until all is as it should be.
TRIES = 3


@dataclass
class Result:
    """What an abuse did to those who behave, and what the attacker saw."""

    windows: dict[str, list[tuple[float, float]]]
    seen: Counter[str]
    facts: dict[str, list[float]]
    # When, and how long it took.
    echoes: list[tuple[float, float]]
    # When, how long it took, the status.
    newcomers: list[tuple[float, float, str]]
    cut: list[str]

    def worst(self, kind: str) -> float:
        """Return the 99th percentile of the latency: the middle one of those of all slices."""
        found = []
        for began, ended in self.windows[kind]:
            slices = max(1, int((ended - began) / SLICE))
            each = (ended - began) / slices
            for number in range(slices):
                first = began + number * each
                seconds = sorted(s for when, s in self.echoes if first <= when - s < first + each)
                # 1,000 clients send one in two seconds. Some may be late.
                assert len(seconds) > 0.5 * CLIENTS * each / 2
                found.append(seconds[int(0.99 * len(seconds))])
        return median(found)

    def came(self) -> list[tuple[float, str]]:
        """Return how long who came during the attacks took, and what they were told."""
        return [
            (seconds, status)
            for when, seconds, status in self.newcomers
            if any(began <= when - seconds <= ended for began, ended in self.windows["attack"])
        ]

    def assert_nobody_else_notices(self) -> None:
        """Latency stays within twice that of quiet."""
        quiet, attacked = self.worst("quiet"), self.worst("attack")
        print(f"p99 quiet {quiet * 1000:.1f} ms, attacked {attacked * 1000:.1f} ms")
        assert attacked <= 2 * quiet


class Internet:
    """The host that is the Internet."""

    def __init__(self, fleet: Fleet) -> None:
        self.server: Server = fleet["internet"]
        self.load_balancer = fleet["lb1"].address
        self.network = self.load_balancer.rpartition(".")[0]

    def notes(self) -> list[list[str]]:
        """Return what those who behave have seen."""
        return [line.split(maxsplit=2) for line in self.server.run(f"cat {NOTES}").splitlines()]

    def gather(self) -> None:
        """Start the thousand, and wait until all are there."""
        self.server.run(
            # One may be left of a verification that was killed.
            f"systemctl stop crowd || true; rm -f {NOTES};"
            " systemd-run --quiet --collect --unit=crowd --property=LimitNOFILE=4096"
            f" python3 /root/crowd.py {self.load_balancer} {self.network} {NOTES}"
        )
        deadline = time.monotonic() + 120
        while self.server.host.run(f"grep --quiet ready {NOTES}").rc:
            assert time.monotonic() < deadline, self.server.run("journalctl --unit=crowd")
            time.sleep(1)

    def attack(
        self,
        kind: str,
        check: Callable[[Result], None],
        rounds: int = 3,
        quiet: int = 4,
        **options: int,
    ) -> None:
        """Do one abuse in turn with quiet: nobody else notices, and what came of it is right.

        It is done again where it is not: what the attack does it does every time, what something
        else on this machine does it does not. Who is cut does not come back: that is final.
        """
        for attempt in range(1, TRIES + 1):
            result = self.attack_once(kind, rounds, quiet, **options)
            print(f"the attacker saw {dict(result.seen)}")
            assert result.cut == []
            try:
                result.assert_nobody_else_notices()
                check(result)
            except AssertionError as wrong:
                if attempt == TRIES:
                    raise
                print(f"once more, because of: {wrong}")
            else:
                return

    def attack_once(self, kind: str, rounds: int, quiet: int, **options: int) -> Result:
        """Do it once."""
        words = {"rounds": rounds, "quiet": quiet, **options}
        said = self.server.run(
            "systemd-run --quiet --pipe --wait --collect --property=RuntimeMaxSec=300"
            f" python3 /root/attack.py {kind} {self.load_balancer} {self.network} "
            + " ".join(f"{name}={value}" for name, value in words.items())
        )
        # The last newcomers of an attack have come or given up since, and that is written down.
        time.sleep(2)
        notes = self.notes()
        report = json.loads(said.splitlines()[-1])
        return Result(
            windows=report["windows"],
            seen=Counter(report["seen"]),
            facts=report["facts"],
            echoes=[(float(note[1]), float(note[2])) for note in notes if note[0] == "echo"],
            newcomers=[
                (float(when), float(words.split()[0]), words.split()[1])
                for what, when, words in (note for note in notes if note[0] == "newcomer")
            ],
            cut=[" ".join(note) for note in notes if note[0] == "cut"],
        )


def prefer(server: Server, processes: str) -> None:
    """Let some processes go before all others of this machine."""
    server.run(
        f"for pid in {processes}; do renice -n -10 $pid;"
        # Where the kernel weighs sessions and not processes.
        " [ ! -e /proc/$pid/autogroup ] || echo -10 > /proc/$pid/autogroup; done"
    )


@pytest.fixture(scope="session")
def internet(fleet: Fleet) -> Iterator[Internet]:
    """The Internet, with a thousand clients connected who say something every two seconds.

    Attackers have machines of their own, and here they share the fleet's CPUs: what they need to
    attack must not count. So the fleet and its clients go before them.
    """
    found = Internet(fleet)
    try:
        found.gather()
        prefer(fleet["lb1"], "$(pgrep nginx)")
        prefer(fleet["app1"], "$(systemctl show --property=MainPID --value echo@1 echo@2)")
        prefer(found.server, "$(systemctl show --property=MainPID --value crowd)")
        yield found
    finally:
        found.server.host.run("systemctl stop crowd")
