"""Back to the release before, or to a named one, on both servers and with clients connected."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from conftest import Fleet, Run

ROLLBACK = "websockets.fleet.rollback"
SITE = "websockets.fleet.site"
HOSTS = ("app1", "app2")
CLIENTS = 20

# It passes the import check, and no process of it comes up.
FALLS_OVER = """
import sys

if "--check" not in sys.argv:
    sys.exit("out of order")
"""
OTHER_HANDLER = """
other = handler
"""

Version = Callable[..., Path]
Deploy = Callable[..., "Run"]


@pytest.fixture
def deploy(fleet: Fleet, version: Version) -> Deploy:
    """Return a function that deploys a version, labelled with its name, on both servers."""

    made: dict[str, Path] = {}

    def run(name: str, more: str = "", *arguments: str) -> Run:
        source = made.get(name) or made.setdefault(name, version(name, more))
        settings = f"app_source={source} app_version={name}-label app_keep_releases=3"
        return fleet.play(SITE, "--limit", "app_servers,localhost", "-e", settings, *arguments)

    return run


@pytest.fixture
def bad(deploy: Deploy) -> None:
    """Have a good version in service, and then a bad one."""
    for name in ("good", "bad"):
        run = deploy(name)
        assert run.code == 0, run.output


def links(fleet: Fleet) -> dict[str, dict[str, str]]:
    """Return the release that each link names, by host."""
    found = {}
    for host in HOSTS:
        lines = fleet[host].run("cd /opt/greet; find . -maxdepth 1 -type l -printf '%f %l\\n'")
        found[host] = {
            name: Path(target).name for name, target in map(str.split, lines.splitlines())
        }
    return found


def labels(fleet: Fleet, link: str) -> list[str]:
    """Return the label of the release that a link names, of each host; empty without a link."""
    command = f"cat /opt/greet/{link}/release.json 2>/dev/null || true"
    pattern = re.compile(r'"version": "(.*)"')
    found = [pattern.search(fleet[host].run(command)) for host in HOSTS]
    return [match[1] if match else "" for match in found]


def pids(fleet: Fleet) -> list[int]:
    return [fleet[host].main_pid(f"greet@{index}.service") for host in HOSTS for index in (1, 2)]


def running(fleet: Fleet) -> set[tuple[str, str]]:
    """Return the releases that the processes say they run."""
    return {(host, fleet[host].status(index)["release"]) for host in HOSTS for index in (1, 2)}


def current(fleet: Fleet) -> set[tuple[str, str]]:
    return {(host, names["current"]) for host, names in links(fleet).items()}


def words(run: Run) -> str:
    """Return the output on one line: callbacks wrap long ones."""
    return " ".join(run.output.split())


async def ask(connection: ClientConnection) -> str:
    await connection.send("which version are you?")
    return str(await asyncio.wait_for(connection.recv(), 5))


async def held_while(fleet: Fleet, play: Callable[[], Run]) -> tuple[Run, set[int], set[str]]:
    """Hold clients while a playbook runs; return it, their close codes, what they find then."""
    context = fleet.authority("lb1")
    clients = [await fleet.connect("lb1", context) for _number in range(CLIENTS)]
    assert {await ask(client) for client in clients} == {"bad"}
    run = await asyncio.to_thread(play)
    codes = set()
    for client in clients:
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(client.recv(), 10)
        codes.add(closed.value.rcvd.code if closed.value.rcvd else 1006)
    answers = set()
    for _client in clients:
        async with fleet.connect("lb1", context) as connection:
            answers.add(await ask(connection))
    return run, codes, answers


@pytest.mark.usefixtures("bad")
def test_clients_are_moved_back_and_site_deploys_the_bad_one_only_with_a_warning(
    fleet: Fleet, deploy: Deploy
) -> None:
    before = links(fleet)
    run, codes, answers = asyncio.run(held_while(fleet, lambda: fleet.play(ROLLBACK)))
    assert run.code == 0, run.output
    assert (codes, answers) == ({1001}, {"good"})
    after = {
        host: {"current": names["previous"], "rolled_back": names["current"]}
        for host, names in before.items()
    }
    assert links(fleet) == after
    assert running(fleet) == current(fleet)

    processes = pids(fleet)
    for playbook in ((ROLLBACK,), (ROLLBACK, "--check", "--diff")):
        again = fleet.play(*playbook)
        assert again.code == 0, again.output
        assert set(again.changed.values()) == {0}, again.output
        for host, names in after.items():
            told = (
                f"{host}: already rolled back from release {names['rolled_back']} (bad-label)"
                f" to {names['current']} (good-label)"
            )
            assert told in words(again)
    assert pids(fleet) == processes

    for arguments, verb in ((("--check",), "would be"), ((), "is")):
        forward = deploy("bad", "", *arguments)
        assert forward.code == 0, forward.output
        for host, names in after.items():
            told = (
                f"[WARNING]: {host}: runs release {names['current']} (good-label), rolled back from"
                f" {names['rolled_back']}; the inventory asks for {names['rolled_back']}"
                f" (bad-label), which {verb} deployed now"
            )
            assert told in words(forward)
        assert "is built" not in forward.output
    assert links(fleet) == before
    assert running(fleet) == current(fleet)


@pytest.mark.usefixtures("bad")
def test_check_mode_shows_a_rollback_and_makes_none(fleet: Fleet) -> None:
    before, processes = links(fleet), pids(fleet)
    run = fleet.play(ROLLBACK, "--check", "--diff")
    assert run.code == 0, run.output
    assert run.changed == dict.fromkeys(HOSTS, 1)
    for names in before.values():
        assert f"-greet@2.service: release {names['current']}" in run.output
        assert f"+greet@2.service: release {names['previous']}" in run.output
    assert (links(fleet), pids(fleet)) == (before, processes)


@pytest.mark.usefixtures("bad")
def test_a_name_that_is_unknown_changes_nothing_and_shows_what_is_there(fleet: Fleet) -> None:
    before, processes = links(fleet), pids(fleet)
    run = fleet.play(ROLLBACK, "-e", "rollback_release=nine")
    assert run.code != 0
    for host, names in before.items():
        told = f"{host}: there is no release nine on this host, by id or by app_version:"
        assert told in words(run)
        assert re.search(rf"{names['current']} \(bad-label\) built \S+ current", words(run))
        assert re.search(rf"{names['previous']} \(good-label\) built \S+ previous", words(run))
    assert (links(fleet), pids(fleet)) == (before, processes)


@pytest.mark.usefixtures("bad")
def test_a_release_is_named_by_label_or_by_the_id_that_any_server_has(fleet: Fleet) -> None:
    before = links(fleet)
    assert before["app1"]["current"] != before["app2"]["current"]
    for name, label in (("good-label", "good-label"), (before["app1"]["current"], "bad-label")):
        run = fleet.play(ROLLBACK, "-e", f"rollback_release={name}")
        assert run.code == 0, run.output
        assert labels(fleet, "current") == [label, label]
        assert running(fleet) == current(fleet)


@pytest.mark.usefixtures("bad")
def test_a_release_that_does_not_fit_the_configuration_is_refused(
    fleet: Fleet, deploy: Deploy
) -> None:
    assert deploy("other", OTHER_HANDLER, "-e", "app_handler=greet:other").code == 0
    before, processes = links(fleet), pids(fleet)
    run = fleet.play(ROLLBACK)
    assert run.code != 0
    for host, names in before.items():
        told = f"{host}: release {names['previous']} refuses the configuration on this host:"
        assert told in words(run)
    assert "other" in run.output
    assert (links(fleet), pids(fleet)) == (before, processes)


@pytest.mark.usefixtures("bad")
def test_a_rollback_that_is_killed_is_finished_by_the_same_command(fleet: Fleet) -> None:
    # What runs for one host outlives the command for a moment: it may still end its task there.
    for said in ("app1: restarting", "app2: restarting"):
        with subprocess.Popen(
            fleet.command(ROLLBACK), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            seen = next((line for line in process.stdout if said in line), "")
            process.send_signal(signal.SIGKILL)
        assert seen, f"it never said {said!r}"
    run = fleet.play(ROLLBACK)
    assert run.code == 0, run.output
    assert labels(fleet, "current") == ["good-label", "good-label"]
    assert labels(fleet, "rolled_back") == ["bad-label", "bad-label"]
    assert running(fleet) == current(fleet)
    assert set(fleet.play(ROLLBACK).changed.values()) == {0}


def test_after_a_deploy_that_failed_there_is_nothing_to_go_back_from(
    fleet: Fleet, deploy: Deploy
) -> None:
    # Three in a row, so that the second server has one to go back to as well.
    for name in ("good", "better"):
        assert deploy(name).code == 0
    failed = deploy("falls-over", FALLS_OVER)
    assert failed.code != 0
    assert "is the current one again" in words(failed)
    assert labels(fleet, "current") == ["better-label", "better-label"]
    processes = pids(fleet)
    run = fleet.play(ROLLBACK)
    assert run.code == 0, run.output
    assert set(run.changed.values()) == {0}, run.output
    assert re.search(r"app1: already rolled back from release \w+ \(falls-over-label\)", words(run))
    assert re.search(r"app2: stays on release \w+ \(better-label\)", words(run))
    assert pids(fleet) == processes
    assert labels(fleet, "current") == ["better-label", "better-label"]
