"""IPv6 on both sides of nginx, on a site that comes and goes beside the first."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Fleet, Server

PLAY = """
- hosts: lb1
  gather_facts: true
  become: true
  tasks:
    - name: Have or remove a second site
      ansible.builtin.include_role:
        name: websockets.fleet.nginx
        tasks_from: "{{ what }}"
      vars:
        nginx_site: six
        nginx_domain: six.example.test
        nginx_upstream_servers: [{address: "[::1]:9000"}]
        nginx_listen_ipv6: true
        nginx_https_port: 8443
        nginx_http_port: 8080
        nginx_certificate_file: /etc/websockets-fleet/echo/tls/fullchain.pem
        nginx_certificate_key_file: /etc/websockets-fleet/echo/tls/privkey.pem
"""
# What the first site is, and who serves it.
FIRST = (
    "sha256sum /etc/nginx/conf.d/echo.conf; stat --format %Y /etc/nginx/conf.d/echo.conf;"
    " systemctl show --property=MainPID nginx"
)


def ask(server: Server) -> str:
    """Ask the second site over IPv6."""
    return server.run(
        'python3 -c "import ssl,urllib.request as r;'
        "print(r.urlopen('https://[::1]:8443/healthz',"
        'context=ssl._create_unverified_context()).read().decode())"'
    )


def test_a_site_and_its_server_speak_ipv6(fleet: Fleet, tmp_path: Path) -> None:
    server = fleet["lb1"]
    play = tmp_path / "six.yml"
    play.write_text(PLAY)
    before = server.run(FIRST)

    def come_and_go() -> None:
        try:
            run = fleet.play(str(play), "-e", "what=main")
            assert run.code == 0, run.output
            assert ask(server) == "six"
        finally:
            run = fleet.play(str(play), "-e", "what=remove")
        assert run.code == 0, run.output

    async def beside() -> None:
        async with fleet.connect("lb1") as connection:
            await asyncio.to_thread(come_and_go)
            await connection.send("still here")
            assert await connection.recv() == "still here"

    try:
        server.run(
            "mkdir -p /srv/six && echo six > /srv/six/healthz"
            " && systemd-run --quiet --unit=six python3 -m http.server -d /srv/six --bind ::1 9000"
        )
        asyncio.run(beside())
    finally:
        server.host.run("systemctl stop six; rm -r /srv/six")
    assert server.run(FIRST) == before
    # nginx reloads in its own time.
    deadline = time.monotonic() + 10
    while server.run("ss -Hltn 'sport = :8443'"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
