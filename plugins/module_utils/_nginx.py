# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a host's nginx what it is and what it runs. Private to the collection."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import http.client
import os
import pwd
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.websockets.fleet.plugins.module_utils._preflight import (
    conflicts,
    listening,
    process_of,
)

__all__ = [
    "Build",
    "OldWorker",
    "VirtualServer",
    "complaints",
    "connections_of",
    "default_ports",
    "directive",
    "fleet_sites",
    "groups_of",
    "hardened",
    "missing_groups",
    "obstacles",
    "old_workers",
    "parse_build",
    "parse_properties",
    "parse_servers",
    "running_config",
    "stale_sockets",
    "welcome_page",
    "worker_file_limit",
    "workers",
]

SITE_MARK = "# websockets.fleet site"
WORKER = "nginx: worker process"
OLD_WORKER = "nginx: worker process is shutting down"


class Build:
    """What ``nginx -V`` says: versions and built-in paths."""

    def __init__(self, version: str, openssl: str, conf_path: str, user: str, error_log: str):
        self.version = version
        self.openssl = openssl
        self.conf_path = conf_path
        self.user = user
        self.error_log = error_log


def _first(pattern: str, text: str, default: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found.group(1) if found else default


def parse_build(text: str) -> Build:
    """Return what the output of ``nginx -V`` says; absent parts are the built-in defaults."""
    linked = _first(r"running with OpenSSL ([\d.]+)", text, "")
    return Build(
        version=_first(r"^nginx version: [^/]*/([\d.]+)", text, ""),
        openssl=linked or _first(r"built with OpenSSL ([\d.]+)", text, ""),
        conf_path=_first(r"--conf-path=(\S+)", text, "/etc/nginx/nginx.conf"),
        user=_first(r"--user=(\S+)", text, "nobody"),
        error_log=_first(r"--error-log-path=(\S+)", text, "/var/log/nginx/error.log"),
    )


def parse_properties(text: str) -> dict[str, str]:
    """Return the properties that ``systemctl show`` printed."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def directive(main: str, name: str, default: str) -> str:
    """Return the first argument of a directive of the main configuration."""
    return _first(rf"^[ \t]*{name}[ \t]+([^\s;]+)", main, default)


def fleet_sites(folder: Path) -> list[str]:
    """Return the names of the site files that the role laid."""
    return sorted(
        path.stem
        for path in folder.glob("*.conf")
        if SITE_MARK in path.read_text(encoding="utf-8", errors="replace")
    )


@dataclass(frozen=True)
class VirtualServer:
    """The names and TCP ports of one ``server`` block, and what it is or speaks on some of them."""

    names: frozenset[str]
    ports: frozenset[int]
    default_ports: frozenset[int]
    proxy_protocol_ports: frozenset[int] = frozenset()


def parse_servers(text: str) -> list[VirtualServer]:
    """Return the ``server`` blocks of a configuration file."""
    text = re.sub(r"(?m)(^|\s)#.*", "", text)
    found = []
    for start in re.finditer(r"\bserver\s*\{", text):
        depth, end = 1, start.end()
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        block = text[start.end() : end]
        names = re.findall(r"(?:^|[;{}])\s*server_name\s+([^;]+)(?=;)", block)
        ports, defaults, proxied = set(), set(), set()
        # The end of one directive is the beginning of the next. Without any, nginx is on port 80.
        for words in re.findall(r"(?:^|[;{}])\s*listen\s+([^;]+)(?=;)", block) or ["80"]:
            address, *options = words.split()
            if address.startswith("unix:"):
                continue
            port = int(_first(r"(?:^|:)(\d+)$", address, "80"))
            ports.add(port)
            if "default_server" in options:
                defaults.add(port)
            if "proxy_protocol" in options:
                proxied.add(port)
        found.append(
            VirtualServer(
                frozenset(name.lower() for name in " ".join(names).split()),
                frozenset(ports),
                frozenset(defaults),
                frozenset(proxied),
            )
        )
    return found


def _servers(folder: Path) -> Iterator[tuple[Path, VirtualServer]]:
    """Yield what the files in ``folder`` and those that nginx reads beside it serve."""
    files = [folder.parent / "nginx.conf", *folder.glob("*.conf")]
    files += (folder.parent / "sites-enabled").glob("*")
    for path in sorted(files):
        if path.is_file():
            for server in parse_servers(path.read_text(encoding="utf-8", errors="replace")):
                yield path, server


def default_ports(site: str, folder: Path) -> list[int]:
    """Return the ports that have a default server which is not the site's."""
    own = folder / f"{site}.conf"
    return sorted(
        {port for path, server in _servers(folder) if path != own for port in server.default_ports}
    )


def _name_obstacles(site: str, folder: Path, ports: list[int], names: list[str]) -> list[str]:
    own = folder / f"{site}.conf"
    sites = fleet_sites(folder)
    taken: dict[str, Path] = {}
    known: set[str] = set()
    for path, server in _servers(folder):
        if path == own:
            known |= server.names
        elif server.ports.intersection(ports):
            taken.update(dict.fromkeys(server.names, path))
    found = []
    for name in names:
        if name.lower() in taken:
            path = taken[name.lower()]
            variable = "nginx_domain" if name == names[0] else "nginx_extra_names"
            owner = f"the application {path.stem}" if path.stem in sites else "another site"
            found.append(f"{variable} {name!r} is taken by {owner} ({path}): choose another name")
    if site in sites and names and known.isdisjoint(name.lower() for name in names):
        was = " ".join(sorted(known))
        found.append(
            f"nginx_domain is {names[0]!r}, and app_name {site!r} serves {was} on this host. For"
            " another application choose another app_name; if this one gets another name, list"
            " the old one in nginx_extra_names for one run"
        )
    return found


def _protocol_obstacles(
    site: str, folder: Path, ports: list[int], proxy_protocol: bool
) -> list[str]:
    """Return the sites that speak otherwise on a port: nginx has one way for all of it."""
    # The welcome page goes, or answers as the others do.
    ignored = (folder / f"{site}.conf", folder.parent / "sites-enabled" / "default")
    ways = {True: "speaks the PROXY protocol", False: "does not speak the PROXY protocol"}
    return [
        f"{path} {ways[not proxy_protocol]} on port {port}, and this site {ways[proxy_protocol]}"
        " (nginx_real_ip): it is one way for all sites of a port, so choose other ports"
        for path, server in _servers(folder)
        if path not in ignored
        for port in sorted(server.ports.intersection(ports))
        if (port in server.proxy_protocol_ports) != proxy_protocol
    ]


def obstacles(
    site: str, folder: Path, ports: list[int], names: list[str], proxy_protocol: bool = False
) -> list[str]:
    """Return what keeps nginx from having a site's file in ``folder``, its ports and names."""
    found = _name_obstacles(site, folder, ports, names)
    found += _protocol_obstacles(site, folder, ports, proxy_protocol)
    path = folder / f"{site}.conf"
    if path.exists() and site not in fleet_sites(folder):
        found.append(f"{path} is there and does not come from this collection: move it away")
    listeners = conflicts(listening(), "0.0.0.0", ports, None)  # noqa: S104
    taken = {listener.port: process_of(listener.inode) for listener in listeners}
    found += [
        f"port {port} is taken by {process}: free it, or choose other ports"
        " (nginx_http_port, nginx_https_port)"
        for port, process in sorted(taken.items())
        if not process.startswith("nginx ")
    ]
    return found


def welcome_page(conf: Path, conffiles: str) -> str:
    """Return what the distribution's welcome page is: ``absent``, ``pristine`` or ``changed``.

    ``conffiles`` is what dpkg knows of the package's configuration files: path and MD5 a line.
    """
    link = conf / "sites-enabled" / "default"
    page = conf / "sites-available" / "default"
    if not link.exists():
        return "absent"
    if not link.is_symlink() or link.resolve() != page.resolve():
        return "changed"
    known = dict(line.split()[:2] for line in conffiles.splitlines() if len(line.split()) >= 2)
    # Not for security: it is the digest that dpkg keeps.
    digest = hashlib.md5(page.read_bytes(), usedforsecurity=False).hexdigest()
    return "pristine" if known.get(str(page)) == digest else "changed"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def running_config(path: str, timeout: float = 5.0) -> str:
    """Return the digest of the site that the running nginx has loaded, empty where it has none."""
    connection = _UnixConnection(path, timeout)
    try:
        connection.request("GET", "/config")
        response = connection.getresponse()
        body = response.read(256).decode("ascii", "replace").strip()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
    return body if response.status == 200 else ""


def stale_sockets(folder: Path) -> list[str]:
    """Return the sockets that nobody listens on.

    A reload that fails leaves those behind that it had made, and the next one can't make them.
    """
    found = []
    for path in sorted(folder.glob("*.sock")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(5)
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                found.append(str(path))
            except OSError:
                continue
    return found


def _titled(master: int, wanted: str, proc: Path) -> list[int]:
    found = []
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            status = (folder / "status").read_text()
            title = (folder / "cmdline").read_bytes().rstrip(b"\0 ").decode("utf-8", "replace")
        except OSError:
            continue
        if title == wanted and f"\nPPid:\t{master}\n" in status:
            found.append(int(folder.name))
    return sorted(found)


def workers(master: int, proc: Path = Path("/proc")) -> list[int]:
    """Return the process ids of the master's workers, without those that shut down."""
    return _titled(master, WORKER, proc)


def connections_of(pids: list[int], proc: Path = Path("/proc")) -> dict[int, int]:
    """Return how many TCP connections of clients each process has."""
    listening_ports: set[str] = set()
    connected: dict[str, str] = {}
    for table in ("net/tcp", "net/tcp6"):
        try:
            lines = (proc / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            port, state, inode = fields[1].rpartition(":")[2], fields[3], fields[9]
            if state == "0A":
                listening_ports.add(port)
            elif inode != "0":
                connected[f"socket:[{inode}]"] = port
    # What nginx opens itself, to a server, comes from a port that nobody listens on.
    inbound = {name for name, port in connected.items() if port in listening_ports}
    found = {}
    for pid in pids:
        found[pid] = 0
        try:
            descriptors = list((proc / str(pid) / "fd").iterdir())
        except OSError:
            continue
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                found[pid] += str(descriptor.readlink()) in inbound
    return found


@dataclass(frozen=True)
class OldWorker:
    """A worker that a reload replaced and that goes on until its last client has left."""

    pid: int
    connections: int
    seconds: int


def _started(pid: int, proc: Path) -> float:
    """Return when a process started, in seconds since boot."""
    ticks = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[19]
    return int(ticks) / os.sysconf("SC_CLK_TCK")


def old_workers(master: int, proc: Path = Path("/proc")) -> list[OldWorker]:
    """Return the workers that shut down, and since when: since the next workers started."""
    old = _titled(master, OLD_WORKER, proc)
    if not old:
        return []
    try:
        uptime = float((proc / "uptime").read_text().split()[0])
        starts = {pid: _started(pid, proc) for pid in [*old, *workers(master, proc)]}
    except OSError:
        # One has ended meanwhile: what is left is for the next time.
        return []
    counted = connections_of(old, proc)
    return [
        OldWorker(
            pid,
            counted[pid],
            int(uptime - min((s for s in starts.values() if s > starts[pid]), default=uptime)),
        )
        for pid in old
    ]


def hardened(master: int, proc: Path = Path("/proc")) -> bool:
    """Return whether the running master was started with the unit's confinement."""
    try:
        return "\nNoNewPrivs:\t1\n" in (proc / str(master) / "status").read_text()
    except OSError:
        return False


def _group_ids(user: str) -> set[int]:
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return set()
    return set(os.getgrouplist(user, account.pw_gid))


def _group_names(ids: set[int]) -> list[str]:
    return sorted(group.gr_name for group in grp.getgrall() if group.gr_gid in ids)


def groups_of(user: str) -> list[str]:
    """Return the names of the groups that an account is in."""
    return _group_names(_group_ids(user))


def missing_groups(pids: list[int], user: str, proc: Path = Path("/proc")) -> list[str]:
    """Return the groups that ``user`` is in and a worker, started before that, is not."""
    wanted = _group_ids(user)
    missing: set[int] = set()
    for pid in pids:
        try:
            status = (proc / str(pid) / "status").read_text()
        except OSError:
            continue
        missing |= wanted - {int(group) for group in _first(r"^Groups:(.*)$", status, "").split()}
    return _group_names(missing)


def worker_file_limit(pids: list[int], proc: Path = Path("/proc")) -> int:
    """Return the smallest limit of open files that a worker really has, 0 without workers."""
    limits = []
    for pid in pids:
        try:
            text = (proc / str(pid) / "limits").read_text()
        except OSError:
            continue
        limits.append(int(_first(r"^Max open files\s+(\d+)", text, "0")))
    return min(limits, default=0)


def complaints(log: str, since: str) -> list[str]:
    """Return the grave lines of an error log from ``since`` (``2026/11/20 19:00:00``) on.

    A line that only repeats an earlier one is left out.
    """
    grave: dict[str, str] = {}
    for line in log.splitlines():
        found = re.match(r"(\S+ \S+) (\[(?:emerg|alert|crit)\].*)", line)
        if found and found[1] >= since:
            grave.setdefault(found[2], line)
    return list(grave.values())
