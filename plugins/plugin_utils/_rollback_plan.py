# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each host of a fleet goes back to. Private."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Way", "rollback_plan"]

Release = Mapping[str, Any]
FURTHER = "name one to go further back: -e rollback_release=<id or app_version>"


@dataclass(frozen=True)
class Way:
    """What a rollback does on one host."""

    release: str = ""
    """The release that the host runs then; empty where there is a fault."""
    text: str = ""
    fault: str = ""


def _words(release: Release) -> str:
    version = f" ({release['version']})" if release["version"] else ""
    return f"{release['release']}{version}"


def _listed(releases: Sequence[Release]) -> str:
    """Return a line for each release."""
    lines = []
    for release in releases:
        flags = [
            words
            for key, words in (
                ("current", "current"),
                ("previous", "previous"),
                ("rolled_back", "rolled back"),
            )
            if release[key]
        ]
        line = f"  {_words(release)}  built {release['built']}"
        lines.append(f"{line}  {', '.join(flags)}".rstrip())
    return "\n".join(lines)


def _marked(releases: Sequence[Release], flag: str) -> Release | None:
    return next((release for release in releases if release[flag]), None)


def _inputs(release: Release) -> str:
    """Return what tells the same release on hosts with other interpreters."""
    return str(release["inputs"] or release["release"])


def _same(hosts: Mapping[str, Sequence[Release]], one: Release, other: Release) -> bool:
    """Return whether two releases, of different hosts, are the same one to people.

    They have the same inputs, or the same label where labels tell the releases of each host apart:
    a server with a wheelhouse has other inputs than one that asks an index.
    """
    if _inputs(one) == _inputs(other):
        return True
    if not one["version"] or one["version"] != other["version"]:
        return False
    labels = [[release["version"] for release in releases] for releases in hosts.values()]
    return all(own.count(one["version"]) <= 1 for own in labels)


def _named(hosts: Mapping[str, Sequence[Release]], host: str, name: str) -> Release | None:
    """Return the release of a host that a name means: its id, or its id elsewhere, or its label."""
    own = hosts[host]
    everywhere = [release for releases in hosts.values() for release in releases]
    meant = [release for release in everywhere if release["release"] == name]
    for matches in (
        lambda release: release["release"] == name,
        lambda release: any(_same(hosts, release, other) for other in meant),
        lambda release: release["version"] == name,
    ):
        found = next(filter(matches, own), None)
        if found:
            return found
    return None


def _going(current: Release | None, goal: Release) -> Way:
    if current is None:
        return Way(goal["release"], f"goes to release {_words(goal)}")
    if current["release"] == goal["release"]:
        return Way(goal["release"], f"runs release {_words(goal)} already")
    text = f"goes back from release {_words(current)} to {_words(goal)}"
    return Way(goal["release"], text)


def _unnamed(releases: Sequence[Release]) -> tuple[Release | None, Release | None]:
    """Return what a host by itself goes back to, and what it has left for that already."""
    current = _marked(releases, "current")
    left = _marked(releases, "rolled_back")
    if current and left and left is not current:
        return current, left
    previous = _marked(releases, "previous")
    return (None if previous is current else previous), None


def _by_itself(hosts: Mapping[str, Sequence[Release]]) -> dict[str, Way]:
    """Return the ways where no release is named.

    A deploy may have ended before it came to all hosts. One that runs what another one goes back to
    has not seen the bad release, and stays.
    """
    goals = {host: _unnamed(releases) for host, releases in hosts.items()}
    ways, stays = {}, set()
    for host, releases in hosts.items():
        goal, left = goals[host]
        current = _marked(releases, "current")
        elsewhere = [other for name, (other, _left) in goals.items() if other and name != host]
        if goal and left:
            text = f"already rolled back from release {_words(left)} to {_words(goal)}; {FURTHER}"
            ways[host] = Way(goal["release"], text)
        elif current and any(_same(hosts, current, other) for other in elsewhere):
            stays.add(host)
            text = f"stays on release {_words(current)}, which other hosts go back to"
            ways[host] = Way(current["release"], text)
        elif goal:
            ways[host] = _going(current, goal)
        else:
            fault = f"there is no release to go back to; {FURTHER}\n{_listed(releases)}"
            ways[host] = Way(fault=fault)
    if len(stays) == len(hosts):
        fault = f"the hosts have each other's release to go back to; {FURTHER}"
        return {host: Way(fault=f"{fault}\n{_listed(own)}") for host, own in hosts.items()}
    return ways


def rollback_plan(hosts: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, Way]:
    """Return what a rollback does on each host, from what release_info told of it.

    ``name`` is the identity of a release on any of the hosts, or the label that it was built with;
    empty for the release before.
    """
    releases = {host: info["releases"] for host, info in hosts.items()}
    if name:
        ways = {}
        for host, own in releases.items():
            goal = _named(releases, host, name)
            fault = f"there is no release {name} on this host, by id or by app_version:"
            ways[host] = (
                _going(_marked(own, "current"), goal)
                if goal
                else Way(fault=f"{fault}\n{_listed(own)}")
            )
    else:
        ways = _by_itself(releases)
    for host, info in hosts.items():
        if not info["processes"] or not info["fingerprint"]:
            fault = (
                "the application is not in service on this host; websockets.fleet.site does that"
            )
            ways[host] = Way(fault=fault)
    return ways
