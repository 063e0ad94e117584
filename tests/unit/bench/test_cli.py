# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark as a whole: fair settings, one short round of it, and what it keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

import bare
from fleet_bench import cli
from fleet_bench.results import KINDS, Rate, Round, rows
from fleet_bench.servers import CONFIGURATION, Server, ServerError
from websockets_fleet import config, server

SHORT = cli.Plan(
    held=50,
    talking=4,
    message_turns=2,
    message_seconds=0.03,
    handshake_turns=1,
    handshake_seconds=0.03,
    at_once=4,
)


def comparable(settings: dict[str, object]) -> dict[str, object]:
    extensions = settings["extensions"]
    assert isinstance(extensions, list)
    for extension in extensions:
        assert isinstance(extension, ServerPerMessageDeflateFactory)
    return {**settings, "extensions": [vars(extension) for extension in extensions]}


def test_both_servers_have_the_same_settings() -> None:
    text = CONFIGURATION.format(event_loop="asyncio", port=8765, folder="/run")
    launched = server.serve_options(config.parse(text))
    assert comparable(launched) == comparable(bare.SETTINGS)


def test_one_short_round() -> None:
    one = cli.measure("asyncio", SHORT, KINDS)
    assert one.memory.keys() == set(KINDS)
    # A connection holds two compression contexts: tens of KiB, not bytes and not megabytes.
    assert all(10 < kib < 200 for kib in one.memory.values())
    for turns in (one.messages, one.handshakes):
        rates = [turn[kind] for turn in turns for kind in KINDS]
        assert all(rate.count > 0 for rate in rates)
        assert all(0 < rate.cpu_seconds <= 1.1 * rate.seconds for rate in rates)
    assert all(row.compared.median for row in rows([one]))


@pytest.mark.parametrize(("cpu", "doubted"), [(0.95, False), (0.3, True)])
def test_a_busy_machine_makes_the_numbers_doubtful(cpu: float, doubted: bool) -> None:
    turn = dict.fromkeys(KINDS, Rate(1000, 1.0, cpu))
    text = cli.conditions([Round("asyncio", {}, [turn], [turn])])
    assert ("measure again" in text) == doubted


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="event_loop"), Server("launched", "trio", tmp_path):
        pass


def test_the_end_of_a_page_is_replaced_and_nothing_else() -> None:
    page = f"# Words\n\n{cli.BEGIN}\nold numbers\n"
    once = cli.replace_block(page, "new numbers\n")
    assert once == f"# Words\n\n{cli.BEGIN}\nnew numbers\n"
    assert cli.replace_block(once, "new numbers\n") == once
    with pytest.raises(ValueError, match="no line"):
        cli.replace_block("# Words\n", "new numbers\n")


def test_the_page_has_a_place_for_the_numbers() -> None:
    assert cli.BEGIN in (cli.DOCS / "benchmark.md").read_text(encoding="utf-8")
