"""What a connection costs nginx; docs/front_door.md has the numbers."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Fleet, Server

    from .conftest import Door

CONNECTIONS = 800
# Measured: 56 with nginx 1.22, 66 with 1.26 and messages exchanged; most of it is OpenSSL's.
KIBIBYTES = 75


def memory(server: Server) -> int:
    """Return the memory of all of nginx's workers, in KiB, each shared page counted once."""
    script = "cat $(pgrep --full 'nginx: worker process' | sed 's#.*#/proc/&/smaps_rollup#')"
    return int(server.run(f"{script} | awk '/^Pss:/ {{sum += $2}} END {{print sum}}'"))


def test_a_connection_costs_nginx_little(fleet: Fleet, usual: Door) -> None:
    async def hold() -> int:
        async with usual.crowd(CONNECTIONS) as held:
            assert Counter(answer.status for answer in held) == {101: CONNECTIONS}
            return await asyncio.to_thread(memory, fleet["lb1"])

    # Workers that have had nobody yet.
    fleet["lb1"].run("systemctl restart nginx")
    before = memory(fleet["lb1"])
    each = (asyncio.run(hold()) - before) / CONNECTIONS
    print(f"{each:.1f} KiB a connection")
    assert each < KIBIBYTES
