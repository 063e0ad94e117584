# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of the processes of a host, and which step follows from it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve, unix_serve

from ansible_collections.websockets.fleet.plugins.module_utils import _instances
from ansible_collections.websockets.fleet.plugins.module_utils._instances import (
    Decision,
    Instance,
    Service,
    Systemd,
    SystemdError,
    count_connections,
    decide,
    observe,
    parse_show,
    sandbox_words,
    was_started,
)

SERVICE = Service(
    name="chat",
    count=2,
    release="new",
    fingerprint="f2",
    launcher=True,
    listen="shared_port",
    bind="127.0.0.1",
    port=8765,
    health_path="",
    health_check="http",
    start_seconds=30,
)
PROGRAM = replace(SERVICE, launcher=False)


# What systemctl says


SHOWN = """\
MainPID=1204
NRestarts=3
Result=success
ExecMainStatus=0
ExecMainStartTimestampMonotonic=5000000
Id=chat@1.service
ActiveState=active
SubState=running

MainPID=0
NRestarts=0
Result=exit-code
ExecMainStatus=1
ExecMainStartTimestampMonotonic=0
Id=chat@12.service
ActiveState=activating
SubState=auto-restart
Job=77

Id=chat@x.service
ActiveState=active

Id=chat@01.service
ActiveState=active

Id=other-chat@2.service
ActiveState=active
"""


def test_units_of_the_application_are_found_by_number() -> None:
    found = parse_show(SHOWN, "chat")
    assert sorted(found) == [1, 12]
    assert found[1]["MainPID"] == "1204"
    assert found[12]["SubState"] == "auto-restart"
    assert parse_show("\n", "chat") == {}


def test_a_refusal_of_systemctl_is_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "systemctl").write_text("#!/bin/sh\necho 'Unit a.service not found.' >&2\nexit 5\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemdError, match=r"systemctl start a: Unit a\.service not found\."):
        Systemd().run("start", "a")
    (tmp_path / "systemctl").unlink()
    with pytest.raises(SystemdError, match=r"systemctl start: .*No such file"):
        Systemd().run("start", "a")
    assert Systemd().journal("a") == ""


# Why a process ended


@pytest.mark.parametrize(
    ("exit_words", "journal", "started", "hint"),
    [
        ("exit-code (status 1)", "KeyError: 'DATABASE'", True, False),
        ("exit-code (status 1)", "OSError: [Errno 30] Read-only file system: 'a.db'", True, True),
        ("exit-code (status 1)", "OSError: [Errno 101] Network is unreachable", True, True),
        ("signal (status 31)", "", True, True),
        ("signal (status 9)", "", True, False),
        ("exit-code (status 226)", "/data: No such file or directory", False, True),
        # The program is not there, the host has no such CPU: no sandbox is to blame.
        ("exit-code (status 203)", "No such file or directory", False, False),
        ("exit-code (status 215)", "Failed to set up CPU affinity", False, False),
        ("exit-code (status 199)", "", True, False),
        ("watchdog (status 6)", "", True, False),
    ],
)
def test_the_sandbox_is_named_where_it_may_be_why(
    exit_words: str, journal: str, started: bool, hint: bool
) -> None:
    assert was_started(exit_words) == started
    assert ("app_hardening" in sandbox_words(exit_words, journal)) == hint


# Where a process listens


@pytest.mark.parametrize(
    ("listen", "bind", "address"),
    [
        ("shared_port", "10.0.0.2", ("10.0.0.2", 8765)),
        ("port_per_process", "10.0.0.2", ("10.0.0.2", 8768)),
        ("shared_port", "0.0.0.0", ("127.0.0.1", 8765)),
        ("port_per_process", "::", ("::1", 8768)),
        ("unix_socket", "10.0.0.2", "/run/chat/3.sock"),
    ],
)
def test_a_process_is_asked_where_it_listens(
    listen: str, bind: str, address: str | tuple[str, int]
) -> None:
    assert replace(SERVICE, listen=listen, bind=bind).address(3) == address


# Health, over real sockets


class _Answers(BaseHTTPRequestHandler):
    """A path of digits is answered with that status; anything else with JSON."""

    def do_GET(self) -> None:
        digits = self.path.removeprefix("/")
        self.send_response(int(digits) if digits.isdigit() else 200)
        body = json.dumps({"connections": 7}).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "peer"

    def log_message(self, *_arguments: object) -> None:
        pass


class _UnixServer(HTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(str(self.server_address))


@contextmanager
def answering(address: str | tuple[str, int]) -> Iterator[HTTPServer]:
    made = _UnixServer if isinstance(address, str) else HTTPServer
    server = made(address, _Answers)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("path", "healthy", "words"),
    [
        ("", True, "ok"),
        ("/200", True, "ok"),
        ("/204", True, "ok"),
        ("/301", False, "GET /301: 301"),
        ("/503", False, "GET /503: 503"),
    ],
)
def test_a_program_is_well_when_it_answers_2xx(path: str, healthy: bool, words: str) -> None:
    with answering(("127.0.0.1", 0)) as server:
        program = replace(PROGRAM, port=server.server_port, health_path=path)
        assert _instances._health(program, 1) == (healthy, words)


def test_a_program_on_a_unix_socket_is_asked_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "1.sock")
    monkeypatch.setattr(Service, "address", lambda *_arguments: path)
    program = replace(PROGRAM, listen="unix_socket", health_path="/200")
    assert _instances._health(program, 1) == (False, "[Errno 2] No such file or directory")
    with answering(path):
        assert _instances._health(program, 1) == (True, "ok")
    assert _instances._health(program, 1) == (False, "[Errno 111] Connection refused")


def test_the_launcher_is_asked_on_its_admin_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "1.admin.sock")
    monkeypatch.setattr(Service, "admin_socket", lambda *_arguments: path)
    assert _instances._status(SERVICE, 1) == {}
    with answering(path):
        # A path for the program's health is not the launcher's.
        assert _instances._health(replace(SERVICE, health_path="/503"), 1) == (True, "ok")
        assert _instances._status(SERVICE, 1) == {"connections": 7}
        assert _instances._status(PROGRAM, 1) == {}


def test_a_process_that_takes_connections_and_says_nothing_is_not_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_instances, "HEALTH_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        program = replace(PROGRAM, port=server.getsockname()[1])
        assert _instances._health(replace(program, health_path="/"), 1) == (False, "timed out")
        assert _instances._health(program, 1) == (True, "ok")


@contextmanager
def shaking_hands(address: str | tuple[str, int]) -> Iterator[tuple[int, list[int | None]]]:
    """Serve WebSockets on /chat?room=1 alone; give the port and the codes of what closed."""
    codes: list[int | None] = []

    def greet(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            connection.send("welcome")
            connection.recv(timeout=5)
        codes.append(connection.close_code)

    def check(connection: ServerConnection, request: Request) -> Response | None:
        elsewhere = request.path != "/chat?room=1"
        return connection.respond(HTTPStatus.FORBIDDEN, "no") if elsewhere else None

    if isinstance(address, str):
        server = unix_serve(greet, address, process_request=check)
    else:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        listener = socket.create_server(address, family=family)
        server = serve(greet, sock=listener, process_request=check)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield (0 if isinstance(address, str) else server.socket.getsockname()[1]), codes
    finally:
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("bind", ["127.0.0.1", "::1"])
def test_a_program_is_well_when_it_takes_a_handshake(bind: str) -> None:
    with shaking_hands((bind, 0)) as (port, codes):
        program = replace(PROGRAM, bind=bind, port=port, health_check="websocket")
        asked = replace(program, health_path="/chat?room=1")
        assert _instances._health(asked, 1) == (True, "ok")
        # It was closed as a client does who leaves.
        deadline = time.monotonic() + 5
        while not codes and time.monotonic() < deadline:
            time.sleep(0.01)
        assert codes == [1000]
        refused = (False, "handshake on /: 403")
        assert _instances._health(replace(program, health_path="/"), 1) == refused


def test_a_program_on_a_unix_socket_takes_a_handshake_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "1.sock")
    monkeypatch.setattr(Service, "address", lambda *_arguments: path)
    program = replace(PROGRAM, health_check="websocket", health_path="/chat?room=1")
    with shaking_hands(path):
        assert _instances._health(program, 1) == (True, "ok")
    gone = (False, "handshake on /chat?room=1: [Errno 111] Connection refused")
    assert _instances._health(program, 1) == gone


def test_what_is_no_handshake_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_instances, "HEALTH_SECONDS", 0.2)
    program = replace(PROGRAM, health_check="websocket", health_path="/200")
    with answering(("127.0.0.1", 0)) as server:
        answer = _instances._health(replace(program, port=server.server_port), 1)
    assert answer == (False, "handshake on /200: 200")

    monkeypatch.setattr(_instances, "HANDSHAKE_SUFFIX", "")
    with shaking_hands(("127.0.0.1", 0)) as (port, _codes):
        asked = replace(program, port=port, health_path="/chat?room=1")
        healthy, words = _instances._health(asked, 1)
    assert (healthy, "Sec-WebSocket-Accept" in words) == (False, True)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asked = replace(program, port=silent.getsockname()[1])
        assert _instances._health(asked, 1) == (False, "handshake on /200: timed out")
        assert _instances._health(replace(asked, health_check="tcp"), 1) == (True, "ok")


# Connections, read from the kernel


def test_clients_of_a_tcp_process_are_counted() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        host, port = server.getsockname()
        program = replace(PROGRAM, port=port)
        for wanted in range(3):
            assert count_connections(program, 1, os.getpid()) == wanted
            # Both ends are this process's; only those of its own port are clients.
            stack.enter_context(socket.create_connection((host, port)))
            stack.enter_context(server.accept()[0])
        # Not another process's.
        child = stack.enter_context(subprocess.Popen(["sleep", "60"]))
        assert count_connections(program, 1, child.pid) == 0
        child.kill()


def test_clients_of_an_ipv6_process_are_counted() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with server:
        port = server.getsockname()[1]
        with socket.create_connection(("::1", port)), server.accept()[0]:
            assert count_connections(replace(PROGRAM, port=port), 1, os.getpid()) == 1


def test_clients_of_a_unix_process_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "1.sock")
    monkeypatch.setattr(Service, "address", lambda *_arguments: path)
    program = replace(PROGRAM, listen="unix_socket")
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(path)
        server.listen()
        for wanted in range(3):
            assert count_connections(program, 1, os.getpid()) == wanted
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(path)
            stack.enter_context(server.accept()[0])


def test_a_process_that_is_gone_has_no_count() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert count_connections(PROGRAM, 1, child.pid) is None


# Processes, as a whole


class _Shows(Systemd):
    def __init__(self, text: str) -> None:
        self.text = text

    def show(self, name: str) -> str:
        assert name == "chat"
        return self.text


def shown(index: int, pid: int, active: str = "active", more: str = "") -> str:
    return (
        f"Id=chat@{index}.service\nActiveState={active}\nSubState=running\nMainPID={pid}\n"
        f"NRestarts=2\nExecMainStartTimestampMonotonic=1500000\nExecMainStatus=0\n"
        f"Result=success\n{more}\n"
    )


@contextmanager
def process(**environment: str) -> Iterator[int]:
    with subprocess.Popen(["sleep", "60"], env={**os.environ, **environment}) as child:
        try:
            yield child.pid
        finally:
            child.kill()


def test_processes_are_seen_by_what_they_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Service, "admin_socket", lambda _service, index: str(tmp_path / f"{index}.admin.sock")
    )
    with (
        process(APP_RELEASE="new", APP_FINGERPRINT="f2") as first,
        process(APP_RELEASE="old", APP_FINGERPRINT="f1") as third,
        answering(str(tmp_path / "1.admin.sock")),
        answering(str(tmp_path / "3.admin.sock")),
    ):
        text = shown(1, first) + shown(3, third, more="Job=9\n") + shown(4, 0, "failed")
        found = observe(SERVICE, _Shows(text))
    assert list(found) == [1, 2, 3, 4]
    assert found[1] == Instance(
        index=1,
        active="active",
        sub="running",
        pid=first,
        restarts=2,
        started=1.5,
        exit="success (status 0)",
        release="new",
        fingerprint="f2",
        healthy=True,
        health="ok",
        status={"connections": 7},
    )
    assert found[1].runs(SERVICE)
    # Wanted and not there; there and not wanted, with a job; there and down.
    assert found[2] == Instance(2)
    assert (found[3].release, found[3].pending, found[3].runs(SERVICE)) == ("old", True, False)
    assert (found[4].running, found[4].healthy, found[4].health) == (False, False, "not running")


def test_only_an_active_process_is_healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "1.admin.sock")
    monkeypatch.setattr(Service, "admin_socket", lambda *_arguments: path)
    with process(APP_RELEASE="new", APP_FINGERPRINT="f2") as pid, answering(path):
        assert not observe(SERVICE, _Shows(shown(1, pid, "activating")))[1].healthy


def test_a_process_that_is_gone_is_not_healthy_by_anothers_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "1.admin.sock")
    monkeypatch.setattr(Service, "admin_socket", lambda *_arguments: path)
    with subprocess.Popen(["true"]) as child:
        child.wait()
    with answering(path):
        assert not observe(SERVICE, _Shows(shown(1, child.pid)))[1].healthy


def test_one_process_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_instances, "now", lambda: 100.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        program = replace(PROGRAM, port=server.getsockname()[1])
        with socket.create_connection(server.getsockname()), server.accept()[0]:
            known = _instances.describe(
                program, Instance(2, "active", pid=os.getpid(), started=40.4, release="new")
            )
    assert known["connections"] == 1
    assert known["uptime_seconds"] == 60
    assert known["memory_bytes"] > 2**20
    assert known["file_limit"] >= 256
    assert (known["unit"], known["release"], known["fingerprint"]) == (
        "chat@2.service",
        "new",
        None,
    )
    gone = _instances.describe(program, Instance(1))
    assert (gone["state"], gone["pid"], gone["connections"]) == ("inactive", None, None)


def test_what_the_launcher_says_of_its_connections_is_believed() -> None:
    instance = Instance(1, "active", pid=os.getpid(), status={"connections": 1234})
    assert _instances.describe(SERVICE, instance)["connections"] == 1234


# Decisions


NOW = 1000.0


def well(index: int, **changes: Any) -> Instance:
    made = Instance(
        index, "active", "running", pid=index, started=1.0, release="new", fingerprint="f2"
    )
    return replace(made, **{"healthy": True, "health": "ok", **changes})


def stale(index: int, **changes: Any) -> Instance:
    return well(index, **{"release": "old", **changes})


def down(index: int, **changes: Any) -> Instance:
    return replace(Instance(index, "failed", "failed", exit="exit-code (status 1)"), **changes)


def starting(index: int, since: float, **changes: Any) -> Instance:
    return well(
        index, active="activating", sub="start", started=NOW - since, healthy=False, **changes
    )


def sick(index: int, since: float = 900.0, **changes: Any) -> Instance:
    return well(index, healthy=False, health="GET /: 503", started=NOW - since, **changes)


CRASHED = {"active": "activating", "sub": "auto-restart", "healthy": False, "pid": 0}


@pytest.mark.parametrize(
    ("instances", "attempted", "expected"),
    [
        pytest.param([well(1), well(2)], {}, ("done", ()), id="all is well"),
        pytest.param([Instance(1), Instance(2)], {}, ("restart", (1, 2)), id="all are missing"),
        pytest.param([well(1), down(2)], {}, ("restart", (2,)), id="one is down"),
        pytest.param([stale(1), down(2)], {}, ("restart", (2,)), id="down goes before stale"),
        pytest.param([well(1), well(2, **CRASHED)], {}, ("restart", (2,)), id="crashing"),
        pytest.param(
            [well(1), well(2, **(CRASHED | {"sub": "auto-restart-queued", "started": 999.0}))],
            {},
            ("restart", (2,)),
            id="crashing, as newer versions of systemd say it",
        ),
        pytest.param([well(1), down(2)], {2: 990.0}, ("failed", (2,)), id="did not stay up"),
        pytest.param(
            [well(1), well(2, **CRASHED)], {2: 990.0}, ("failed", (2,)), id="crashes again"
        ),
        pytest.param(
            [well(1), down(2, pending=True)],
            {2: 999.0},
            ("wait", ()),
            id="systemd has yet to start it",
        ),
        pytest.param(
            [well(1), stale(2, pending=True)],
            {2: 999.0},
            ("wait", ()),
            id="systemd has yet to stop it",
        ),
        pytest.param(
            [well(1), well(2, **CRASHED, pending=True)], {2: 999.0}, ("wait", ()), id="queued again"
        ),
        pytest.param([stale(1), stale(2)], {}, ("restart", (1,)), id="stale ones go one by one"),
        pytest.param([well(1), stale(2)], {1: 990.0}, ("restart", (2,)), id="the next stale one"),
        pytest.param(
            [well(1), well(2, fingerprint="f1")], {}, ("restart", (2,)), id="other configuration"
        ),
        pytest.param(
            [starting(1, 5), stale(2)], {1: 995.0}, ("wait", ()), id="not while one is starting"
        ),
        pytest.param(
            [starting(1, 5, pending=True), stale(2)], {1: 995.0}, ("wait", ()), id="its job runs"
        ),
        pytest.param(
            [starting(1, 31, pending=True), stale(2)], {1: 960.0}, ("failed", (1,)), id="too long"
        ),
        pytest.param([sick(1, 5), stale(2)], {1: 995.0}, ("wait", ()), id="not healthy yet"),
        pytest.param([sick(1, 31), stale(2)], {1: 960.0}, ("failed", (1,)), id="never healthy"),
        pytest.param([sick(1, 5), stale(2)], {}, ("wait", ()), id="another run's start"),
        pytest.param([sick(1), sick(2)], {}, ("restart", (1,)), id="sick ones go one by one"),
        pytest.param([sick(1), down(2)], {}, ("restart", (2,)), id="down goes before sick"),
        pytest.param([sick(1), starting(2, 5)], {}, ("wait", ()), id="starting goes before sick"),
        pytest.param(
            [stale(1), stale(2, healthy=False)], {}, ("restart", (2,)), id="who serves nobody first"
        ),
        pytest.param(
            [well(1, active="deactivating"), stale(2)], {}, ("wait", ()), id="while one stops"
        ),
        pytest.param(
            [well(1, active="deactivating", sub="stop-sigterm"), stale(2)],
            {1: 100.0},
            ("wait", ()),
            id="a long drain is no failure",
        ),
        pytest.param(
            [starting(1, 1), well(2)], {1: 900.0}, ("wait", ()), id="time counts after the drain"
        ),
        pytest.param([well(1), stale(2)], {2: 990.0}, ("failed", (2,)), id="restarted in vain"),
        # A sibling may have answered for it on a shared port.
        pytest.param(
            [well(1), well(2, restarts=1, started=995.0)],
            {2: 990.0},
            ("failed", (2,)),
            id="went down again and came back",
        ),
        pytest.param(
            [well(1), well(2, restarts=3, started=980.0)],
            {2: 990.0},
            ("done", ()),
            id="its restarts are those of the life before",
        ),
        pytest.param([well(1), well(2, restarts=3)], {}, ("done", ()), id="crashed once, long ago"),
        pytest.param(
            [well(1), sick(2, 5, release="", fingerprint="")],
            {2: 995.0},
            ("wait", ()),
            id="gone while it was looked at",
        ),
        pytest.param([well(1), well(2), stale(3)], {}, ("stop", (3,)), id="surplus"),
        pytest.param([well(1), stale(2), stale(3)], {}, ("restart", (2,)), id="surplus goes last"),
        pytest.param([well(1), well(2), well(3), well(4)], {}, ("stop", (3, 4)), id="all surplus"),
        pytest.param(
            [well(1), well(2), well(3, active="deactivating")], {}, ("wait", ()), id="surplus stops"
        ),
        pytest.param([well(1), well(2), down(3)], {}, ("done", ()), id="surplus that is down"),
    ],
)
def test_the_next_step(
    instances: list[Instance], attempted: dict[int, float], expected: tuple[str, tuple[int, ...]]
) -> None:
    found = {instance.index: instance for instance in instances}
    decision = decide(SERVICE, found, attempted, NOW)
    assert (decision.step, decision.indices) == expected


@pytest.mark.parametrize(
    ("instance", "attempted", "words"),
    [
        (stale(2, status={"connections": 40}), {}, "release new, 40 connections left"),
        (well(2, active="deactivating", status={"connections": 3}), {}, "3 connections left"),
        (down(2), {2: 1.0}, "chat@2.service did not stay up: exit-code (status 1)"),
        (sick(2), {2: 1.0}, "chat@2.service is not healthy after 30 s: GET /: 503"),
        (stale(2), {2: 1.0}, "runs release old configuration f2, not release new configuration f2"),
    ],
)
def test_a_step_says_what_an_engineer_wants_to_know(
    instance: Instance, attempted: dict[int, float], words: str
) -> None:
    assert words in decide(SERVICE, {1: well(1), 2: instance}, attempted, NOW).text


# A host that does as it is told


class Host:
    """Processes that start in two looks, and as a release that may never get healthy."""

    def __init__(self, instances: Mapping[int, Instance], *, works: bool = True) -> None:
        self.found = dict(instances)
        self.works = works
        self.time = NOW
        self.restarted: list[int] = []

    def look(self) -> None:
        """Let a second pass: stopping ones stop or start anew, starting ones are there."""
        self.time += 1
        for index, instance in self.found.items():
            if instance.active == "deactivating" and instance.pending:
                self.found[index] = starting(index, 0, pid=1)
                self.found[index] = replace(self.found[index], started=self.time)
            elif instance.active == "deactivating":
                self.found[index] = Instance(index)
            elif instance.sub == "start" and self.works:
                self.found[index] = well(index, started=instance.started)
            elif instance.sub == "start" and self.time - instance.started > 10:
                self.found[index] = well(index, **CRASHED)
            elif not instance.running and instance.pending:
                self.found[index] = replace(starting(index, 0), started=self.time)

    def obey(self, decision: Decision) -> None:
        for index in decision.indices:
            before = self.found[index]
            if decision.step == "restart":
                self.restarted.append(index)
                state = "deactivating" if before.active == "active" else "inactive"
                self.found[index] = replace(
                    before, active=state, sub="", healthy=False, pending=True
                )
            else:
                self.found[index] = replace(before, active="deactivating", healthy=False)


STATES: list[Callable[[int], Instance]] = [
    Instance,
    well,
    stale,
    down,
    sick,
    lambda index: stale(index, healthy=False),
    lambda index: well(index, fingerprint="f1"),
    lambda index: well(index, **CRASHED),
    lambda index: stale(index, **CRASHED),
    lambda index: starting(index, 3),
    lambda index: well(index, active="deactivating"),
    lambda index: stale(index, active="deactivating", pending=True),
    lambda index: down(index, pending=True),
]
states = st.lists(st.sampled_from(STATES), min_size=1, max_size=7)


def simulate(
    host: Host, count: int, check: Callable[[Decision], None] = lambda _decision: None
) -> Decision:
    service = replace(SERVICE, count=count)
    attempted: dict[int, float] = {}
    for _look in range(500):
        decision = decide(service, host.found, attempted, host.time)
        if decision.step in {"done", "failed"}:
            return decision
        check(decision)
        host.obey(decision)
        if decision.step == "restart":
            attempted.update(dict.fromkeys(decision.indices, host.time))
        host.look()
    raise AssertionError(f"no end: {host.found}")


@settings(deadline=None)
@given(made=states, count=st.integers(1, 5))
def test_from_any_state_a_host_gets_where_it_should_be(
    made: list[Callable[[int], Instance]], count: int
) -> None:
    before = {index: make(index) for index, make in enumerate(made, 1)}
    before.update({index: Instance(index) for index in range(len(made) + 1, count + 1)})
    host = Host(before)
    service = replace(SERVICE, count=count)

    def check(decision: Decision) -> None:
        if decision.step != "restart":
            return
        serving = [index for index in decision.indices if host.found[index].active == "active"]
        # One at a time, and then alone: what may hold clients.
        assert not serving or len(decision.indices) == 1
        others = [host.found[index] for index in range(1, count + 1) if index not in serving]
        if serving and host.found[serving[0]].healthy:
            assert all(other.healthy for other in others)

    assert simulate(host, count, check).step == "done"
    assert all(
        host.found[index].healthy and host.found[index].runs(service)
        for index in range(1, count + 1)
    )
    assert not any(instance.running for index, instance in host.found.items() if index > count)
    untouched = {index for index in range(1, count + 1) if before[index] == well(index)}
    assert not untouched & set(host.restarted)
    assert len(host.restarted) == len(set(host.restarted))


@settings(deadline=None)
@given(made=states, count=st.integers(1, 5))
def test_a_release_that_never_gets_healthy_ends_the_run_and_spares_who_serves(
    made: list[Callable[[int], Instance]], count: int
) -> None:
    before = {index: make(index) for index, make in enumerate(made, 1)}
    before.update({index: Instance(index) for index in range(len(made) + 1, count + 1)})
    host = Host(before, works=False)
    final = simulate(host, count)
    wanted = range(1, count + 1)
    if any(before[index] != well(index) for index in wanted):
        assert final.step == "failed"
        assert set(final.indices) <= set(host.restarted)
    served = {
        index for index in wanted if before[index].healthy and before[index].active == "active"
    }
    # At most one that served is spent on finding out.
    assert len(served & set(host.restarted)) <= 1
