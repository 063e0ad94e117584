# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release is the current one, whatever cuts a change of that off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.websockets.fleet.plugins.module_utils import _switch
from ansible_collections.websockets.fleet.plugins.module_utils._switch import (
    Links,
    Move,
    back,
    forward,
    links,
    make,
    settle,
    undo,
)

RELEASES = st.sampled_from("abc")
MAYBE = st.sampled_from(["", "a", "b", "c"])
# Whatever runs and cuts can leave, and more.
STATES = st.builds(Links, RELEASES, MAYBE, MAYBE)


def after(now: Links, moves: list[Move]) -> Links:
    for label, release in moves:
        now = now._replace(**{label: release})
    return now


def went_forward(now: Links, release: str) -> Links:
    now = after(now, forward(now, release))
    return after(now, settle(now))


def went_back(now: Links, release: str) -> Links:
    now = after(now, back(now, release))
    return after(now, settle(now))


def is_rolled_back(now: Links) -> bool:
    return now.rolled_back not in {"", now.current}


@pytest.mark.parametrize(
    ("before", "change", "expected"),
    [
        (Links(), lambda now: went_forward(now, "a"), Links("a")),
        (Links("a"), lambda now: went_forward(now, "b"), Links("b", "a")),
        (Links("b", "a"), lambda now: went_forward(now, "b"), Links("b", "a")),
        (Links("b", "a"), lambda now: went_back(now, "a"), Links("a", "", "b")),
        (Links("c", "b"), lambda now: went_back(now, "a"), Links("a", "", "c")),
        (Links("b", "", "c"), lambda now: went_back(now, "a"), Links("a", "", "b")),
        (Links("a", "", "b"), lambda now: went_back(now, "a"), Links("a", "", "b")),
        (Links("a", "", "b"), lambda now: went_forward(now, "a"), Links("a", "", "b")),
        (Links("a", "", "b"), lambda now: went_forward(now, "b"), Links("b", "a")),
        (Links("a", "", "b"), lambda now: went_forward(now, "c"), Links("c", "a")),
        # Two that were cut off: the inventory asks for the release that was to be left.
        (Links("b", "a", "b"), lambda now: went_forward(now, "b"), Links("b", "a")),
        (Links("b", "a", "b"), lambda now: went_back(now, "b"), Links("b", "a")),
    ],
)
def test_what_becomes_of_the_links(
    before: Links, change: Callable[[Links], Links], expected: Links
) -> None:
    assert change(before) == expected


@given(STATES, RELEASES)
def test_a_switch_ends_the_same_wherever_it_was_cut_off(now: Links, release: str) -> None:
    whole = went_forward(now, release)
    moves = forward(now, release)
    for cut in range(len(moves) + 1):
        assert went_forward(after(now, moves[:cut]), release) == whole


@given(STATES, RELEASES)
def test_a_rollback_ends_the_same_wherever_it_was_cut_off(now: Links, release: str) -> None:
    whole = went_back(now, release)
    switched = after(now, back(now, release))
    moves = [*back(now, release), *settle(switched)]
    for cut in range(len(moves) + 1):
        assert went_back(after(now, moves[:cut]), release) == whole


@given(STATES, RELEASES)
def test_a_new_release_never_looks_like_one_that_was_gone_back_to(now: Links, release: str) -> None:
    moves = forward(now, release)
    for cut in range(len(moves) + 1):
        left = after(now, moves[:cut])
        if left.current != now.current:
            assert not is_rolled_back(left)
            assert left.previous == now.current


@given(STATES, RELEASES)
def test_a_rollback_never_looks_like_a_new_release(now: Links, release: str) -> None:
    moves = back(now, release)
    for cut in range(len(moves) + 1):
        left = after(now, moves[:cut])
        if left.current != now.current:
            assert is_rolled_back(left)
        # Until the switch, the one to go back to is still there to be found.
        assert left.previous == now.previous


@given(STATES, RELEASES)
def test_a_rollback_that_fails_leaves_the_links_as_they_were(now: Links, release: str) -> None:
    switched = after(now, back(now, release))
    if switched.current == now.current:
        return
    moves = undo(switched)
    assert after(switched, moves) == now._replace(rolled_back="")
    # Cut off, it is a rollback that has yet to switch.
    assert after(switched, moves[:1]).rolled_back == now.current


def test_the_links_of_a_host_are_what_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_switch, "home", lambda name: tmp_path / name)
    home = tmp_path / "chat"
    home.mkdir()
    assert links("chat") == Links()
    (home / ".current").symlink_to("left by a run that was cut off")
    assert make("chat", forward(links("chat"), "a"))
    assert make("chat", forward(links("chat"), "b"))
    assert not make("chat", forward(links("chat"), "b"))
    assert links("chat") == Links("b", "a")
    assert str((home / "current").readlink()) == "releases/b"
    assert make("chat", [*back(links("chat"), "a"), ("previous", "")])
    assert links("chat") == Links("a", "", "b")
    assert sorted(path.name for path in home.iterdir()) == ["current", "rolled_back"]
