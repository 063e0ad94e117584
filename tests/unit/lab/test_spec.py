# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab's description, and the names that derive from its identity."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet_lab.spec import (
    Host,
    Identity,
    SpecError,
    host_from_argument,
    hosts_from_arguments,
    hosts_from_platforms,
)

HERE = Identity(Path("/home/a/fleet"), "default")


def test_names_are_stable() -> None:
    assert HERE.digest == Identity(Path("/home/a/fleet"), "default").digest


@pytest.mark.parametrize(
    "other",
    [Identity(Path("/home/a/fleet"), "one_host"), Identity(Path("/home/b/fleet"), "default")],
    ids=["another name", "another checkout"],
)
def test_two_labs_share_no_name(other: Identity) -> None:
    for name in ("folder", "bridge", "table"):
        assert getattr(HERE, name) != getattr(other, name)
    assert HERE.machine("app1") != other.machine("app1")


def test_the_kernel_takes_the_bridges_name() -> None:
    assert len(Identity(Path("/x"), "a" * 31).bridge) <= 15


@pytest.mark.parametrize("name", ["", "Default", "1st", "a b", "../x", "a" * 32])
def test_a_lab_name_that_names_nothing_safely_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="lab name"):
        Identity(Path("/x"), name)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("box=debian13", Host("box", "debian13")),
        ("lb1=debian12:load_balancers", Host("lb1", "debian12", ("load_balancers",))),
        ("a=debian12:x,y", Host("a", "debian12", ("x", "y"))),
        ("a=debian12:x:no-internet", Host("a", "debian12", ("x",), internet=False)),
        ("a=debian12::no-internet", Host("a", "debian12", (), internet=False)),
    ],
)
def test_a_host_on_the_command_line(text: str, host: Host) -> None:
    assert host_from_argument(text) == host


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("box", "write NAME=IMAGE"),
        ("a=debian12:x:offline", "write NAME=IMAGE"),
        ("a=debian12:x:no-internet:y", "write NAME=IMAGE"),
        ("a=debian11", "image 'debian11' is none of debian12, debian13"),
        ("A=debian12", "host name 'A'"),
        ("a=debian12:app-servers", "group 'app-servers'"),
    ],
)
def test_a_wrong_host_on_the_command_line_is_named(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        host_from_argument(text)


def test_the_platforms_of_a_scenario() -> None:
    platforms = [
        {"name": "app1", "image": "debian12", "groups": ["app_servers"]},
        {"name": "app2", "image": "debian13", "internet": False},
    ]
    assert hosts_from_platforms(json.dumps(platforms)) == [
        Host("app1", "debian12", ("app_servers",)),
        Host("app2", "debian13", internet=False),
    ]


@pytest.mark.parametrize(
    ("platforms", "message"),
    [
        ({"name": "a"}, "a list of hosts"),
        (["a"], "a list of hosts"),
        ([{"name": "a"}], "image is missing"),
        ([{"image": "debian12"}], "name is missing"),
        ([{"name": "a", "image": "debian12", "memory": 1}], "unknown key memory"),
        ([{"name": "a", "image": "debian12", "internet": "no"}], "neither true nor false"),
        ([], "0 hosts"),
        ([{"name": "a", "image": "debian12"}] * 2, "host a is described twice"),
    ],
)
def test_wrong_platforms_are_refused(platforms: object, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        hosts_from_platforms(json.dumps(platforms))


def test_a_host_survives_being_written_down() -> None:
    [host] = hosts_from_arguments(["a=debian12:x,y:no-internet"])
    assert Host.from_record(json.loads(json.dumps(host.as_record()))) == host
