# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host gets of the machine it runs on."""

from __future__ import annotations

import pytest

from fleet_lab.machine import Mirrors, apt_proxy_conf, environment, mirrors, pip_conf, resolv_conf

DEB822 = """\
Types: deb
# a comment
URIs: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""
ONE_LINE = """\
# deb http://old.example/debian trixie main
deb [signed-by=/x.gpg arch=amd64] https://mirror.example/debian trixie main contrib
deb-src https://sources.example/debian trixie main
deb https://mirror.example/security trixie-security main
"""


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ([], Mirrors()),
        (
            [DEB822],
            Mirrors("http://mirror.example/debian", "http://mirror.example/debian-security"),
        ),
        (
            [ONE_LINE],
            Mirrors("https://mirror.example/debian", "https://mirror.example/security"),
        ),
        (["deb http://archive.ubuntu.com/ubuntu noble main"], Mirrors()),
        (["deb https://other.example/node_20.x nodistro main"], Mirrors()),
        ([DEB822.replace("Types: deb\n", "Types: deb-src\n")], Mirrors()),
        (["Enabled: no\n" + DEB822.partition("\n\n")[0]], Mirrors()),
        (["deb file:/srv/debian bookworm main"], Mirrors()),
        (["deb cdrom:[Debian]/ bookworm main"], Mirrors()),
    ],
    ids=[
        "none",
        "deb822",
        "one line",
        "ubuntu",
        "others",
        "sources only",
        "disabled",
        "file",
        "cdrom",
    ],
)
def test_mirrors(sources: list[str], found: Mirrors) -> None:
    assert mirrors(sources) == found


@pytest.mark.parametrize(
    ("candidates", "usable"),
    [
        (["nameserver 192.0.2.53\nsearch x\n"], "nameserver 192.0.2.53\nsearch x\n"),
        (["nameserver 127.0.0.53\n", "nameserver 192.0.2.1\n"], "nameserver 192.0.2.1\n"),
        (["nameserver 127.0.0.1\nnameserver 192.0.2.1\n"], "nameserver 192.0.2.1\n"),
        (["nameserver ::1\nnameserver fe80::1%eth0\n"], "nameserver fe80::1%eth0\n"),
        (["search x\n", "nameserver\n"], None),
        ([], None),
    ],
    ids=["as it is", "the stub's upstream", "loopback dropped", "IPv6", "no server", "no file"],
)
def test_resolvers_on_the_loopback_are_of_no_use(candidates: list[str], usable: str | None) -> None:
    assert resolv_conf(candidates) == usable


@pytest.mark.parametrize(
    ("files", "env", "lines"),
    [
        ([], {}, None),
        (["[global]\nindex-url = https://x/simple\n"], {}, ["index-url = https://x/simple"]),
        (
            ["[global]\nindex-url = https://x/\n", "[global]\nindex-url = https://y/\n"],
            {},
            ["index-url = https://y/"],
        ),
        (
            ["[global]\nindex-url = https://x/\n"],
            {"PIP_INDEX_URL": "https://z/"},
            ["index-url = https://z/"],
        ),
        (["[install]\ntrusted_host = a\n  b\n"], {}, ["trusted-host = a", "    b"]),
        (
            ["[global]\nextra-index-url = file:///srv/simple https://x/ \n"],
            {"PIP_FIND_LINKS": "/opt/wheels file:///opt/wheels"},
            ["extra-index-url = https://x/"],
        ),
        ([], {"PIP_FIND_LINKS": "/opt/wheels"}, None),
        (
            [],
            {"PIP_CERT": "/etc/mine.pem"},
            ["cert = /etc/ssl/certs/ca-certificates.crt"],
        ),
        ([], {"PIP_DEFAULT_TIMEOUT": "180"}, ["timeout = 180"]),
        (["[global]\ntarget = /x\nuser = true\ncache-dir = /y\n"], {"HOME": "/root"}, None),
        (["no section"], {}, None),
    ],
    ids=[
        "nothing",
        "kept",
        "later file",
        "environment",
        "list",
        "local indexes",
        "local folder",
        "bundle",
        "timeout",
        "of the machine itself",
        "broken",
    ],
)
def test_pip_conf(files: list[str], env: dict[str, str], lines: list[str] | None) -> None:
    expected = None if lines is None else "\n".join(["[global]", *lines, ""])
    assert pip_conf(files, env) == expected


def test_the_environment_has_the_proxies_and_nothing_else() -> None:
    env = {"https_proxy": "http://p:3128", "NO_PROXY": "a,b", "http_proxy": "", "TOKEN": "x"}
    assert environment(env) == 'https_proxy="http://p:3128"\nNO_PROXY="a,b"\n'
    assert environment({"TOKEN": "x"}) is None


@pytest.mark.parametrize(
    ("dump", "env", "expected"),
    [
        ("", {}, None),
        (
            'APT "";\nAcquire::http::Proxy "http://p:3142";\nAcquire::Retries "3";\n',
            {"http_proxy": "http://other"},
            'Acquire::http::Proxy "http://p:3142";\n',
        ),
        ("", {"HTTPS_PROXY": "http://q"}, 'Acquire::https::Proxy "http://q";\n'),
        (
            'Acquire::http::Proxy::mirror.example "DIRECT";\n',
            {},
            'Acquire::http::Proxy::mirror.example "DIRECT";\n',
        ),
    ],
    ids=["none", "apt's own", "environment", "one host"],
)
def test_apt_proxies(dump: str, env: dict[str, str], expected: str | None) -> None:
    assert apt_proxy_conf(dump, env) == expected
