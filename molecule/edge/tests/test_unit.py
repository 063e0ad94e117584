"""nginx's unit: what it may do, and that everything it has to do still works."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fleet, Run

LOAD_BALANCERS = ("lb1", "lb2")


@pytest.mark.parametrize("name", LOAD_BALANCERS)
def test_the_running_nginx_is_confined(fleet: Fleet, name: str) -> None:
    server = fleet[name]
    shown = server.run("systemd-analyze security --no-pager nginx.service | tail -1")
    found = re.search(r"nginx\.service: ([\d.]+)", shown)
    assert found is not None
    assert float(found[1]) <= 3.0, shown
    master = server.main_pid("nginx.service")
    status = server.run(f"cat /proc/{master}/status")
    assert "NoNewPrivs:\t1" in status
    # The unit's file may say what the process was not started with.
    assert server.host.run(f"nsenter --mount --target {master} touch /etc/nginx/x").rc != 0


@pytest.mark.parametrize("name", LOAD_BALANCERS)
def test_its_workers_can_have_the_files_that_they_need(fleet: Fleet, name: str) -> None:
    server = fleet[name]
    machine = int(server.run("awk '/Max open files/ {print $5}' /proc/1/limits"))
    workers = server.run("pgrep --full 'nginx: worker process$'").split()
    assert workers
    for pid in workers:
        soft = int(server.run(f"awk '/Max open files/ {{print $4}}' /proc/{pid}/limits"))
        assert soft == min(2 * 16384, machine)


@pytest.mark.parametrize("name", LOAD_BALANCERS)
def test_a_site_of_somebody_else_goes_on(fleet: Fleet, name: str) -> None:
    """Pages in a home, a socket in /tmp, a key that only root can read."""
    server = fleet[name]
    server.run(
        "mkdir -p /home/somebody/www && echo theirs > /home/somebody/www/page"
        " && chmod -R go+rX /home/somebody"
        " && cp /etc/websockets-fleet/echo/tls/fullchain.pem /root/their.pem"
        " && cp /etc/websockets-fleet/echo/tls/privkey.pem /root/their.key"
        " && chmod 600 /root/their.key"
    )
    site = """server { listen 127.0.0.1:8080; server_name theirs;
        root /home/somebody/www; access_log /var/log/nginx/theirs.log;
        location /socket { proxy_pass http://unix:/tmp/theirs.sock:/page; } }
    server { listen unix:/tmp/theirs.sock; root /home/somebody/www; }
    server { listen 127.0.0.1:8443 ssl; ssl_certificate /root/their.pem;
        ssl_certificate_key /root/their.key; root /home/somebody/www; }"""
    path = "/etc/nginx/conf.d/theirs.conf"
    server.run(f"echo {json.dumps(site)} > {path} && nginx -t && systemctl reload nginx && sleep 1")
    ask = (
        'python3 -c "import ssl,urllib.request as r;'
        "c=ssl._create_unverified_context();"
        "print(*[r.urlopen(u, context=c).read().decode().strip() for u in"
        " ('http://127.0.0.1:8080/page','http://127.0.0.1:8080/socket',"
        "'https://127.0.0.1:8443/page')])\""
    )
    try:
        assert server.run(ask) == "theirs theirs theirs"
    finally:
        server.run(f"rm {path} /tmp/theirs.sock && systemctl reload nginx")


@pytest.mark.parametrize("name", LOAD_BALANCERS)
def test_counters_are_for_root_on_the_host(fleet: Fleet, name: str) -> None:
    server = fleet[name]
    ask = (
        "import socket;s=socket.socket(socket.AF_UNIX);s.settimeout(5);"
        "s.connect('/run/websockets-fleet-nginx/echo.sock');"
        "s.sendall(b'GET /status HTTP/1.0\\r\\n\\r\\n');print(s.makefile(newline='').read())"
    )
    with fleet.client(name):
        assert re.search(r"Active connections: [1-9]", server.run(f'python3 -c "{ask}"'))
    assert server.run("stat --format '%U %a' /run/websockets-fleet-nginx") == "root 700"
    for scheme, port in (("http", 80), ("https", 443)):
        fetch = (
            "import ssl,urllib.request as r;c=ssl._create_unverified_context();"
            f"print(r.urlopen('{scheme}://127.0.0.1:{port}/status',context=c).read())"
        )
        assert "Active" not in server.host.run(f'python3 -c "{fetch}"').stdout


def test_confinement_waits_until_nobody_is_connected(fleet: Fleet) -> None:
    """A host may have had its nginx, and its clients, before the fleet came."""
    server = fleet["lb1"]
    site = ("websockets.fleet.site", "--limit", "lb1,localhost")
    off = ("-e", '{"nginx_hardening": false}')
    before = server.main_pid("nginx.service")
    assert "NoNewPrivs:\t1" in server.run(f"cat /proc/{before}/status")

    async def hold() -> Run:
        async with fleet.connect("lb1") as connection:
            run = await asyncio.to_thread(fleet.play, *site, *off)
            await connection.send("still here")
            assert await connection.recv() == "still here"
        return run

    run = asyncio.run(hold())
    assert run.code == 0, run.output
    assert "takes effect when nginx restarts, which would end" in " ".join(run.output.split())
    assert server.main_pid("nginx.service") == before
    run = fleet.play(*site, *off)
    assert run.code == 0, run.output
    assert "NoNewPrivs:\t0" in server.run("cat /proc/$(cat /run/nginx.pid)/status")
    run = fleet.play(*site)
    assert run.code == 0, run.output
    assert "NoNewPrivs:\t1" in server.run("cat /proc/$(cat /run/nginx.pid)/status")
