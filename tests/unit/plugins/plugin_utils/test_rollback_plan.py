# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each host of a fleet goes back to, whatever runs had ended early."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.websockets.fleet.plugins.plugin_utils._rollback_plan import rollback_plan

BUILT = {"v1": "2026-11-01", "v2": "2026-11-02", "v3": "2026-11-03"}


def release(host: str, inputs: str, **flags: bool) -> dict[str, Any]:
    """A release as one host has it: the id is the host's own, the inputs are the fleet's."""
    return {
        "release": f"{host}-{inputs}",
        "version": {"v1": "1.1", "v2": "1.2", "v3": "1.2"}[inputs],
        "inputs": inputs,
        "built": BUILT[inputs],
        "python": "/usr/bin/python3",
        "current": False,
        "previous": False,
        "rolled_back": False,
        "in_use": False,
        **flags,
    }


def info(host: str, current: str, previous: str = "", rolled_back: str = "") -> dict[str, Any]:
    """What release_info says of a host that has v1, v2 and v3."""
    links = {"current": current, "previous": previous, "rolled_back": rolled_back}
    found = [
        release(host, inputs, **{label: True for label, name in links.items() if name == inputs})
        for inputs in ("v3", "v2", "v1")
    ]
    return {"releases": found, "processes": 2, "fingerprint": "f1"}


def fleet(**links: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    return {host: info(host, *names) for host, names in links.items()}


@pytest.mark.parametrize(
    ("hosts", "goals"),
    [
        # Everything is deployed.
        ({"a": ("v3", "v2"), "b": ("v3", "v2")}, "v2 v2"),
        # Each by its own history.
        ({"a": ("v3", "v1"), "b": ("v3", "v2")}, "v1 v2"),
        # The deploy came to the first host only, or failed there and was taken back.
        ({"a": ("v3", "v2"), "b": ("v2", "v1")}, "v2 v2"),
        ({"a": ("v2", "", "v3"), "b": ("v2", "v1")}, "v2 v2"),
        # A host that has no other release has not seen the bad one either.
        ({"a": ("v3", "v2"), "b": ("v2", "")}, "v2 v2"),
        # A rollback that ended before it came to the second, or in the middle of the first.
        ({"a": ("v2", "", "v3"), "b": ("v3", "v2")}, "v2 v2"),
        ({"a": ("v2", "v2", "v3"), "b": ("v3", "v2")}, "v2 v2"),
        ({"a": ("v3", "v2", "v3"), "b": ("v3", "v2")}, "v2 v2"),
        # All of it is done.
        ({"a": ("v2", "", "v3"), "b": ("v2", "", "v3")}, "v2 v2"),
        ({"a": ("v2", "", "v3")}, "v2"),
    ],
)
def test_without_a_name_no_host_goes_further_back_than_the_others(
    hosts: dict[str, tuple[str, ...]], goals: str
) -> None:
    plan = rollback_plan(fleet(**hosts), "")
    assert {host: way.fault for host, way in plan.items()} == dict.fromkeys(hosts, "")
    assert [way.release for way in plan.values()] == [
        f"{host}-{goal}" for host, goal in zip(hosts, goals.split(), strict=True)
    ]


def test_each_host_says_what_it_does() -> None:
    hosts = fleet(a=("v3", "v2"), b=("v2", "v1"), c=("v2", "", "v3"))
    plan = rollback_plan(hosts, "")
    assert plan["a"].text == "goes back from release a-v3 (1.2) to a-v2 (1.2)"
    assert plan["b"].text == "stays on release b-v2 (1.2), which other hosts go back to"
    assert plan["c"].text == (
        "already rolled back from release c-v3 (1.2) to c-v2 (1.2); "
        "name one to go further back: -e rollback_release=<id or app_version>"
    )
    assert rollback_plan(hosts, "1.2")["a"].text == "runs release a-v3 (1.2) already"


@pytest.mark.parametrize(
    ("name", "goals"),
    [
        ("1.1", ["a-v1", "b-v1"]),
        # Of two with one label, the newest.
        ("1.2", ["a-v3", "b-v3"]),
        ("a-v1", ["a-v1", "b-v1"]),
        ("b-v2", ["a-v2", "b-v2"]),
    ],
)
def test_a_name_means_the_same_on_every_host(name: str, goals: list[str]) -> None:
    plan = rollback_plan(fleet(a=("v3", "v2"), b=("v2", "", "v3")), name)
    assert [way.release for way in plan.values()] == goals


def test_a_name_that_is_a_label_and_an_id_is_the_id() -> None:
    hosts = fleet(a=("v3", "v2"))
    hosts["a"]["releases"][0]["version"] = "a-v1"
    assert rollback_plan(hosts, "a-v1")["a"].release == "a-v1"


def test_an_unknown_name_is_answered_with_what_is_there() -> None:
    hosts = fleet(a=("v2", "", "v3"))
    hosts["a"]["releases"][2]["version"] = ""
    way = rollback_plan(hosts, "2.0")["a"]
    assert way.release == ""
    assert way.fault.splitlines() == [
        "there is no release 2.0 on this host, by id or by app_version:",
        "  a-v3 (1.2)  built 2026-11-03  rolled back",
        "  a-v2 (1.2)  built 2026-11-02  current",
        "  a-v1  built 2026-11-01",
    ]


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ({"a": ("v1",)}, "there is no release to go back to; name one"),
        ({"a": ("v2", "v2")}, "there is no release to go back to; name one"),
        # The one before was removed by hand.
        ({"a": ("v2", "gone")}, "there is no release to go back to; name one"),
        ({"a": ("v3", "v2"), "b": ("v2", "v3")}, "the hosts have each other's release to go back"),
    ],
)
def test_where_nothing_tells_the_way_a_name_is_asked_for(
    hosts: dict[str, tuple[str, ...]], words: str
) -> None:
    for host, way in rollback_plan(fleet(**hosts), "").items():
        assert way.release == ""
        assert way.fault.startswith(words)
        assert f"  {host}-v1 (1.1)  built 2026-11-01" in way.fault


@pytest.mark.parametrize("change", [{"processes": 0}, {"fingerprint": ""}])
@pytest.mark.parametrize("name", ["", "1.1"])
def test_a_host_without_the_application_in_service_is_refused(
    change: dict[str, Any], name: str
) -> None:
    hosts = fleet(a=("v3", "v2"), b=("v3", "v2"))
    hosts["b"].update(change)
    plan = rollback_plan(hosts, name)
    assert plan["a"].fault == ""
    assert plan["b"].fault.startswith("the application is not in service on this host")


def other_inputs(info: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    """Make a host build from other inputs, such as a wheelhouse, under labels."""
    found = [
        own | {"inputs": f"wheels-{own['inputs']}", "version": labels[own["inputs"]]}
        for own in info["releases"]
    ]
    return info | {"releases": found}


@pytest.mark.parametrize(
    ("labels", "goals"),
    [
        # Labels that tell releases apart mean the same release on every host.
        ({"v1": "1.1", "v2": "1.2", "v3": "1.3"}, ["a-v2", "b-v2"]),
        # One label for all says nothing: each host by its own history.
        ({"v1": "1.1", "v2": "1.2", "v3": "1.2"}, ["a-v2", "b-v1"]),
    ],
)
def test_a_label_tells_a_release_where_hosts_have_other_inputs(
    labels: dict[str, str], goals: list[str]
) -> None:
    hosts = fleet(a=("v2", "", "v3"), b=("v2", "v1"))
    hosts["a"] = other_inputs(hosts["a"], labels)
    for own in hosts["b"]["releases"]:
        own["version"] = labels[own["inputs"]]
    assert [way.release for way in rollback_plan(hosts, "").values()] == goals
