# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Can this application live on this host? Looks, changes nothing. Private to the collection."""

from __future__ import annotations

import contextlib
import grp
import ipaddress
import json
import os
import pwd
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "ACCOUNT_COMMENT",
    "MINIMUM_PYTHON",
    "Listener",
    "conflicts",
    "examine",
    "listening",
    "parse_listeners",
    "ports_of",
    "process_of",
]

# The account's comment marks a host's application as the collection's own. The account is the
# first thing that a run makes, in one step, so an interrupted run leaves no unmarked state.
ACCOUNT_COMMENT = "websockets.fleet application"

# What websockets 17 needs.
MINIMUM_PYTHON = (3, 11)

UNIT_FOLDERS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
LISTEN_STATE = "0A"

PYTHON_FACTS = """
import importlib.util, json, sys
print(json.dumps({
    "version": list(sys.version_info[:3]),
    "venv": bool(importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")),
}))
"""


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket of the host."""

    address: str
    port: int
    uid: int
    inode: str


def _decode_address(text: str) -> str:
    """Return the address behind the hexadecimal words of /proc/net/tcp (host byte order)."""
    raw = b"".join(bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, len(text), 8))
    address = ipaddress.ip_address(raw)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def parse_listeners(text: str) -> list[Listener]:
    """Return the listening sockets in the text of /proc/net/tcp or /proc/net/tcp6."""
    listeners = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) < 10 or words[3] != LISTEN_STATE:
            continue
        address, port = words[1].split(":")
        listeners.append(Listener(_decode_address(address), int(port, 16), int(words[7]), words[9]))
    return listeners


def listening() -> list[Listener]:
    """Return the listening TCP sockets of this host."""
    listeners = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            listeners += parse_listeners(Path(table).read_text())
    return listeners


def conflicts(
    listeners: list[Listener], bind: str, ports: list[int], uid: int | None
) -> list[Listener]:
    """Return the listeners that keep ``bind`` from listening on ``ports``.

    Sockets of ``uid``, the application's own account, are no conflict; ``None`` is no account yet.
    """
    wanted = ipaddress.ip_address(bind)
    found = []
    for listener in listeners:
        other = ipaddress.ip_address(listener.address)
        # A listener on :: takes IPv4 connections too, unless told not to.
        overlap = (
            other == wanted
            or (other.is_unspecified and (other.version == 6 or wanted.version == 4))
            or (wanted.is_unspecified and (wanted.version == 6 or other.version == 4))
        )
        if overlap and listener.port in ports and listener.uid != uid:
            found.append(listener)
    return found


def process_of(inode: str) -> str:
    """Return ``name (pid N)`` of the process that holds a socket, or ``another process``."""
    target = f"socket:[{inode}]"
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if str(descriptor.readlink()) == target:
                process = descriptor.parent.parent
                name = (process / "comm").read_text().strip()
                return f"{name} (pid {process.name})"
    return "another process"


def _holders(listeners: list[Listener]) -> str:
    """Name the processes that listen, and their account."""
    processes = sorted({process_of(listener.inode) for listener in listeners})
    try:
        account = pwd.getpwuid(listeners[0].uid).pw_name
    except KeyError:
        account = str(listeners[0].uid)
    return f"{', '.join(processes)} of the account {account}"


def _account(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _ownership_faults(name: str, account: pwd.struct_passwd | None) -> list[str]:
    if account and account.pw_gecos == ACCOUNT_COMMENT:
        return []
    taken = [
        path for path in (f"/etc/{name}", f"/opt/{name}", f"/run/{name}") if os.path.lexists(path)
    ]
    slice_unit = name.replace("-", "\\x2d") + ".slice"
    taken += [
        f"{folder}/{unit}"
        for folder in UNIT_FOLDERS
        for unit in (f"{name}@.service", f"{name}.target", slice_unit)
        if os.path.lexists(f"{folder}/{unit}")
    ]
    if account:
        taken.insert(0, f"the account {name}")
    elif _group_exists(name):
        taken.insert(0, f"the group {name}")
    if not taken:
        return []
    return [
        f"app_name {name!r} is taken on this host, by {', '.join(taken)}; choose another app_name"
    ]


def _systemd_version() -> int:
    """Return the version of systemd, 0 where there is none."""
    try:
        done = subprocess.run(
            ["systemctl", "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    # "systemd 252 (252.39-1~deb12u2)"; a candidate is "257~rc1".
    found = re.match(r"systemd ([0-9]+)", done.stdout)
    return int(found[1]) if found else 0


def _python_facts(python: str) -> tuple[dict[str, Any], str]:
    """Return what the interpreter says of itself, or a fault."""
    wanted = f"it must be Python {'.'.join(map(str, MINIMUM_PYTHON))} or later"
    try:
        done = subprocess.run(
            [python, "-I", "-c", PYTHON_FACTS],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        facts: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    except OSError as error:
        return {}, f"app_python {python!r} does not run: {error.strerror}; {wanted}"
    except ValueError:
        return {}, f"app_python {python!r} is no Python; {wanted}"
    except subprocess.TimeoutExpired:
        return {}, f"app_python {python!r} takes more than 30 s to start; {wanted}"
    if not facts:
        words = done.stderr.strip()[-200:] or f"it exits with {done.returncode}"
        return {}, f"app_python {python!r} does not run: {words}; {wanted}"
    version = ".".join(map(str, facts["version"]))
    if tuple(facts["version"]) < MINIMUM_PYTHON:
        return facts, f"app_python {python!r} is Python {version}; {wanted}"
    return facts, ""


def _bind_fault(bind: str) -> str:
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(bind).version == 6 else socket.AF_INET
    except ValueError:
        return f"app_bind {bind!r} is not an IP address"
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((bind, 0))
    except OSError as error:
        return f"app_bind {bind!r} is not an address of this host: {error.strerror}"
    return ""


def _port_faults(bind: str, port: int, ports: list[int], uid: int | None) -> list[str]:
    fault = _bind_fault(bind)
    if fault:
        return [fault]
    found: dict[tuple[int, str, int], list[Listener]] = {}
    for listener in conflicts(listening(), bind, ports, uid):
        found.setdefault((listener.port, listener.address, listener.uid), []).append(listener)
    return [
        f"port {taken} of {address} is taken by {_holders(holders)};"
        f" free it or choose another app_port (it is {port})"
        for (taken, address, _uid), holders in found.items()
    ]


def ports_of(listen: str, port: int, processes: int) -> list[int]:
    """Return the TCP ports that an application takes.

    With a port per process that is one more than there are processes: a rolling change starts its
    first new process beside the others.
    """
    if listen == "unix_socket":
        return []
    if listen == "shared_port":
        return [port]
    return list(range(port + 1, port + processes + 2))


def _cpus(text: str) -> set[int]:
    """Return the numbers that ranges such as ``0-3,5`` name."""
    found: set[int] = set()
    for part in text.split(","):
        first, _dash, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def examine(
    name: str,
    python: str,
    system_python: str,
    listen: str,
    bind: str,
    port: int,
    processes: str,
    cpu_affinity: str = "",
) -> tuple[dict[str, Any], list[str]]:
    """Return facts about the host and every reason why ``name`` can't be installed on it.

    ``system_python`` is the interpreter whose venv package the role installs by itself; any other
    must bring venv along. ``processes`` is a number or ``auto``, one per CPU. ``cpu_affinity`` is
    a list of CPUs such as ``0-3,5``, or empty for all.
    """
    faults = []
    if not Path("/run/systemd/system").is_dir():
        faults.append("systemd does not run this host; the collection needs it")
    account = _account(name)
    faults += _ownership_faults(name, account)
    facts, fault = _python_facts(python)
    if fault:
        faults.append(fault)
    elif python != system_python and not facts["venv"]:
        faults.append(f"app_python {python!r} has no venv and ensurepip modules; install them")
    usable = os.sched_getaffinity(0)
    cpus = len(usable)
    if cpu_affinity and not usable & _cpus(cpu_affinity):
        has = ", ".join(map(str, sorted(usable)))
        faults.append(f"app_cpu_affinity {cpu_affinity!r} names no CPU of this host; it has {has}")
    ports = ports_of(listen, port, cpus if processes == "auto" else int(processes))
    if ports:
        faults += _port_faults(bind, port, ports, account.pw_uid if account else None)
    result = {
        "python_version": ".".join(map(str, facts.get("version", []))),
        "venv": facts.get("venv", False),
        "cpus": cpus,
        "systemd_version": _systemd_version(),
    }
    return result, faults
