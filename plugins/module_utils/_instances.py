# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of one application on one host: see them, decide the next step. Private."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "SERVICE_ARGUMENTS",
    "Decision",
    "Instance",
    "Service",
    "Systemd",
    "SystemdError",
    "assignments",
    "count_connections",
    "decide",
    "describe",
    "enabled",
    "file_limit_of",
    "now",
    "observe",
    "parse_show",
    "sandbox_words",
    "secrets_of",
    "service_from",
    "was_started",
]

ETC = Path("/etc")
UNITS = Path("/etc/systemd/system")
HEALTH_SECONDS = 2.0
PROPERTIES = (
    "Id",
    "ActiveState",
    "SubState",
    "Job",
    "MainPID",
    "NRestarts",
    "ExecMainStartTimestampMonotonic",
    "ExecMainCode",
    "ExecMainStatus",
    "Result",
)
ESTABLISHED = "01"
# RFC 6455, 1.3: what a server joins to the key of a handshake.
HANDSHAKE_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# FIN and close, two bytes masked with zeroes: the code 1000.
CLOSE_FRAME = b"\x88\x82\0\0\0\0\x03\xe8"


# The options of the documentation fragment "service".
SERVICE_ARGUMENTS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "launcher": {"type": "bool", "default": True},
    "listen": {
        "type": "str",
        "choices": ["shared_port", "port_per_process", "unix_socket"],
        "default": "shared_port",
    },
    "bind": {"type": "str", "default": "127.0.0.1"},
    "port": {"type": "int", "default": 8765},
    "health_path": {"type": "str", "default": ""},
    "health_check": {"type": "str", "choices": ["http", "websocket", "tcp"], "default": "http"},
}


class SystemdError(Exception):
    """systemctl refused; the message holds its words."""


@dataclass(frozen=True)
class Service:
    """One application's processes as they should be."""

    name: str
    count: int
    release: str
    fingerprint: str
    launcher: bool
    listen: str
    """``shared_port``, ``port_per_process`` or ``unix_socket``."""
    bind: str
    port: int
    health_path: str
    """Path that a program is asked for; empty: a connection is enough."""
    health_check: str
    """How it is asked: ``http`` for a 2xx status, ``websocket`` for a handshake, or ``tcp``."""
    start_seconds: float

    def unit(self, index: int) -> str:
        """Return the name of a process's unit."""
        return f"{self.name}@{index}.service"

    def admin_socket(self, index: int) -> str:
        """Return the path of a launched process's admin socket."""
        return f"/run/{self.name}/{index}.admin.sock"

    def address(self, index: int) -> str | tuple[str, int]:
        """Return where a process takes connections: a socket's path, or host and port."""
        if self.listen == "unix_socket":
            return f"/run/{self.name}/{index}.sock"
        port = self.port + index if self.listen == "port_per_process" else self.port
        # A process that listens on every address answers on loopback.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.bind, self.bind)  # noqa: S104
        return host, port


def service_from(params: Mapping[str, Any], **others: Any) -> Service:
    """Return the service that a module's arguments name; ``others`` are its further fields."""
    return Service(**{key: params[key] for key in SERVICE_ARGUMENTS}, **others)


@dataclass(frozen=True)
class Instance:
    """One process as it is."""

    index: int
    active: str = "inactive"
    sub: str = "dead"
    pending: bool = False
    """Whether systemd has a job for it: it is not yet where it was told to go."""
    pid: int = 0
    restarts: int = 0
    started: float = 0.0
    """Seconds on the host's monotonic clock."""
    exit: str = ""
    release: str = ""
    fingerprint: str = ""
    healthy: bool = False
    health: str = "not running"
    secrets: bool = True
    """Whether it has the secrets that are on the host now."""
    status: Mapping[str, Any] = field(default_factory=dict)
    """What the launcher's admin socket says; empty for a program."""

    @property
    def running(self) -> bool:
        """Whether systemd has it up, or on its way up or down."""
        return self.active in {"active", "activating", "reloading", "deactivating"}

    def runs(self, service: Service) -> bool:
        """Return whether this process runs what the service asks for."""
        wanted = (service.release, service.fingerprint)
        return self.secrets and (self.release, self.fingerprint) == wanted


@dataclass(frozen=True)
class Decision:
    """The next step: ``restart`` or ``stop`` some processes, ``wait``, ``done`` or ``failed``."""

    step: str
    indices: tuple[int, ...] = ()
    text: str = ""


class Systemd:
    """The few words that are said to systemd."""

    def run(self, *words: str, seconds: float = 120.0) -> str:
        """Run systemctl and return its output; raise SystemdError with its words."""
        try:
            done = subprocess.run(
                ["systemctl", *words], capture_output=True, text=True, timeout=seconds, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SystemdError(f"systemctl {words[0]}: {error}") from error
        if done.returncode != 0:
            raise SystemdError(f"systemctl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def show(self, name: str) -> str:
        """Return the properties of every loaded process of an application."""
        return self.run("show", f"{name}@*.service", f"--property={','.join(PROPERTIES)}")

    def journal(self, unit: str, lines: int = 12, source: str = "stdout") -> str:
        """Return the last lines that a unit logged, its program's own (``stdout``).

        With the source ``journal``, those in which systemd says why it could not start it.
        """
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(
                [
                    *("journalctl", "--quiet", "--no-pager", "--output=cat", f"-n{lines}"),
                    *(f"-u{unit}", f"_TRANSPORT={source}"),
                    *(("-perr",) if source == "journal" else ()),
                ],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=20,
                check=False,
            )
            return done.stdout.strip()
        return ""


def parse_show(text: str, name: str) -> dict[int, dict[str, str]]:
    """Return the properties of an application's units by number, from ``systemctl show``."""
    found = {}
    pattern = re.compile(rf"{re.escape(name)}@([1-9][0-9]*)\.service")
    for block in text.split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        match = pattern.fullmatch(values.get("Id", ""))
        if match:
            found[int(match[1])] = values
    return found


# What systemd ends a process with that it could not set up. For a program that is not there (203)
# and CPUs that the host has not (215) the sandbox is not to blame.
SETUP_STATUS = re.compile(r"exit-code \(status (2[0-3][0-9]|24[0-5])\)")
BLAMELESS = ("exit-code (status 203)", "exit-code (status 215)")
# What a program says of a call that was refused, and the status of one that was ended for it.
REFUSED = re.compile(
    r"Operation not permitted|Permission denied|Read-only file system|Network is unreachable"
    r"|Address family not supported|PermissionError|Temporary failure in name resolution"
)
SIGSYS = re.compile(r"(signal|core-dump) \(status 31\)")


def was_started(exit_words: str) -> bool:
    """Return whether systemd came as far as starting a process that ended with these words."""
    return not SETUP_STATUS.fullmatch(exit_words)


def sandbox_words(exit_words: str, journal: str) -> str:
    """Point to the unit's sandbox where it may be why a process ended; else return nothing."""
    setup_failed = not was_started(exit_words) and exit_words not in BLAMELESS
    if setup_failed or SIGSYS.fullmatch(exit_words) or REFUSED.search(journal):
        return (
            "the sandbox of its unit may be why: app_hardening relaxes single directives, "
            "docs/security.md says what each forbids"
        )
    return ""


def _environment(pid: int) -> dict[str, str]:
    try:
        text = Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "replace")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


ASSIGNMENT = re.compile(r'^([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"$', re.M | re.S)


def assignments(path: Path) -> dict[str, str]:
    """Return the variables that a file of systemd's sets, nothing where it can't be read."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return {}
    return {key: re.sub(r"\\(.)", r"\1", value) for key, value in ASSIGNMENT.findall(text)}


def secrets_of(name: str) -> dict[str, str]:
    """Return the secrets that a process which starts now would get.

    They are compared with what a process has, by value and on the host: a digest of them in the
    unit, which everybody can read, would let a weak one be guessed.
    """
    return assignments(ETC / name / "secrets")


class _Connection(http.client.HTTPConnection):
    """An HTTP connection to a TCP address or a unix socket."""

    def __init__(self, address: str | tuple[str, int]) -> None:
        host, port = ("localhost", 80) if isinstance(address, str) else address
        super().__init__(host, port, timeout=HEALTH_SECONDS)
        self.address = address

    def connect(self) -> None:
        if isinstance(self.address, str):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(HEALTH_SECONDS)
            self.sock.connect(self.address)
        else:
            super().connect()


def _get(address: str | tuple[str, int], path: str) -> tuple[int, bytes]:
    connection = _Connection(address)
    try:
        if not path:
            connection.connect()
            return 200, b""
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(1 << 20)
    finally:
        connection.close()


def _handshake(address: str | tuple[str, int], path: str) -> str:
    """Open a WebSocket connection and close it in order; return what is wrong with it."""
    key = base64.b64encode(os.urandom(16)).decode()
    digest = hashlib.sha1((key + HANDSHAKE_SUFFIX).encode(), usedforsecurity=False).digest()
    connection = _Connection(address)
    try:
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13",
        }
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        if response.status != 101:
            return str(response.status)
        if response.getheader("Sec-WebSocket-Accept", "") != base64.b64encode(digest).decode():
            return "the Sec-WebSocket-Accept of the answer is wrong"
        # It is well by now. A server that hears nothing of the end would count 1006, and one
        # whose answer is not waited for a reset.
        with contextlib.suppress(OSError):
            connection.sock.sendall(CLOSE_FRAME)
            deadline = time.monotonic() + HEALTH_SECONDS
            while time.monotonic() < deadline and connection.sock.recv(1 << 16):
                pass
    finally:
        connection.close()
    return ""


def _health(service: Service, index: int) -> tuple[bool, str]:
    """Ask one process whether it is well; return the answer and its words."""
    address: str | tuple[str, int]
    if service.launcher:
        address, path, kind = service.admin_socket(index), "/healthz", "http"
    else:
        address, path, kind = service.address(index), service.health_path, service.health_check
    try:
        if kind == "websocket":
            wrong = _handshake(address, path)
            return not wrong, f"handshake on {path}: {wrong}" if wrong else "ok"
        code, _body = _get(address, "" if kind == "tcp" else path)
    except (OSError, http.client.HTTPException) as error:
        words = str(error) or type(error).__name__
        return False, f"handshake on {path}: {words}" if kind == "websocket" else words
    if not 200 <= code < 300:
        return False, f"GET {path}: {code}"
    return True, "ok"


def _status(service: Service, index: int) -> dict[str, Any]:
    if service.launcher:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            found = json.loads(_get(service.admin_socket(index), "/status")[1])
            if isinstance(found, dict):
                return found
    return {}


def count_connections(service: Service, index: int, pid: int) -> int | None:
    """Return how many clients a process holds, read from the kernel's tables.

    ``None`` where the process is gone or can't be looked into.
    """
    own = set()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            # Clients come and go meanwhile.
            with contextlib.suppress(FileNotFoundError):
                own.add(str(descriptor.readlink())[len("socket:[") : -1])
    except OSError:
        return None
    address = service.address(index)
    if isinstance(address, str):
        rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
        return sum(row[7:] == [address] and row[5] == "03" and row[6] in own for row in rows)
    port = f":{address[1]:04X}"
    count = 0
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(table).read_text().splitlines()[1:]:
                words = line.split()
                count += words[1].endswith(port) and words[3] == ESTABLISHED and words[9] in own
    return count


def enabled(name: str) -> set[int]:
    """Return the numbers of the processes that a boot starts."""
    pattern = re.compile(rf"{re.escape(name)}@([1-9][0-9]*)\.service")
    matches = (pattern.fullmatch(path.name) for path in (UNITS / f"{name}.target.wants").glob("*"))
    return {int(match[1]) for match in matches if match}


def observe(service: Service, systemd: Systemd) -> dict[int, Instance]:
    """Return every process of the service, wanted or running, as it is now."""
    shown = parse_show(systemd.show(service.name), service.name)
    secrets = secrets_of(service.name)
    found = {}
    for index in sorted(set(shown) | set(range(1, service.count + 1)) | enabled(service.name)):
        values = shown.get(index)
        if values is None:
            found[index] = Instance(index)
            continue
        pid = int(values["MainPID"])
        environment = _environment(pid) if pid else {}
        healthy, health = _health(service, index) if pid else (False, "not running")
        found[index] = Instance(
            index=index,
            active=values["ActiveState"],
            sub=values["SubState"],
            # Not shown where there is none.
            pending=values.get("Job", "0") not in {"", "0"},
            pid=pid,
            restarts=int(values["NRestarts"]),
            started=int(values["ExecMainStartTimestampMonotonic"] or 0) / 1e6,
            exit=f"{values['Result']} (status {values['ExecMainStatus']})",
            release=environment.get("APP_RELEASE", ""),
            fingerprint=environment.get("APP_FINGERPRINT", ""),
            # Without an environment the process is gone: another one has answered.
            healthy=healthy and bool(environment) and values["ActiveState"] == "active",
            health=health,
            secrets=secrets.items() <= environment.items() or not environment,
            status=_status(service, index) if pid else {},
        )
    return found


def _connections_left(instance: Instance) -> str:
    count = instance.status.get("connections")
    if count is None:
        return ""
    return f", {count} connection{'' if count == 1 else 's'} left"


def _unwell(
    service: Service, instance: Instance, attempted: Mapping[int, float], now: float
) -> Decision | None:
    """Return what to do about a wanted process that is not well yet, ``None`` where it is."""
    unit = service.unit(instance.index)
    tried = instance.index in attempted
    if instance.restarts and instance.started > attempted.get(instance.index, instance.started):
        # systemd's counter begins anew with each start of ours: it went down by itself since.
        text = f"{unit} did not stay up: {instance.exit}"
        return Decision("failed", (instance.index,), text)
    if instance.active == "deactivating":
        return Decision("wait", text=f"{unit} is stopping{_connections_left(instance)}")
    # Newer versions of systemd have auto-restart-queued too.
    down = not instance.running or instance.sub.startswith("auto-restart")
    if instance.pending and (down or instance.active == "active"):
        return Decision("wait", text=f"systemd has yet to act on {unit}")
    stale = instance.active == "active" and instance.release and not instance.runs(service)
    if instance.healthy or stale:
        return None
    since = max(instance.started, attempted.get(instance.index, 0.0))
    if down:
        text = f"{unit} did not stay up: {instance.exit}" if tried else f"starting {unit}"
    elif now - since <= service.start_seconds:
        return Decision("wait", text=f"waiting for {unit} to be healthy")
    else:
        text = f"{unit} is not healthy after {service.start_seconds:g} s: {instance.health}"
    return Decision("failed" if tried else "restart", (instance.index,), text)


def _roll(service: Service, instance: Instance, attempted: Mapping[int, float]) -> Decision:
    """Return what to do about a process that runs something else."""
    unit = service.unit(instance.index)
    if instance.index in attempted:
        runs = f"release {instance.release} configuration {instance.fingerprint}"
        wanted = f"release {service.release} configuration {service.fingerprint}"
        if not instance.secrets:
            runs += " with other secrets"
        text = f"{unit} was restarted and runs {runs}, not {wanted}: see its unit"
        return Decision("failed", (instance.index,), text)
    text = f"restarting {unit} on release {service.release}"
    return Decision("restart", (instance.index,), text + _connections_left(instance))


def decide(
    service: Service,
    found: Mapping[int, Instance],
    attempted: Mapping[int, float],
    now: float,
) -> Decision:
    """Return the next step from what is to what should be.

    ``attempted`` holds the processes that this run has started, with the time of it on the
    host's monotonic clock. First every wanted process that is down is brought up; then those that
    are up and not healthy, and those that run something else, are restarted one at a time, each
    only while no other one is on its way; then the surplus is stopped. Whatever an earlier,
    interrupted run left is taken from there.
    """
    wanted = range(1, service.count + 1)
    verdicts = [_unwell(service, found[index], attempted, now) for index in wanted]
    pending = [verdict for verdict in verdicts if verdict]
    failed = [verdict for verdict in pending if verdict.step == "failed"]
    restart = [verdict for verdict in pending if verdict.step == "restart"]
    down = [verdict for verdict in restart if found[verdict.indices[0]].active != "active"]
    wait = [verdict for verdict in pending if verdict.step == "wait"]
    if failed:
        return failed[0]
    if down:
        indices = tuple(index for verdict in down for index in verdict.indices)
        return Decision("restart", indices, "; ".join(verdict.text for verdict in down))
    # It may hold clients still, and all may be unwell for a reason that no restart mends.
    for verdict in wait + restart:
        return verdict
    # Those that serve nobody go first: the others have the clients meanwhile.
    for index in sorted(wanted, key=lambda index: found[index].healthy):
        if not found[index].runs(service):
            return _roll(service, found[index], attempted)
    return _clear(service, found)


def _clear(service: Service, found: Mapping[int, Instance]) -> Decision:
    """Return what to do about the processes that nobody wants."""
    surplus = [instance for index, instance in found.items() if index > service.count]
    stopping = [instance for instance in surplus if instance.active == "deactivating"]
    if stopping:
        text = f"{service.unit(stopping[0].index)} is stopping{_connections_left(stopping[0])}"
        return Decision("wait", text=text)
    running = tuple(instance.index for instance in surplus if instance.running)
    if running:
        names = ", ".join(service.unit(index) for index in running)
        return Decision("stop", running, f"stopping {names}")
    return Decision("done")


def now() -> float:
    """Return the host's monotonic clock in seconds, the one that systemd's timestamps use."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def file_limit_of(pid: int) -> int | None:
    """Return how many files a process may really open, ``None`` where it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/limits").read_text().splitlines():
            if line.startswith("Max open files"):
                return int(line.split()[3])
    return None


def _memory_of(pid: int) -> int | None:
    """Return a process's resident memory in bytes."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return None


def describe(service: Service, instance: Instance) -> dict[str, Any]:
    """Return what an engineer wants to know of one process; ``None`` for what can't be known."""
    pid = instance.pid
    connections = instance.status.get("connections")
    if connections is None and pid:
        connections = count_connections(service, instance.index, pid)
    return {
        "index": instance.index,
        "unit": service.unit(instance.index),
        "state": instance.active,
        "pid": pid or None,
        "release": instance.release or None,
        "fingerprint": instance.fingerprint or None,
        "uptime_seconds": round(now() - instance.started) if pid else None,
        "restarts": instance.restarts,
        "connections": connections,
        "memory_bytes": _memory_of(pid) if pid else None,
        "file_limit": file_limit_of(pid) if pid else None,
        "healthy": instance.healthy,
        "health": instance.health,
    }
