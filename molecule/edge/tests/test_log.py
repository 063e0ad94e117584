"""What the access log says of handshakes and connections, and what it must not say."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Fleet, Server

    from .conftest import Door

LOAD_BALANCERS = ("lb1", "lb2")
NAME = "echo.example.test"
LOG = "/var/log/nginx/echo.access.log"


def logged(server: Server, mark: str, log: str = LOG) -> dict[str, Any]:
    """Return the line that an agent with this name left."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        lines = server.run(f"grep --fixed-strings '{mark}' {log} || true").splitlines()
        if lines:
            (line,) = lines
            found: dict[str, Any] = json.loads(line)
            return found
        time.sleep(0.2)
    raise AssertionError(f"{log} on {server.name} has no {mark}")


@pytest.mark.parametrize("name", LOAD_BALANCERS)
def test_a_connection_leaves_a_line_when_it_ends(fleet: Fleet, name: str) -> None:
    mark = f"line-{time.time_ns()}"
    servers = {f"{fleet[app].address}:8765" for app in ("app1", "app2")}
    with fleet.client(name, user_agent_header=mark) as connection:
        connection.send("x" * 10_000)
        assert len(connection.recv()) == 10_000
        time.sleep(1)
    line = logged(fleet[name], mark)
    assert line["status"] == 101
    assert line["host"] == "echo.example.test"
    assert line["server"] in servers
    assert line["server_status"] == "101"
    assert 0 <= float(line["server_connect"]) < 1
    assert 1 <= line["seconds"] < 10
    # The client compresses; what came back and the headers are there in any case.
    assert line["bytes_to_client"] > 100
    assert int(line["bytes_to_server"]) > 100
    assert len(line["id"]) == 32
    assert line["limit"] == "PASSED"


def test_a_refusal_says_who_and_why(fleet: Fleet, usual: Door, strict: Door) -> None:
    mark = f"refused-{time.time_ns()}"

    async def ask() -> None:
        (await usual.ask(Origin="https://evil.example", User_Agent=mark)).close()
        (await strict.ask("203.0.113.9", User_Agent=mark)).close()

    asyncio.run(ask())
    line = logged(fleet["lb1"], mark)
    assert (line["status"], line["origin"], line["server"]) == (403, "https://evil.example", "")
    line = logged(fleet["lb2"], mark)
    assert (line["status"], line["client"], line["server"]) == (403, "203.0.113.9", "")


def test_what_clients_send_does_not_break_a_line(fleet: Fleet, usual: Door) -> None:
    mark = f"odd-{time.time_ns()}"

    async def ask() -> None:
        (await usual.ask(path="/%22%0a%ff?a=1", User_Agent=f'{mark}"\\{{}}\t')).close()

    asyncio.run(ask())
    line = logged(fleet["lb1"], mark)
    assert line["path"] == "/%22%0a%ff"
    assert line["agent"].startswith(f'{mark}"\\{{}}')


@pytest.mark.parametrize("name", LOAD_BALANCERS)
def test_no_log_has_a_token(fleet: Fleet, usual: Door, strict: Door, name: str) -> None:
    mark = f"token-{time.time_ns()}"
    secret = f"secret{time.time_ns()}"
    door = {"lb1": usual, "lb2": strict}[name]

    async def ask() -> None:
        answer = await door.ask(
            "192.0.2.40",
            path=f"/chat?token={secret}",
            User_Agent=mark,
            Cookie=f"session={secret}",
            Authorization=f"Bearer {secret}",
        )
        answer.close()
        assert answer.status == 101

    asyncio.run(ask())
    assert logged(fleet[name], mark)["path"] == "/chat"
    assert fleet[name].host.run(f"grep --recursive {secret} /var/log/nginx").rc == 1


def test_no_log_has_a_token_of_who_announced_a_large_body(fleet: Fleet, usual: Door) -> None:
    mark = f"large-{time.time_ns()}"
    secret = f"secret{time.time_ns()}"

    async def ask() -> int:
        path = f"/chat?token={secret}"
        answer = await usual.ask(path=path, User_Agent=mark, Content_Length="100000")
        answer.close()
        return answer.status

    assert asyncio.run(ask()) == 413
    assert logged(fleet["lb1"], mark)["status"] == 413
    assert fleet["lb1"].host.run(f"grep --recursive {secret} /var/log/nginx").rc == 1


def test_no_log_has_a_token_of_who_found_no_server(fleet: Fleet, usual: Door) -> None:
    """nginx's error log has the whole request of what fails; it is not asked to say that here."""
    mark = f"nobody-{time.time_ns()}"
    secret = f"secret{time.time_ns()}"

    async def ask() -> int:
        answer = await usual.ask(path=f"/chat?token={secret}", User_Agent=mark)
        answer.close()
        assert int(answer.headers["Retry-After"]) > 0
        return answer.status

    units = "echo@1.service echo@2.service"
    try:
        for app in ("app1", "app2"):
            fleet[app].run(f"systemctl stop {units}")
        assert asyncio.run(ask()) in (502, 504)
    finally:
        for app in ("app1", "app2"):
            fleet[app].run(f"systemctl start {units}")
    line = logged(fleet["lb1"], mark)
    assert line["status"] in (502, 504)
    assert set(line["server_status"].split(", ")) <= {"502", "504"}
    assert fleet["lb1"].host.run(f"grep --recursive {secret} /var/log/nginx").rc == 1


def test_the_redirect_s_line_has_the_client_behind_the_proxy_too(fleet: Fleet) -> None:
    mark = f"redirect-{time.time_ns()}"
    connection = http.client.HTTPConnection(fleet["lb2"].address, 80, timeout=10)
    headers = {"Host": NAME, "User-Agent": mark, "X-Forwarded-For": "192.0.2.60"}
    connection.request("GET", "/?token=1", headers=headers)
    assert connection.getresponse().status == 308
    connection.close()
    line = logged(fleet["lb2"], mark)
    assert (line["client"], line["path"]) == ("192.0.2.60", "/")


@pytest.mark.parametrize("name", LOAD_BALANCERS)
def test_rotation_loses_no_line_and_ends_no_connection(fleet: Fleet, name: str) -> None:
    server = fleet[name]
    mark = f"rotated-{time.time_ns()}"
    with fleet.client(name, user_agent_header=mark) as connection:
        # Its worker is an old one when the log is rotated.
        server.run("systemctl reload nginx && sleep 1 && logrotate --force /etc/logrotate.d/nginx")
        connection.send("still here")
        assert connection.recv() == "still here"
    assert logged(server, mark)["status"] == 101
    assert server.run("find /var/log/nginx -name 'echo.access.log.1'") != ""
    assert server.run(f"stat --format %a {LOG}") == "640"


@pytest.mark.parametrize("name", LOAD_BALANCERS)
def test_the_log_is_not_for_everybody(fleet: Fleet, name: str) -> None:
    open_to_all = "find /var/log/nginx -name 'echo.*' -perm /o=rwx"
    assert fleet[name].run(open_to_all) == ""
