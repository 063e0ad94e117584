# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configurations that are compared: the role's site with other upstreams, and a guide's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["GUIDE_PORT", "VARIANTS", "Site", "Variant", "site"]

GUIDE_PORT = 8080


@dataclass(frozen=True, slots=True)
class Site:
    """The site that the role laid, and the upstream in it."""

    text: str
    name: str
    servers: tuple[str, ...]

    def with_servers(self, *lines: str, method: str = "least_conn;") -> str:
        """Give the site with other lines in its upstream."""
        body = "".join(f"    {line}\n" for line in (f"zone {self.name} 256k;", method, *lines))
        block = f"upstream {self.name} {{\n{body}}}\n"
        return re.sub(_block(self.name), lambda _found: block, self.text)

    def through_one_upstream(self, text: str) -> str:
        """Give a site whose health checks go through the upstream of the WebSockets."""
        asked = f"proxy_pass http://{self.name}_health;"
        if asked not in text:
            raise ValueError(f"the site has no {asked!r}")
        return text.replace(asked, f"proxy_pass http://{self.name};")


def _block(name: str) -> str:
    return rf"(?ms)^upstream {re.escape(name)} \{{\n.*?^\}}\n"


def site(text: str) -> Site:
    """Find the upstream of the WebSockets in a site. Raises ValueError where there is none."""
    name = re.search(r"(?m)^upstream (fleet_\w+) \{$", text)
    block = name and re.search(_block(name[1]), text)
    servers = re.findall(r"(?m)^ +server (\S+)[ ;]", block[0]) if block else []
    if not name or not servers:
        raise ValueError("the site has no upstream with servers")
    return Site(text, name[1], tuple(dict.fromkeys(servers)))


@dataclass(frozen=True, slots=True)
class Variant:
    """A configuration: the text of nginx's file, where clients connect, and who asks for health."""

    about: str
    render: Callable[[Site], str]
    guide: bool = False
    probed: bool = False


def _guide(found: Site) -> str:
    """What the guide says, in words of our own, for the same servers.

    Its port faces clients without TLS. nginx.conf around it is that of the role: with the guide's
    512 connections a worker, one worker would have room for 256 clients.
    """
    servers = "".join(f"    server {server};\n" for server in found.servers)
    return f"""\
upstream websocket {{
    least_conn;
{servers}}}
server {{
    listen {GUIDE_PORT};
    location / {{
        proxy_http_version 1.1;
        proxy_pass http://websocket;
        proxy_set_header Connection $http_connection;
        proxy_set_header Upgrade $http_upgrade;
    }}
}}
"""


def _patient(found: Site) -> str:
    before, number = re.subn(
        r"(?m)^    proxy_connect_timeout \S+;", "    proxy_connect_timeout 2s;", found.text
    )
    if number != 1:
        raise ValueError("the site has no proxy_connect_timeout of its own")
    return before


def _marked(found: Site) -> list[str]:
    return [f"server {server} max_fails=1 fail_timeout=1s;" for server in found.servers]


def _unmarked(found: Site) -> list[str]:
    return [f"server {server} max_fails=0;" for server in found.servers]


def _with_a_way_out(found: Site) -> str:
    ways_out = [f"server {server} max_fails=0 backup;" for server in found.servers]
    return found.with_servers(*_marked(found), *ways_out)


VARIANTS = {
    "guide": Variant(
        "the nginx guide of the websockets documentation: max_fails=1 fail_timeout=10s",
        _guide,
        guide=True,
    ),
    "role": Variant("the role as it is", lambda found: found.text),
    "patient": Variant("the role, with nginx_connect_timeout: 2", _patient),
    "random": Variant(
        "the role, with random two least_conn",
        lambda found: found.with_servers(*_unmarked(found), method="random two least_conn;"),
    ),
    "second": Variant(
        "the role, with max_fails=1 fail_timeout=1s",
        lambda found: found.with_servers(*_marked(found)),
    ),
    "probed": Variant(
        "second, and GET /healthz through it twice a second",
        lambda found: found.through_one_upstream(found.with_servers(*_marked(found))),
        probed=True,
    ),
    "backup": Variant(
        "second, and each server once more as backup with max_fails=0",
        _with_a_way_out,
    ),
    "backup-probed": Variant(
        "backup, and GET /healthz through it twice a second",
        lambda found: found.through_one_upstream(_with_a_way_out(found)),
        probed=True,
    ),
}
