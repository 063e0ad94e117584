# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said to systemd, what a boot would start, and which release is the current one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.websockets.fleet.plugins.module_utils import (
    _converge,
    _instances,
    _release,
    _switch,
)
from ansible_collections.websockets.fleet.plugins.module_utils._converge import (
    Report,
    converge,
    enablement,
    preview,
    remove,
)
from ansible_collections.websockets.fleet.plugins.module_utils._instances import (
    Instance,
    Service,
    Systemd,
)
from ansible_collections.websockets.fleet.plugins.module_utils._switch import (
    Links,
    forward,
    links,
    make,
)

SERVICE = Service(
    name="chat",
    count=2,
    release="new",
    fingerprint="f2",
    launcher=True,
    listen="shared_port",
    bind="127.0.0.1",
    port=8765,
    health_path="",
    health_check="http",
    start_seconds=5,
)


class Host(Systemd):
    """Units and links in a folder, processes in a table, and a clock that sleeping moves."""

    def __init__(self, folder: Path) -> None:
        self.units = folder / "units"
        self.home = folder / "chat"
        for release in ("old", "new"):
            (self.home / "releases" / release).mkdir(parents=True)
            (self.home / "releases" / release / "release.json").write_text("{}")
        self.units.mkdir()
        self.said: list[str] = []
        self.found: dict[int, Instance] = {}
        self.fingerprint = "f2"
        self.time = 1000.0
        # What a process that is started comes to.
        self.outcome: Callable[[Instance], Instance] = lambda instance: replace(
            instance, active="active", sub="running", healthy=True
        )

    @property
    def release(self) -> str:
        return (self.home / "current").readlink().name

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        for index, instance in self.found.items():
            if instance.active == "activating":
                self.found[index] = self.outcome(instance)
            elif instance.active == "deactivating":
                self.found[index] = Instance(index)

    def observe(self, service: Service, systemd: Systemd) -> dict[int, Instance]:
        assert systemd is self
        wanted = {index: Instance(index) for index in range(1, service.count + 1)}
        return dict(sorted((wanted | self.found).items()))

    def run(self, *words: str, seconds: float = 120.0) -> str:
        assert seconds
        verb, names = words[0], [word for word in words[1:] if not word.startswith("-")]
        self.said.append(" ".join([verb, *names]))
        # A job that is waited for would hide the progress, and outlive the connection.
        assert verb not in {"start", "stop", "restart"} or "--no-block" in words
        for name in names:
            self._link(verb, name)
            if "@" not in name:
                continue
            index = int(name.removeprefix("chat@").removesuffix(".service"))
            if verb == "restart":
                self.found[index] = Instance(
                    index,
                    active="activating",
                    sub="start",
                    pid=index,
                    started=self.time,
                    release=self.release,
                    fingerprint=self.fingerprint,
                )
            elif verb == "stop":
                self.found[index] = replace(self.found[index], active="deactivating", healthy=False)
        return ""

    def _link(self, verb: str, name: str) -> None:
        wants = "multi-user.target.wants" if name == "chat.target" else "chat.target.wants"
        link = self.units / wants / name
        if verb == "enable":
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(self.units / name)
        elif verb == "disable":
            link.unlink()

    def journal(self, unit: str, lines: int = 12, source: str = "stdout") -> str:
        assert lines
        return f"last words of {unit} on {source}"

    def serve(self, *releases: str) -> None:
        """Be as an earlier run left it, each process on a release."""
        for index, release in enumerate(releases, 1):
            self.found[index] = Instance(
                index,
                "active",
                "running",
                pid=index,
                release=release,
                fingerprint="f2",
                healthy=True,
                started=1.0,
            )
        switch(releases[0])
        self.run("enable", "chat.target", *(f"chat@{index}.service" for index in self.found))
        self.said.clear()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    for module in (_release, _switch):
        monkeypatch.setattr(module, "home", lambda name: tmp_path / name)
    monkeypatch.setattr(_converge, "UNITS", made.units)
    monkeypatch.setattr(_instances, "UNITS", made.units)
    monkeypatch.setattr(_converge, "observe", made.observe)
    monkeypatch.setattr(_converge, "now", lambda: made.time)
    monkeypatch.setattr("time.sleep", made.sleep)
    return made


def switch(release: str) -> None:
    make("chat", forward(links("chat"), release))


def finish(host: Host, service: Service = SERVICE, *, rollback: bool = False) -> Report:
    """Call it as the action plugin does, until the end; return the last report."""
    report = Report()
    changed = False
    for _call in range(50):
        report = converge(
            service, host, report.attempted, 2, switched=report.switched, rollback=rollback
        )
        changed = changed or report.changed
        if report.done or report.failed:
            report.changed = changed
            return report
    raise AssertionError(report)


def link(host: Host, name: str) -> str:
    return str((host.home / name).readlink())


def test_a_first_run_starts_all_enables_all_and_a_second_says_nothing(host: Host) -> None:
    report = finish(host)
    assert (report.done, report.changed, report.failed) == (True, True, "")
    assert host.said == [
        "daemon-reload",
        "reset-failed chat@1.service chat@2.service",
        "restart chat@1.service chat@2.service",
        "daemon-reload",
        "enable chat@1.service chat@2.service chat.target",
        "start chat.target",
    ]
    assert link(host, "current") == "releases/new"
    assert not (host.home / "previous").exists()
    host.said.clear()
    report = finish(host)
    assert (report.done, report.changed, host.said) == (True, False, [])


def test_a_new_release_rolls_one_process_at_a_time(host: Host) -> None:
    host.serve("old", "old")
    assert finish(host).changed
    assert [words for words in host.said if words.startswith("restart")] == [
        "restart chat@1.service",
        "restart chat@2.service",
    ]
    assert {instance.release for instance in host.found.values()} == {"new"}
    assert (link(host, "current"), link(host, "previous")) == ("releases/new", "releases/old")


def test_units_are_read_again_before_anything_starts_from_them(host: Host) -> None:
    host.serve("old", "old")
    finish(host)
    for place, words in enumerate(host.said):
        if words.startswith("restart"):
            assert host.said[place - 2 : place] == [
                "daemon-reload",
                words.replace("restart", "reset-failed"),
            ]


def test_each_step_is_reported_when_it_begins(host: Host) -> None:
    host.serve("old", "old")
    report = converge(SERVICE, host, {}, 2)
    assert (report.progress, report.changed) == ("restarting chat@1.service on release new", True)
    assert (report.done, report.switched, report.attempted) == (False, True, {1: 1000.0})


def test_a_call_ends_when_its_time_is_up(host: Host) -> None:
    host.outcome = lambda instance: instance
    first = converge(SERVICE, host, {}, 2)
    began = host.time
    report = converge(SERVICE, host, first.attempted, 2)
    assert 2 <= host.time - began < 2.5
    assert (report.done, report.failed, report.changed) == (False, "", False)
    assert report.progress == "waiting for chat@1.service to be healthy"


def test_fewer_processes_stop_the_last_ones_and_leave_the_boot_without_them(host: Host) -> None:
    host.serve("new", "new", "new", "new")
    assert finish(host).changed
    assert host.said[:3] == [
        "stop chat@3.service chat@4.service",
        "daemon-reload",
        "disable chat@3.service chat@4.service",
    ]
    assert not any(host.found[index].running for index in (3, 4))
    assert enablement(SERVICE) == ([], [])


def test_a_boot_that_lost_its_units_is_mended_without_a_restart(host: Host) -> None:
    host.serve("new", "new")
    (host.units / "chat.target.wants" / "chat@2.service").unlink()
    assert preview(SERVICE, host)[0]
    report = finish(host)
    assert (report.done, report.changed) == (True, True)
    assert host.said == ["daemon-reload", "enable chat@2.service", "start chat.target"]


def crash(instance: Instance) -> Instance:
    return replace(
        instance, active="activating", sub="auto-restart", exit="exit-code (status 1)", pid=0
    )


def test_a_release_that_crashes_ends_the_run_with_its_last_words(host: Host) -> None:
    host.outcome = crash
    report = finish(host)
    assert not report.done
    assert "chat@1.service did not stay up: exit-code (status 1)" in report.failed
    assert "last words of chat@1.service on stdout" in report.failed
    assert "app_hardening" not in report.failed
    # There is nothing to go back to, and a boot starts nothing of it.
    assert link(host, "current") == "releases/new"
    assert not any(words.startswith("enable") for words in host.said)


def test_a_sandbox_that_systemd_cannot_set_up_is_named_in_its_words(host: Host) -> None:
    host.outcome = lambda instance: replace(crash(instance), exit="exit-code (status 226)")
    report = finish(host)
    assert "last words of chat@1.service on journal" in report.failed
    assert "app_hardening" in report.failed


def test_a_secret_among_the_last_words_does_not_show(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_converge, "secrets_of", lambda _name: {"KEY": "last words"})
    host.outcome = crash
    report = finish(host)
    assert "its last log lines:\n**** of chat@1.service" in report.failed


def test_a_release_that_no_process_runs_well_is_taken_back(host: Host) -> None:
    host.serve("old", "old")
    host.outcome = crash
    report = finish(host)
    assert "release old is the current one again" in report.failed
    assert links("chat") == Links(current="old", rolled_back="new")
    # The other one was not touched; this one is sent back to the old release.
    assert host.found[2].healthy
    assert [words for words in host.said if words.startswith("restart")] == [
        "restart chat@1.service",
        "restart chat@1.service",
    ]


def test_all_that_came_up_on_a_bad_release_are_sent_back(host: Host) -> None:
    host.serve("old", "old")
    # Both are down, and started together: the first one crashes, the second one is not well.
    host.found.clear()
    host.outcome = lambda instance: (
        crash(instance)
        if instance.index == 1
        else replace(instance, active="active", sub="running", healthy=False)
    )
    assert "release old is the current one again" in finish(host).failed
    assert host.said[-1] == "restart chat@1.service chat@2.service"


def test_a_switch_of_an_interrupted_run_is_taken_back_too(host: Host) -> None:
    host.serve("old", "old")
    # The run before this one was killed when it had switched and restarted nothing.
    switch("new")
    host.outcome = crash
    assert "release old is the current one again" in finish(host).failed
    assert link(host, "current") == "releases/old"


def test_a_release_that_some_process_runs_well_stays(host: Host) -> None:
    host.serve("new", "old")
    host.outcome = crash
    assert "current one again" not in finish(host).failed
    assert link(host, "current") == "releases/new"


def test_a_configuration_that_fails_does_not_take_the_release_back(host: Host) -> None:
    host.serve("old")
    finish(host, replace(SERVICE, count=1))
    host.fingerprint, host.outcome = "f3", crash
    report = finish(host, replace(SERVICE, count=1, fingerprint="f3"))
    assert "did not stay up" in report.failed
    assert (link(host, "current"), link(host, "previous")) == ("releases/new", "releases/old")


def test_a_unit_that_runs_something_else_is_no_endless_roll(host: Host) -> None:
    host.serve("new", "new")
    report = finish(host, replace(SERVICE, fingerprint="f3"))
    assert "was restarted and runs release new configuration f2" in report.failed
    assert host.said.count("restart chat@1.service") == 1


def test_one_late_answer_is_no_reason_to_lose_clients(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.serve("new", "new")
    host.found[2] = replace(host.found[2], healthy=False)
    looks: list[float] = []
    observe = host.observe

    def recovers(service: Service, systemd: Systemd) -> dict[int, Instance]:
        looks.append(host.time)
        if host.time > 1003:
            host.found[2] = replace(host.found[2], healthy=True)
        return observe(service, systemd)

    monkeypatch.setattr(_converge, "observe", recovers)
    report = finish(host)
    assert (report.done, report.changed, host.said) == (True, False, [])
    assert len(looks) > 2


def test_a_process_that_stays_unwell_is_restarted(host: Host) -> None:
    host.serve("new", "new")
    host.found[2] = replace(host.found[2], healthy=False)
    assert finish(host).done
    assert "restart chat@2.service" in host.said
    assert host.found[2].started >= 1010


def test_a_release_that_is_gone_is_not_taken_back_to(host: Host) -> None:
    host.serve("old", "old")
    (host.home / "releases" / "old" / "release.json").unlink()
    host.outcome = crash
    assert "current one again" not in finish(host).failed
    assert link(host, "current") == "releases/new"


# rollback

OLD = replace(SERVICE, release="old")


def test_a_rollback_rolls_one_process_at_a_time_and_is_noted(host: Host) -> None:
    host.serve("old", "old")
    finish(host)
    host.said.clear()
    assert preview(OLD, host, rollback=True)[0]
    assert finish(host, OLD, rollback=True).changed
    assert [words for words in host.said if words.startswith("restart")] == [
        "restart chat@1.service",
        "restart chat@2.service",
    ]
    assert {instance.release for instance in host.found.values()} == {"old"}
    assert links("chat") == Links(current="old", rolled_back="new")


def test_a_rollback_that_is_done_says_nothing(host: Host) -> None:
    host.serve("old", "old")
    finish(host)
    finish(host, OLD, rollback=True)
    host.said.clear()
    assert preview(OLD, host, rollback=True)[0] is False
    report = finish(host, OLD, rollback=True)
    assert (report.done, report.changed, host.said) == (True, False, [])
    # Nor does the inventory, where it asks for that release now.
    report = finish(host, OLD)
    assert (report.done, report.changed, host.said) == (True, False, [])
    assert links("chat") == Links(current="old", rolled_back="new")


def test_a_rollback_that_is_cut_off_anywhere_is_finished_by_the_next(host: Host) -> None:
    host.serve("old", "old")
    for calls in range(20):
        finish(host)
        report = Report()
        for _call in range(calls):
            report = converge(
                OLD, host, report.attempted, 2, switched=report.switched, rollback=True
            )
            if report.done:
                return
        assert finish(host, OLD, rollback=True).done
        assert {instance.release for instance in host.found.values()} == {"old"}
        assert links("chat") == Links(current="old", rolled_back="new")
    raise AssertionError("it never came to an end by itself")


def test_a_rollback_to_a_release_that_does_not_come_up_is_taken_back(host: Host) -> None:
    host.serve("old", "old")
    finish(host)
    host.outcome = crash
    report = finish(host, OLD, rollback=True)
    assert "chat@1.service did not stay up" in report.failed
    assert "release new is the current one again" in report.failed
    # As it was before: the same rollback once more tries the same once more.
    assert links("chat") == Links(current="new", previous="old")
    assert host.found[2].healthy
    assert host.found[2].release == "new"


def test_the_inventory_has_the_last_word(host: Host) -> None:
    host.serve("old", "old")
    finish(host)
    finish(host, OLD, rollback=True)
    assert finish(host).changed
    assert {instance.release for instance in host.found.values()} == {"new"}
    assert links("chat") == Links(current="new", previous="old")


# preview


def test_check_mode_says_what_a_run_would_change_and_changes_nothing(host: Host) -> None:
    host.serve("new", "old", "old")
    changed, before, after = preview(SERVICE, host)
    assert changed
    assert before.splitlines() == [
        "chat@1.service: release new configuration f2",
        "chat@2.service: release old configuration f2",
        "chat@3.service: release old configuration f2",
    ]
    assert after.splitlines() == [
        "chat@1.service: release new configuration f2",
        "chat@2.service: release new configuration f2",
    ]
    assert host.said == []
    finish(host)
    changed, before, after = preview(SERVICE, host)
    assert (changed, before) == (False, after)


# remove

ABSENT = replace(SERVICE, count=0, release="", fingerprint="")


def test_absent_stops_everything_at_once_and_then_says_nothing(host: Host) -> None:
    host.serve("new", "new", "new")
    assert preview(ABSENT, host)[0]
    report = remove(ABSENT, host, 5)
    assert (report.done, report.changed) == (True, True)
    assert host.said[0] == "disable chat@1.service chat@2.service chat@3.service chat.target"
    assert host.said[1] == "stop chat.target chat@1.service chat@2.service chat@3.service"
    assert preview(ABSENT, host) == (False, "", "")
    host.said.clear()
    report = remove(ABSENT, host, 5)
    assert (report.done, report.changed, host.said) == (True, False, [])


def test_absent_waits_for_a_drain_over_several_calls(host: Host) -> None:
    host.serve("new", "new")
    report = remove(ABSENT, host, 0)
    assert (report.done, report.changed) == (False, True)
    assert report.progress == "2 processes are stopping"
    report = remove(ABSENT, host, 5)
    assert (report.done, report.changed) == (True, False)
