# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's nginx is and runs, from what it and the system say."""

from __future__ import annotations

import getpass
import grp
import hashlib
import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.websockets.fleet.plugins.module_utils import _nginx

DEBIAN_12 = """nginx version: nginx/1.22.1
built with OpenSSL 3.0.17 1 Jul 2025 (running with OpenSSL 3.0.18 30 Sep 2025)
TLS SNI support enabled
configure arguments: --prefix=/usr/share/nginx --conf-path=/etc/nginx/nginx.conf --user=www-data
"""


def test_reads_versions_and_paths() -> None:
    build = _nginx.parse_build(DEBIAN_12 + "--error-log-path=stderr")
    assert (build.version, build.openssl) == ("1.22.1", "3.0.18")
    assert (build.conf_path, build.user) == ("/etc/nginx/nginx.conf", "www-data")
    assert build.error_log == "stderr"


def test_reads_a_build_that_says_less() -> None:
    build = _nginx.parse_build("nginx version: openresty/1.25.3.1\nbuilt with OpenSSL 3.5.4\n")
    assert (build.version, build.openssl) == ("1.25.3.1", "3.5.4")
    assert (build.conf_path, build.user) == ("/etc/nginx/nginx.conf", "nobody")
    assert build.error_log == "/var/log/nginx/error.log"


def test_reads_properties() -> None:
    text = "ActiveState=active\nMainPID=12\n\nExecStart={ path=/usr/sbin/nginx ; argv[]=a }\n"
    assert _nginx.parse_properties(text) == {
        "ActiveState": "active",
        "MainPID": "12",
        "ExecStart": "{ path=/usr/sbin/nginx ; argv[]=a }",
    }


@pytest.mark.parametrize(
    ("main", "user"),
    [("user www-data;\n", "www-data"), ("\tuser nginx nginx;\n", "nginx"), ("#user x;\n", "-")],
)
def test_reads_a_directive(main: str, user: str) -> None:
    assert _nginx.directive(main, "user", "-") == user


def test_knows_the_sites_of_the_role(tmp_path: Path) -> None:
    (tmp_path / "chat.conf").write_text("# websockets.fleet site chat\n")
    (tmp_path / "blog.conf").write_text("server {}\n")
    (tmp_path / "old.conf.bak").write_text("# websockets.fleet site old\n")
    assert _nginx.fleet_sites(tmp_path) == ["chat"]
    assert _nginx.fleet_sites(tmp_path / "missing") == []


def test_a_site_of_somebody_else_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "chat.conf").write_text("# websockets.fleet site\n")
    (tmp_path / "shop.conf").write_text("server {}\n")
    assert _nginx.obstacles("chat", tmp_path, [], []) == []
    assert _nginx.obstacles("feed", tmp_path, [], []) == []
    assert "shop.conf is there" in _nginx.obstacles("shop", tmp_path, [], [])[0]


def test_a_port_that_another_program_has_is_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (fault,) = _nginx.obstacles("chat", tmp_path, [port], [])
        assert f"port {port} is taken by" in fault
        assert f"(pid {os.getpid()})" in fault
        monkeypatch.setattr(_nginx, "process_of", lambda _inode: "nginx (pid 1)")
        assert _nginx.obstacles("chat", tmp_path, [port], []) == []


SITE = """# websockets.fleet site {name}
server {{
    listen 80;
    listen [::]:80;
    server_name {names};
}}
server {{
    listen 443 ssl http2{default};
    listen [::]:443 ssl http2{default};
    server_name {names};
    location / {{ return 404; }} # server_name in.a.comment;
}}
server {{
    listen unix:/run/{name}.sock;
}}
"""


def test_reads_names_and_ports_of_servers() -> None:
    text = "http {\n#server { listen 1; }\nserver{listen 127.0.0.1; location / { } }\n}"
    text += SITE.format(name="chat", names="Chat.example.com *.example.com", default=" deferred")
    text += "server { server_name _; listen 127.0.0.1:8080 default_server; }"
    names = frozenset({"chat.example.com", "*.example.com"})
    nothing: frozenset[int] = frozenset()
    assert _nginx.parse_servers(text) == [
        _nginx.VirtualServer(frozenset(), frozenset({80}), nothing),
        _nginx.VirtualServer(names, frozenset({80}), nothing),
        _nginx.VirtualServer(names, frozenset({443}), nothing),
        _nginx.VirtualServer(frozenset(), nothing, nothing),
        _nginx.VirtualServer(frozenset({"_"}), frozenset({8080}), frozenset({8080})),
    ]


def test_the_first_site_of_a_port_stays_its_default(tmp_path: Path) -> None:
    text = SITE.format(name="chat", names="chat.example.com", default=" default_server")
    (tmp_path / "chat.conf").write_text(text)
    assert _nginx.default_ports("chat", tmp_path) == []
    assert _nginx.default_ports("a-shop", tmp_path) == [443]


@pytest.fixture
def two_sites(tmp_path: Path) -> Path:
    """The folder of nginx's sites, with one of the role and one of somebody else."""
    folder = tmp_path / "conf.d"
    folder.mkdir()
    text = SITE.format(name="chat", names="chat.example.com www.example.com", default="")
    (folder / "chat.conf").write_text(text)
    (tmp_path / "sites-enabled").mkdir()
    (tmp_path / "sites-enabled" / "blog").write_text(
        "server { listen 443 ssl; server_name blog.example.com; }"
    )
    return folder


@pytest.mark.parametrize(
    ("site", "ports", "names", "words"),
    [
        ("shop", [80, 443], ["shop.example.com", "example.com"], []),
        ("shop", [8080, 8443], ["chat.example.com"], []),
        ("chat", [80, 443], ["chat.example.com"], []),
        ("chat", [80, 443], ["talk.example.com", "chat.example.com"], []),
        (
            "shop",
            [80, 443],
            ["Chat.example.com", "www.example.com"],
            [
                "nginx_domain 'Chat.example.com' is taken by the application chat (",
                "nginx_extra_names 'www.example.com' is taken by the application chat (",
            ],
        ),
        (
            "shop",
            [80, 443],
            ["blog.example.com"],
            ["nginx_domain 'blog.example.com' is taken by another site ("],
        ),
        (
            "chat",
            [80, 443],
            ["shop.example.com"],
            [
                (
                    "nginx_domain is 'shop.example.com', and app_name 'chat' serves"
                    " chat.example.com www.example.com on this host"
                )
            ],
        ),
    ],
)
def test_a_name_belongs_to_one_site(
    two_sites: Path,
    monkeypatch: pytest.MonkeyPatch,
    site: str,
    ports: list[int],
    names: list[str],
    words: list[str],
) -> None:
    monkeypatch.setattr(_nginx, "listening", list)
    found = _nginx.obstacles(site, two_sites, ports, names)
    assert len(found) == len(words)
    assert all(fault.startswith(start) for fault, start in zip(found, words, strict=True))


@pytest.mark.parametrize(
    ("known", "state"), [("page", "pristine"), ("another page", "changed"), ("", "changed")]
)
def test_tells_an_edited_welcome_page(tmp_path: Path, known: str, state: str) -> None:
    page = tmp_path / "sites-available" / "default"
    page.parent.mkdir()
    (tmp_path / "sites-enabled").mkdir()
    assert _nginx.welcome_page(tmp_path, "") == "absent"
    page.write_text("page")
    (tmp_path / "sites-enabled" / "default").symlink_to(page)
    digest = hashlib.md5(known.encode(), usedforsecurity=False).hexdigest()
    assert _nginx.welcome_page(tmp_path, f"\n {page} {digest}\n obsolete\n") == state


def test_a_file_in_the_welcome_pages_place_is_somebodys(tmp_path: Path) -> None:
    (tmp_path / "sites-enabled").mkdir()
    (tmp_path / "sites-enabled" / "default").write_text("server {}")
    assert _nginx.welcome_page(tmp_path, "") == "changed"


class Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        path = self.rfile.readline().split()[1]
        if path == b"/config":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc\n")


@pytest.fixture
def site_socket(tmp_path: Path) -> Iterator[str]:
    path = str(tmp_path / "s")
    with socketserver.UnixStreamServer(path, Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def test_asks_the_running_nginx(site_socket: str) -> None:
    assert _nginx.running_config(site_socket) == "abc"


def test_nothing_runs_where_nobody_listens(tmp_path: Path) -> None:
    assert _nginx.running_config(str(tmp_path / "missing")) == ""


def test_finds_sockets_that_nobody_listens_on(site_socket: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(tmp_path / "left.sock"))
    Path(site_socket).rename(tmp_path / "site.sock")
    assert _nginx.stale_sockets(tmp_path) == [str(tmp_path / "left.sock")]
    assert _nginx.stale_sockets(tmp_path / "missing") == []


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A /proc with a master (10), its workers (11, 12), one that shuts down, and strangers."""
    for pid, parent, title in (
        (10, 1, b"nginx: master process /usr/sbin/nginx\0"),
        (11, 10, b"nginx: worker process\0"),
        (12, 10, b"nginx: worker process"),
        (13, 10, b"nginx: worker process is shutting down\0"),
        (14, 99, b"nginx: worker process\0"),
        (15, 10, b"bash\0"),
    ):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "status").write_text(f"Name:\tnginx\nPPid:\t{parent}\nGroups:\t{os.getgid()} \n")
        (folder / "cmdline").write_bytes(title)
        limit = 1024 * (pid - 9)
        (folder / "limits").write_text(f"Max open files            {limit}   {limit}  files\n")
    (tmp_path / "self").mkdir()
    (tmp_path / "16").mkdir()
    return tmp_path


def test_finds_the_workers_that_serve(proc: Path) -> None:
    assert _nginx.workers(10, proc) == [11, 12]


def test_sites_of_a_port_speak_one_protocol(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    text = "server { listen 443 ssl proxy_protocol; listen 80; server_name a.example.com; }"
    (folder / "blog.conf").write_text(text)
    (fault,) = _nginx.obstacles("chat", folder, [443], ["chat.example.com"])
    assert f"{folder}/blog.conf speaks the PROXY protocol on port 443" in fault
    assert _nginx.obstacles("chat", folder, [443], ["chat.example.com"], True) == []
    (fault,) = _nginx.obstacles("chat", folder, [80], ["chat.example.com"], True)
    assert f"{folder}/blog.conf does not speak the PROXY protocol on port 80" in fault
    assert _nginx.obstacles("chat", folder, [8443], ["chat.example.com"], True) == []


def test_reads_each_of_several_ports_of_a_server() -> None:
    (server,) = _nginx.parse_servers("server {\n listen 80;\n listen 443 ssl default_server;\n}")
    assert sorted(server.ports) == [80, 443]
    assert sorted(server.default_ports) == [443]


TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt  uid  timeout
   0: 00000000:01BB 00000000:0000 0A 0:0 00:0 0 0 0 900 1 0 100 0 0 10 0
   1: 0100000A:01BB 0900000A:C001 01 0:0 00:0 0 0 0 901 1 0 100 0 0 10 0
   2: 0100000A:01BB 0900000A:C002 01 0:0 00:0 0 0 0 902 1 0 100 0 0 10 0
   3: 0100000A:C003 0200000A:223D 01 0:0 00:0 0 0 0 903 1 0 100 0 0 10 0
   4: 0100000A:01BB 0900000A:C004 06 0:0 00:0 0 0 0 0 1 0 100 0 0 10 0
"""


def test_counts_the_clients_and_not_what_nginx_opened(proc: Path) -> None:
    (proc / "net").mkdir()
    (proc / "net" / "tcp").write_text(TCP)
    (proc / "net" / "tcp6").write_text(TCP.splitlines()[0] + "\n")
    for pid, inodes in ((11, (900, 901, 903)), (12, (900, 902))):
        (proc / str(pid) / "fd").mkdir()
        for number, inode in enumerate(inodes):
            (proc / str(pid) / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
        (proc / str(pid) / "fd" / "9").symlink_to("/dev/null")
    assert _nginx.connections_of([11, 12, 77], proc) == {11: 1, 12: 1, 77: 0}


def test_an_old_worker_is_one_since_the_next_ones_started(proc: Path) -> None:
    (proc / "uptime").write_text("1000.50 1900.00\n")
    ticks = os.sysconf("SC_CLK_TCK")
    fields = " ".join("0" for _number in range(18))
    for pid, started in ((11, 700), (12, 900), (13, 100), (20, 500)):
        (proc / str(pid)).mkdir(exist_ok=True)
        # A program's name may have anything in it.
        stat = f"{pid} (nginx) x) S {fields} {started * ticks} 0\n"
        (proc / str(pid) / "stat").write_text(stat)
    for pid in (13, 20):
        (proc / str(pid) / "status").write_text("Name:\tnginx\nPPid:\t10\n")
        (proc / str(pid) / "cmdline").write_bytes(b"nginx: worker process is shutting down\0")
    assert _nginx.old_workers(10, proc) == [
        _nginx.OldWorker(pid=13, connections=0, seconds=500),
        _nginx.OldWorker(pid=20, connections=0, seconds=300),
    ]
    assert _nginx.old_workers(99, proc) == []


def test_knows_whether_the_running_master_is_confined(proc: Path) -> None:
    (proc / "10").mkdir(exist_ok=True)
    for flag, confined in (("0", False), ("1", True)):
        (proc / "10" / "status").write_text(f"Name:\tnginx\nNoNewPrivs:\t{flag}\nSeccomp:\t2\n")
        assert _nginx.hardened(10, proc) is confined
    assert _nginx.hardened(0, proc) is False


def test_reads_the_smallest_limit_of_the_workers(proc: Path) -> None:
    assert _nginx.worker_file_limit([11, 12], proc) == 2048
    assert _nginx.worker_file_limit([12, 16], proc) == 3072
    assert _nginx.worker_file_limit([], proc) == 0


def test_names_groups_that_a_worker_was_started_without(
    proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = next(group for group in grp.getgrall() if group.gr_gid != os.getgid())
    monkeypatch.setattr(os, "getgrouplist", lambda *_: [os.getgid(), joined.gr_gid])
    user = getpass.getuser()
    assert _nginx.missing_groups([11, 12], user, proc) == [joined.gr_name]
    assert joined.gr_name in _nginx.groups_of(user)
    (proc / "11" / "status").write_text(f"Groups:\t{os.getgid()} {joined.gr_gid}\n")
    assert _nginx.missing_groups([11, 16], user, proc) == []
    assert _nginx.missing_groups([11], "no such account", proc) == []


def test_hears_grave_complaints_only() -> None:
    log = (
        "2026/11/20 19:00:00 [emerg] 1#1: old\n"
        "2026/11/20 19:14:28 [notice] 1#1: using inherited sockets\n"
        "2026/11/20 19:14:29 [emerg] 1#1: bind() to 0.0.0.0:443 failed\n"
        "2026/11/20 19:14:29 [emerg] 1#1: bind() to 0.0.0.0:443 failed\n"
        "2026/11/20 19:14:30 [error] 2#2: *1 upstream timed out\n"
    )
    assert _nginx.complaints(log, "2026/11/20 19:14:28") == [
        "2026/11/20 19:14:29 [emerg] 1#1: bind() to 0.0.0.0:443 failed"
    ]
