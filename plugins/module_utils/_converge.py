# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the processes of one application on one host to their desired state. Private."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.websockets.fleet.plugins.module_utils._instances import (
    UNITS,
    Decision,
    Instance,
    Service,
    Systemd,
    SystemdError,
    decide,
    enabled,
    now,
    observe,
    sandbox_words,
    secrets_of,
    was_started,
)
from ansible_collections.websockets.fleet.plugins.module_utils._mask import mask
from ansible_collections.websockets.fleet.plugins.module_utils._release import find
from ansible_collections.websockets.fleet.plugins.module_utils._switch import (
    Move,
    back,
    forward,
    links,
    make,
    settle,
    undo,
)

__all__ = ["Report", "converge", "enablement", "preview", "remove"]

POLL_SECONDS = 0.2
# A busy process may answer late once; it has clients, and its watchdog knows better.
PATIENCE_SECONDS = 10.0


@dataclass
class Report:
    """What one call did and how far it came."""

    done: bool = False
    failed: str = ""
    changed: bool = False
    progress: str = ""
    attempted: dict[int, float] = field(default_factory=dict)
    switched: bool = False
    """Whether this run, in this call or one before, made the release the current one."""
    found: Mapping[int, Instance] = field(default_factory=dict)


def _moves(service: Service, *, rollback: bool) -> list[Move]:
    """Return how the service's release becomes the current one."""
    return (back if rollback else forward)(links(service.name), service.release)


def _switch(service: Service, report: Report, *, rollback: bool) -> bool:
    """Make the service's release the current one; return whether that changed anything."""
    moves = _moves(service, rollback=rollback)
    report.switched = any(label == "current" for label, _release in moves) or report.switched
    return make(service.name, moves)


def enablement(service: Service) -> tuple[list[str], list[str]]:
    """Return the units to enable and to disable, so that a boot starts what is wanted."""
    now_enabled = {service.unit(index) for index in enabled(service.name)}
    wanted = {service.unit(index) for index in range(1, service.count + 1)}
    enable = sorted(wanted - now_enabled)
    disable = sorted(now_enabled - wanted)
    target = f"{service.name}.target"
    starts = os.path.lexists(UNITS / "multi-user.target.wants" / target)
    if service.count and not starts:
        enable.append(target)
    if starts and not service.count:
        disable.append(target)
    return enable, disable


def preview(
    service: Service, systemd: Systemd, *, new_secrets: bool = False, rollback: bool = False
) -> tuple[bool, str, str]:
    """Return whether a run would change anything, and the processes before and after it.

    ``new_secrets`` says that other secrets would land before that run.
    """
    found = observe(service, systemd)
    before, after = [], []
    for index, instance in found.items():
        unit = service.unit(index)
        running = f"{unit}: release {instance.release} configuration {instance.fingerprint}\n"
        if new_secrets or not instance.secrets:
            running = running.replace("\n", " old secrets\n")
        if instance.running:
            before.append(running)
        if index <= service.count:
            after.append(f"{unit}: release {service.release} configuration {service.fingerprint}\n")
    changed = before != after or any(enablement(service))
    if service.count:
        moves = _moves(service, rollback=rollback) or settle(links(service.name))
        changed = changed or bool(moves)
    return changed, "".join(before), "".join(after)


def _act(
    service: Service, systemd: Systemd, decision: Decision, report: Report, *, rollback: bool
) -> None:
    units = [service.unit(index) for index in decision.indices]
    if decision.step == "restart":
        _switch(service, report, rollback=rollback)
        systemd.run("daemon-reload")
        # Restarts of an earlier, bad life do not count against this one. Not all may be known.
        with contextlib.suppress(SystemdError):
            systemd.run("reset-failed", *units)
        systemd.run("restart", "--no-block", *units)
    else:
        systemd.run("stop", "--no-block", *units)


def _finish(service: Service, systemd: Systemd, report: Report, *, rollback: bool) -> bool:
    """Make a boot start what runs now; return whether that changed anything."""
    changed = _switch(service, report, rollback=rollback)
    changed = make(service.name, settle(links(service.name))) or changed
    enable, disable = enablement(service)
    if enable or disable:
        systemd.run("daemon-reload")
    if disable:
        systemd.run("disable", "--quiet", *disable)
    if enable:
        systemd.run("enable", "--quiet", *enable)
        # Every process is up by now: this only makes the target say so.
        systemd.run("start", "--no-block", f"{service.name}.target")
    return changed or bool(enable or disable)


def _fail(
    service: Service, systemd: Systemd, decision: Decision, report: Report, *, rollback: bool
) -> None:
    """Note the failure and, where nothing runs well on the release, take the switch back."""
    report.failed = decision.text
    for index in decision.indices:
        exit_words = report.found[index].exit
        if was_started(exit_words):
            journal = systemd.journal(service.unit(index))
        else:
            journal = systemd.journal(service.unit(index), 3, "journal")
        journal = mask(journal, secrets_of(service.name).values())
        if journal:
            report.failed += f"\nits last log lines:\n{journal}"
        hint = sandbox_words(exit_words, journal)
        if hint:
            report.failed += f"\n{hint}"
    survivors = [
        instance
        for instance in report.found.values()
        if instance.healthy and instance.release == service.release
    ]
    state = links(service.name)
    before = state.rolled_back if rollback else state.previous
    if survivors or state.current != service.release or before in {"", service.release}:
        return
    # An interrupted run may have switched, and this one found it done.
    runs = any(
        instance.running and instance.release == before for instance in report.found.values()
    )
    if not (report.switched or runs) or not find(service.name, before):
        return
    with contextlib.suppress(OSError, SystemdError):
        make(service.name, undo(state) if rollback else back(state, before))
        make(service.name, settle(links(service.name)))
        report.failed += f"\nrelease {before} is the current one again"
        # Those that are up on the release that failed, and not well, would stay on it.
        unwell = {i.index for i in report.found.values() if i.release == service.release}
        indices = sorted(unwell | set(decision.indices))
        systemd.run("restart", "--no-block", *(service.unit(index) for index in indices))


def _late(service: Service, decision: Decision, found: Mapping[int, Instance]) -> bool:
    """Return whether the step would restart a process for its health alone."""
    instances = [found[index] for index in decision.indices]
    return decision.step == "restart" and any(
        instance.active == "active" and instance.runs(service) for instance in instances
    )


def converge(
    service: Service,
    systemd: Systemd,
    attempted: Mapping[int, float],
    seconds: float,
    *,
    switched: bool = False,
    rollback: bool = False,
) -> Report:
    """Work towards the desired state for at most about ``seconds``, then report.

    Called again with the ``attempted`` and ``switched`` of the report it carries on. Every call
    looks afresh at what runs, so it can be interrupted anywhere. ``rollback`` says that the release
    is one to go back to.
    """
    report = Report(attempted=dict(attempted), switched=switched)
    began = now()
    deadline = began + seconds
    while True:
        report.found = observe(service, systemd)
        decision = decide(service, report.found, report.attempted, now())
        report.progress = decision.text
        if decision.step == "done":
            report.changed = _finish(service, systemd, report, rollback=rollback) or report.changed
            report.done = True
            return report
        if decision.step == "failed":
            _fail(service, systemd, decision, report, rollback=rollback)
            return report
        if _late(service, decision, report.found) and now() < began + PATIENCE_SECONDS:
            time.sleep(POLL_SECONDS)
            continue
        if decision.step != "wait":
            _act(service, systemd, decision, report, rollback=rollback)
            report.changed = True
            if decision.step == "restart":
                report.attempted.update(dict.fromkeys(decision.indices, now()))
            return report
        if now() >= deadline:
            return report
        time.sleep(POLL_SECONDS)


def remove(service: Service, systemd: Systemd, seconds: float) -> Report:
    """Stop every process, all at once, and let no boot start one."""
    report = Report()
    deadline = now() + seconds
    target = f"{service.name}.target"
    _enable, disable = enablement(service)
    if disable:
        systemd.run("disable", "--quiet", *disable)
        report.changed = True
    while True:
        report.found = observe(service, systemd)
        running = [instance for instance in report.found.values() if instance.running]
        if not running:
            # The target and the slice stay active without a process, and without their files.
            slice_name = service.name.replace("-", r"\x2d") + ".slice"
            left = [unit for unit in (target, slice_name) if (UNITS / unit).exists()]
            if left:
                systemd.run("stop", *left)
            failed = [i.index for i in report.found.values() if i.active == "failed"]
            if failed:
                systemd.run("reset-failed", *(service.unit(index) for index in failed))
            report.done = True
            return report
        leaving = [instance for instance in running if instance.active == "deactivating"]
        if len(leaving) < len(running):
            units = [service.unit(instance.index) for instance in running]
            systemd.run("stop", "--no-block", target, *units)
            report.changed = True
        report.progress = f"{len(running)} processes are stopping"
        if now() >= deadline:
            return report
        time.sleep(POLL_SECONDS)
