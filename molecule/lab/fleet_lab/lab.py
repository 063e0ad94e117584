"""A lab as a whole: up, down, status."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from fleet_lab import hosts, images, network
from fleet_lab.driver import Driver, Place
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

__all__ = ["Lab", "Member", "Record", "cache_folder"]

_BOOT_SECONDS = 60


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "websockets-fleet"


@dataclass(frozen=True)
class Member:
    """A host with what the lab gave it."""

    host: Host
    address: IPv4Address
    image: Path

    def same_machine(self, other: Member) -> bool:
        """Say whether a running host can go on as the other: groups are Ansible's only."""
        return replace(self, host=replace(self.host, groups=other.host.groups)) == other


@dataclass(frozen=True)
class Record:
    """What is written down about a lab, so that another run can go on with it."""

    subnet: IPv4Network | None = None
    inventory: Path | None = None
    members: dict[str, Member] = field(default_factory=dict)

    def as_json(self) -> str:
        members = [
            {"host": m.host.as_record(), "address": str(m.address), "image": str(m.image)}
            for m in self.members.values()
        ]
        record = {
            "subnet": str(self.subnet) if self.subnet else None,
            "inventory": str(self.inventory) if self.inventory else None,
            "members": members,
        }
        return json.dumps(record, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Record:
        record = json.loads(text)
        members = [
            Member(Host.from_record(m["host"]), IPv4Address(m["address"]), Path(m["image"]))
            for m in record["members"]
        ]
        return cls(
            subnet=IPv4Network(record["subnet"]) if record["subnet"] else None,
            inventory=Path(record["inventory"]) if record["inventory"] else None,
            members={member.host.name: member for member in members},
        )


class Lab:
    """One lab of this machine, up or not."""

    def __init__(self, identity: Identity, driver: Driver, cache: Path) -> None:
        self.identity = identity
        self.driver = driver
        self.cache = cache
        self.folder = cache / "labs" / identity.folder
        self.key = self.folder / "ssh_key"
        self.inventory = self.folder / "inventory"
        self.ssh_config = self.folder / "ssh_config"

    def record(self) -> Record:
        file = self.folder / "lab.json"
        return Record.from_json(file.read_text()) if file.exists() else Record()

    def place(self, name: str) -> Place:
        return Place(
            folder=self.folder / "hosts" / name,
            machine=self.identity.machine(name),
            bridge=self.identity.bridge,
        )

    def is_up(self, wanted: Sequence[Host], inventory: Path | None) -> bool:
        """Say whether `up` would find nothing to do."""
        record = self.record()
        return (
            [member.host for member in record.members.values()] == list(wanted)
            and record.inventory == inventory
            and record.subnet is not None
            and network.is_up(self.identity) == record.subnet
            and self.inventory.is_dir()
            and all(
                self.driver.running(self.place(member.host.name)) and _answers(member.address)
                for member in record.members.values()
            )
        )

    def up(self, wanted: Sequence[Host], inventory: Path | None) -> list[str]:
        """Make the lab what is wanted; give the names of the hosts that were started."""
        recipes = images.recipes()
        roots = {
            name: images.ensure(self.cache / "images", recipes[name])
            for name in sorted({host.image for host in wanted})
        }
        with locked(self.folder, "another command works on this lab: waiting for it") as lock:
            before = self.record()
            subnet = network.up(self.identity, before.subnet)
            kept = before.members if subnet == before.subnet else {}
            say(f"network: {subnet} on bridge {self.identity.bridge}")
            members = _members(wanted, kept, subnet, roots)
            after = Record(subnet, inventory, members)
            for name, member in before.members.items():
                if name not in members or not members[name].same_machine(member):
                    self._remove(member)
            write_file(self.folder / "lab.json", after.as_json())
            self._keys(after)
            dead = [m for m in members.values() if not self.driver.running(self.place(m.host.name))]
            shared = hosts.from_machine() if dead else []
            for member in dead:
                self._start(member, subnet, shared, lock)
            self._wait(list(members.values()))
            self._describe(after)
        return [member.host.name for member in dead]

    def _remove(self, member: Member) -> None:
        place = self.place(member.host.name)
        self.driver.stop(place)
        if place.folder.exists():
            remove_tree(place.folder)
        say(f"{member.host.name}: removed")

    def _start(
        self, member: Member, subnet: IPv4Network, shared: list[hosts.File], lock: int
    ) -> None:
        place = self.place(member.host.name)
        self.driver.stop(place)
        made = place.folder / "made"
        if not made.exists():
            upper = place.folder / "upper"
            upper.mkdir(parents=True, exist_ok=True)
            host_key = self._host_key(member.host.name)
            own = hosts.of_host(member.host, member.address, subnet, host_key, self.key)
            hosts.lay([*shared, *own], member.image, upper)
            made.touch()
        self.driver.start(place, member.image, lock)
        say(f"{member.host.name}: started ({member.host.image}, {member.address})")

    def _wait(self, members: Sequence[Member]) -> None:
        """Wait until each host has booted and takes a login over SSH."""
        with ThreadPoolExecutor(max_workers=len(members)) as pool:
            for line in pool.map(self._booted, members):
                say(line)

    def _booted(self, member: Member) -> str:
        name, place = member.host.name, self.place(member.host.name)
        deadline = time.monotonic() + _BOOT_SECONDS
        # The launch writes down its process a moment after it was started.
        started = time.monotonic()
        command = [*self.ssh(name), "systemctl", "is-system-running", "--wait"]
        while time.monotonic() < deadline:
            if not self.driver.running(place) and time.monotonic() > started + 2:
                raise LabError(f"{name} died while it booted:\n{self.driver.log(place)}")
            if _answers(member.address):
                done = subprocess.run(
                    command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
                )
                if state := done.stdout.strip():
                    return f"{name}: {state}"
            time.sleep(0.1)
        raise LabError(
            f"{name} took no login over SSH within {_BOOT_SECONDS} s:\n{self.driver.log(place)}"
        )

    def ssh(self, host: str) -> list[str]:
        return ["ssh", "-F", str(self.ssh_config), host]

    def _host_key(self, name: str) -> Path:
        return self.folder / f"host_key_{name}"

    def _keys(self, record: Record) -> None:
        """Make the keys that are missing, and what ssh has to know to use them."""
        for key in [self.key, *map(self._host_key, record.members)]:
            if not key.exists():
                run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(key)])
        known = self.folder / "known_hosts"
        lines: list[str] = []
        config: list[str] = []
        for name, member in record.members.items():
            public = self._host_key(name).with_suffix(".pub").read_text()
            lines.append(f"{name},{member.address} {public}")
            config.append(f"Host {name}\n    HostName {member.address}\n")
        config.append(
            f"Host *\n    User {images.USER}\n    IdentityFile {self.key}\n"
            f"    IdentitiesOnly yes\n    UserKnownHostsFile {known}\n"
            "    StrictHostKeyChecking yes\n    LogLevel ERROR\n    ConnectTimeout 10\n"
        )
        write_file(known, "".join(lines))
        write_file(self.ssh_config, "".join(config))
        give_to_user(self.key, self.key.with_suffix(".pub"), known, self.ssh_config)

    def _describe(self, record: Record) -> None:
        """Lay an inventory that ansible-playbook can use as it is."""
        make_folder(self.inventory)
        write_file(self.inventory / "hosts.yml", inventory_text(record, self.key, self.folder))
        for name in ("group_vars", "host_vars"):
            link = self.inventory / name
            link.unlink(missing_ok=True)
            if record.inventory and (record.inventory / name).is_dir():
                link.symlink_to(record.inventory / name)
        give_to_user(self.inventory / "hosts.yml")

    def instances(self) -> str:
        """Give molecule's instance_config.yml."""
        lines = ["---"]
        for name, member in self.record().members.items():
            lines += [
                f"- instance: {name}",
                f"  address: {member.address}",
                f"  user: {images.USER}",
                "  port: 22",
                f"  identity_file: {json.dumps(str(self.key))}",
            ]
        return "\n".join([*lines, ""])

    def down(self) -> bool:
        """Remove all of the lab, whatever state it is in; say whether there was anything."""
        there = self.exists()
        with locked(self.folder, "another command works on this lab: waiting for it"):
            for name in self._host_names():
                self.driver.stop(self.place(name))
                if there:
                    say(f"{name}: stopped")
            network.down(self.identity)
            remove_tree(self.folder)
        return there

    def exists(self) -> bool:
        return self.folder.exists() or bool(self._host_names()) or network.exists(self.identity)

    def _host_names(self) -> list[str]:
        """Every host that left a trace: a record, a folder, or processes."""
        prefix = self.identity.machine("")
        folders = self.folder / "hosts"
        found = {machine.removeprefix(prefix) for machine in self.driver.machines(prefix)}
        if folders.is_dir():
            found.update(folder.name for folder in folders.iterdir())
        with suppress(ValueError, KeyError):
            found.update(self.record().members)
        return sorted(found)


def _members(
    wanted: Sequence[Host],
    kept: dict[str, Member],
    subnet: IPv4Network,
    roots: dict[str, Path],
) -> dict[str, Member]:
    """Give every host its address and image; a host that stays keeps both."""
    used = {member.address for member in kept.values()}
    free = (a for i in range(200) if (a := network.address(subnet, i)) not in used)
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


def inventory_text(record: Record, key: Path, folder: Path) -> str:
    groups: dict[str, list[str]] = {}
    lines = ["---", "all:", "  hosts:"]
    for name, member in record.members.items():
        lines += [f"    {name}:", f"      ansible_host: {member.address}"]
        for group in member.host.groups:
            groups.setdefault(group, []).append(name)
    options = f"-o UserKnownHostsFile={folder / 'known_hosts'} -o IdentitiesOnly=yes"
    lines += [
        "  vars:",
        f"    ansible_user: {images.USER}",
        f"    ansible_ssh_private_key_file: {json.dumps(str(key))}",
        f"    ansible_ssh_common_args: {json.dumps(options)}",
        "    ansible_ssh_pipelining: true",
        "    ansible_python_interpreter: /usr/bin/python3",
    ]
    if groups:
        lines.append("  children:")
    for group, names in groups.items():
        lines += [f"    {group}:", "      hosts:", *(f"        {name}:" for name in names)]
    return "\n".join([*lines, ""])
