"""The service as its clients and the kernel see it."""

from __future__ import annotations

import http.client
import ssl
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from websockets.sync.client import connect

if TYPE_CHECKING:
    from conftest import Fleet

PROCESSES = 3
SERVERS = ("app1", "app2")


def test_echo_through_the_load_balancer_with_its_certificate_checked(fleet: Fleet) -> None:
    with fleet.client("lb1") as connection:
        connection.send("hello")
        assert connection.recv(timeout=5) == "hello"
        connection.send(b"\x00\xff" * 1000)
        assert connection.recv(timeout=5) == b"\x00\xff" * 1000
        certificate = connection.certificate()
    assert ("DNS", "echo.example.test") in certificate["subjectAltName"]


def test_a_client_that_does_not_know_the_authority_refuses(fleet: Fleet) -> None:
    with (
        pytest.raises(ssl.SSLCertVerificationError),
        fleet.client("lb1", ssl.create_default_context()),
    ):
        pass


@pytest.mark.parametrize("name", SERVERS)
def test_the_processes_really_share_the_port(fleet: Fleet, name: str) -> None:
    server = fleet[name]
    listeners = server.run("ss -Htlnp sport = :8765").splitlines()
    pids = {line.split("pid=")[1].split(",")[0] for line in listeners}
    assert len(listeners) == len(pids) == PROCESSES
    before = [server.status(i)["opened_total"] for i in (1, 2, 3)]
    with ExitStack() as stack:
        for _number in range(60):
            stack.enter_context(connect(f"ws://{server.address}:8765/"))
        after = [server.status(i) for i in (1, 2, 3)]
    taken = [status["opened_total"] - first for status, first in zip(after, before, strict=True)]
    # The load balancer's health checks open none; 60 in one of three pots: (2/3)**60.
    assert sum(taken) == 60
    assert min(taken) > 0
    assert sum(status["connections"] for status in after) >= 60


@pytest.mark.parametrize("name", SERVERS)
def test_every_process_is_well_and_says_so(fleet: Fleet, name: str) -> None:
    server = fleet[name]
    for index in range(1, PROCESSES + 1):
        assert server.admin(index, "/healthz") == (200, "ok")
        status = server.status(index)
        assert status["pid"] == server.main_pid(f"echo@{index}.service")
        assert status["instance"] == index
        code, metrics = server.admin(index, "/metrics")
        assert code == 200
        assert "\nwebsockets_fleet_connections " in metrics


def test_health_and_nothing_else_over_http(fleet: Fleet) -> None:
    direct = http.client.HTTPConnection(fleet["app1"].address, 8765, timeout=5)
    direct.request("GET", "/healthz")
    assert direct.getresponse().status == 200
    through = http.client.HTTPSConnection(
        fleet["lb1"].address, 443, timeout=5, context=unverified()
    )
    for path, status in (("/healthz", 200), ("/", 426), ("/status", 426), ("/metrics", 426)):
        through.request("GET", path, headers={"Host": "echo.example.test"})
        response = through.getresponse()
        response.read()
        assert (path, response.status) == (path, status)


def unverified() -> ssl.SSLContext:
    """A context for tests of HTTP: that of TLS is above."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_port_80_only_redirects(fleet: Fleet) -> None:
    plain = http.client.HTTPConnection(fleet["lb1"].address, 80, timeout=5)
    plain.request("GET", "/chat?room=1", headers={"Host": "echo.example.test"})
    response = plain.getresponse()
    assert response.status == 308
    assert response.headers["Location"] == "https://echo.example.test/chat?room=1"


@pytest.mark.parametrize("name", ["lb1", *SERVERS])
def test_the_running_kernel_has_what_the_file_says(fleet: Fleet, name: str) -> None:
    server = fleet[name]
    wanted = {}
    for line in server.run("cat /etc/sysctl.d/60-websockets-fleet.conf").splitlines():
        if "=" in line and not line.startswith(("#", ";")):
            key, _equals, value = line.partition("=")
            wanted[key.strip().removeprefix("-")] = value.split()
    # A container can't have these; on a real kernel the metal scenario looks at them.
    settable = {key: value for key, value in wanted.items() if not key.startswith("fs.")}
    has = {key: server.run(f"cat /proc/sys/{key.replace('.', '/')}").split() for key in settable}
    assert has == settable
    assert int(has["net.core.somaxconn"][0]) >= 4096
    if name in SERVERS:
        assert has["net.ipv4.ip_local_reserved_ports"] == ["8765"]


@pytest.mark.parametrize("name", SERVERS)
def test_processes_have_the_descriptors_that_the_unit_promises(fleet: Fleet, name: str) -> None:
    server = fleet[name]
    # What the lab's own machine allows is the most that a container can have.
    machine = int(server.run("awk '/Max open files/ {print $5}' /proc/1/limits"))
    for index in range(1, PROCESSES + 1):
        pid = server.main_pid(f"echo@{index}.service")
        soft = int(server.run(f"awk '/Max open files/ {{print $4}}' /proc/{pid}/limits"))
        assert soft == min(65536, machine)


def test_nothing_runs_as_root_but_the_master_of_nginx(fleet: Fleet) -> None:
    for name in SERVERS:
        rows = fleet[name].run("ps -eo user:32,uid,args").splitlines()
        users = {
            row.split()[0] for row in rows if "websockets_fleet" in row and "ps -eo" not in row
        }
        assert users == {"echo"}
        for index in range(1, PROCESSES + 1):
            pid = fleet[name].main_pid(f"echo@{index}.service")
            capabilities = fleet[name].run(f"grep -E '^Cap(Eff|Prm|Bnd)' /proc/{pid}/status")
            assert set(capabilities.split()[1::2]) == {"0" * 16}
    rows = fleet["lb1"].run("ps -C nginx -o user:32,args --no-headers").splitlines()
    assert {tuple(row.split()[:3]) for row in rows if "master" in row} == {
        ("root", "nginx:", "master")
    }
    assert {row.split()[0] for row in rows if "master" not in row} == {"www-data"}


def test_the_environment_arrives_and_the_secrets_are_roots(fleet: Fleet) -> None:
    server = fleet["app1"]
    environment = server.run(
        f"tr '\\0' '\\n' < /proc/{server.main_pid('echo@1.service')}/environ"
    ).splitlines()
    assert 'GREETING=quotes " and \\ back' in environment
    assert "TOKEN=of-the-default-scenario" in environment
    assert server.run("stat --format '%a %U' /etc/echo/secrets") == "400 root"


def test_no_other_account_can_read_the_application(fleet: Fleet) -> None:
    server = fleet["app1"]
    for path in ("/opt/echo/current/", "/etc/echo/env", "/run/echo/1.admin.sock"):
        assert server.host.run(f"setpriv --reuid=nobody --clear-groups ls {path}").rc != 0


def test_the_application_can_change_nothing_of_its_own(fleet: Fleet) -> None:
    server = fleet["app1"]
    for path in ("/opt/echo", "/etc/echo"):
        writable = server.run(
            f"setpriv --reuid=echo --regid=echo --clear-groups"
            f" find {path} -writable -not -type l -print"
        )
        assert writable == ""


@pytest.mark.parametrize("name", SERVERS)
def test_a_boot_would_start_what_runs(fleet: Fleet, name: str) -> None:
    server = fleet[name]
    assert server.run("systemctl is-enabled echo.target") == "enabled"
    wants = server.run("ls /etc/systemd/system/echo.target.wants").split()
    assert wants == [f"echo@{index}.service" for index in range(1, PROCESSES + 1)]
    assert server.run("systemctl is-active echo.target") == "active"
    assert server.run("systemctl --failed --no-legend --plain") == ""
