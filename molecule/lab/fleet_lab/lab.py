# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab as a whole: up, down, and what it is at the moment."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from fleet_lab import facts, hosts, images, network, preflight
from fleet_lab.driver import Driver, Place
from fleet_lab.record import Member, Record, Wanted
from fleet_lab.spec import Host, Identity
from fleet_lab.system import (
    LabError,
    give_to_user,
    locked,
    make_folder,
    remove_tree,
    run,
    say,
    write_file,
)

__all__ = ["Lab", "place_hosts"]

_BOOT_SECONDS = 120
_WAITING = "another command works on this lab: waiting for it"


class Lab:
    """One lab of this machine, up or not."""

    def __init__(self, identity: Identity, driver: Driver, cache: Path) -> None:
        self.identity = identity
        self.driver = driver
        self.cache = cache
        self.folder = cache / "labs" / identity.folder
        self.inventory = self.folder / "inventory"
        self._key = self.folder / "ssh_key"
        self._known_hosts = self.folder / "known_hosts"
        self._ssh_config = self.folder / "ssh_config"

    def record(self) -> Record:
        """Give what is written down, or the record of a lab without hosts."""
        file = self.folder / "lab.json"
        if file.exists():
            return Record.from_json(file.read_text())
        return Record(self.identity.checkout, self.identity.name)

    def running(self, host: str) -> bool:
        return self.driver.running(self._place(host))

    def ssh(self, host: str) -> list[str]:
        """Give the command that logs in to a host."""
        return ["ssh", "-F", str(self._ssh_config), host]

    def exists(self) -> bool:
        """Say whether anything of the lab is on this machine, whole or not."""
        return self.folder.exists() or bool(self._traces()) or network.exists(self.identity)

    def wanted(self, hosts: Sequence[Host]) -> Wanted:
        """Give what the lab was last wanted to be, with these hosts if there are any."""
        record = self.record()
        last = tuple(member.host for member in record.members.values())
        return Wanted(tuple(hosts) or last, record.variables, record.instance_config)

    def is_up(self, wanted: Wanted) -> bool:
        """Say whether `up` would find nothing to do."""
        record = self.record()
        return (
            self.wanted(()) == wanted
            and (self.folder / "complete").exists()
            and network.is_up(self.identity) == record.subnet
            and all(
                self.running(name) and _answers(member.address)
                for name, member in record.members.items()
            )
        )

    def up(self, wanted: Wanted) -> None:
        """Make the lab what is wanted, whatever state it is in."""
        with locked(self.folder, _WAITING) as lock:
            before = self.record()
            self._check(new=not before.members)
            recipes = images.recipes()
            names = sorted({host.image for host in wanted.hosts})
            roots = images.ensure(self.cache / "images", [recipes[name] for name in names])
            subnet = network.up(self.identity, before.subnet)
            say(f"network: {subnet} on bridge {self.identity.bridge}")
            kept = before.members if subnet == before.subnet else {}
            members = place_hosts(wanted.hosts, kept, subnet, roots)
            (self.folder / "complete").unlink(missing_ok=True)
            for name, member in before.members.items():
                if name not in members or not members[name].same_machine(member):
                    self._remove(name)
            # Only now: a record must not forget a host that still runs.
            after = replace(
                before,
                subnet=subnet,
                variables=wanted.variables,
                instance_config=wanted.instance_config,
                members=members,
            )
            write_file(self.folder / "lab.json", after.as_json())
            self._write_facts(after)
            dead = [member for name, member in members.items() if not self.running(name)]
            shared = hosts.from_machine() if dead else []
            for member in dead:
                self._start(member, subnet, shared, lock)
            self._wait(list(members.values()))
            (self.folder / "complete").touch()

    def _check(self, *, new: bool) -> None:
        try:
            preflight.check([*preflight.programs(), *self.driver.missing(self.folder)])
        except LabError:
            if new:
                remove_tree(self.folder)
            raise

    def down(self) -> None:
        """Remove all of the lab, whatever state it is in."""
        with locked(self.folder, _WAITING):
            for name in self._traces():
                self.driver.stop(self._place(name))
                say(f"{name}: stopped")
            network.down(self.identity)
            remove_tree(self.folder)

    def write_instance_config(self) -> None:
        record = self.record()
        if record.instance_config and record.instance_config.parent.is_dir():
            write_file(record.instance_config, facts.instance_config(record, self._key))
            give_to_user(record.instance_config)

    def _place(self, host: str) -> Place:
        folder = self.folder / "hosts" / host
        return Place(folder, self.identity.machine(host), self.identity.bridge)

    def _traces(self) -> list[str]:
        """Every host that left something: a line in the record, a folder, or processes."""
        prefix = self.identity.machine("")
        found = {machine.removeprefix(prefix) for machine in self.driver.machines(prefix)}
        found.update(folder.name for folder in (self.folder / "hosts").glob("*"))
        with suppress(ValueError, KeyError):
            found.update(self.record().members)
        return sorted(found)

    def _start(
        self, member: Member, subnet: IPv4Network, shared: list[hosts.File], lock: int
    ) -> None:
        name = member.host.name
        place = self._place(name)
        self.driver.stop(place)
        made = place.folder / "made"
        if not made.exists():
            upper = place.folder / "upper"
            upper.mkdir(parents=True, exist_ok=True)
            own = hosts.of_host(
                member.host, member.address, subnet, self._host_key(name), self._key
            )
            hosts.lay([*shared, *own], member.image, upper)
            made.touch()
        self.driver.start(place, member.image, lock)
        say(f"{name}: started ({member.host.image}, {member.address})")

    def _remove(self, name: str) -> None:
        place = self._place(name)
        self.driver.stop(place)
        if place.folder.exists():
            remove_tree(place.folder)
        say(f"{name}: removed")

    def _wait(self, members: Sequence[Member]) -> None:
        """Wait until each host has booted and takes a login over SSH."""
        with ThreadPoolExecutor(max_workers=len(members)) as pool:
            for line in pool.map(self._booted, members):
                say(line)

    def _booted(self, member: Member) -> str:
        name = member.host.name
        start = time.monotonic()
        command = [*self.ssh(name), "systemctl", "is-system-running", "--wait"]
        while time.monotonic() < start + _BOOT_SECONDS:
            # A host is found by what its launch writes down, a moment after the start.
            if time.monotonic() > start + 2 and not self.running(name):
                raise LabError(f"{name} died while it booted:\n{self._log(name)}")
            if _answers(member.address):
                done = subprocess.run(
                    command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
                )
                if state := done.stdout.strip():
                    return f"{name}: {state}"
            time.sleep(0.1)
        raise LabError(f"{name} takes no login after {_BOOT_SECONDS} s:\n{self._log(name)}")

    def _log(self, name: str) -> str:
        return self.driver.log(self._place(name))

    def _host_key(self, name: str) -> Path:
        return self.folder / f"host_key_{name}"

    def _write_facts(self, record: Record) -> None:
        """Make the keys that are missing, and write what others read about the lab."""
        for key in [self._key, *map(self._host_key, record.members)]:
            if not key.exists():
                run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(key)])
        public = {
            name: self._host_key(name).with_suffix(".pub").read_text() for name in record.members
        }
        make_folder(self.inventory)
        texts = {
            self._known_hosts: facts.known_hosts(record, public),
            self._ssh_config: facts.ssh_config(record, self._key, self._known_hosts),
            self.inventory / "hosts.yml": facts.inventory(record, self._key, self._known_hosts),
        }
        for file, text in texts.items():
            write_file(file, text)
        for name in ("group_vars", "host_vars"):
            link = self.inventory / name
            link.unlink(missing_ok=True)
            if record.variables and (record.variables / name).is_dir():
                link.symlink_to(record.variables / name)
        give_to_user(*texts, self._key, self._key.with_suffix(".pub"))


def place_hosts(
    wanted: Sequence[Host],
    kept: Mapping[str, Member],
    subnet: IPv4Network,
    roots: Mapping[str, Path],
) -> dict[str, Member]:
    """Give every host its address and image.

    A host that stays as it was described keeps both, on an older image too; roots are the current
    images by name.
    """
    used = {member.address for member in kept.values()}
    addresses = (network.address(subnet, index) for index in range(240))
    free = (address for address in addresses if address not in used)
    members: dict[str, Member] = {}
    for host in wanted:
        old = kept.get(host.name)
        if old and old.image.is_dir() and replace(old.host, groups=host.groups) == host:
            members[host.name] = replace(old, host=host)
        else:
            members[host.name] = Member(host, next(free), roots[host.image])
    return members


def _answers(address: IPv4Address) -> bool:
    """Say whether sshd greets."""
    try:
        with socket.create_connection((str(address), 22), timeout=0.5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
