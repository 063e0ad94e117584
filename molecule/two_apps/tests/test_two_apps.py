"""Two applications on the same hosts, from two inventories: neither notices the other's runs.

The tests are one story and run in their order: the second application comes while the first one
has clients, both change, the second one goes and comes back.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import ClientConnection

if TYPE_CHECKING:
    from conftest import Fleet, Run, Server

SITE = "websockets.fleet.site"
REMOVE = ("websockets.fleet.remove", "-e", "remove_confirm=echo-tls")
ONE = "echo"
TWO = "echo-tls"
CLIENTS = 12


@pytest.fixture(scope="session")
def second(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """The same hosts with the other application's inventory."""
    folder = tmp_path_factory.mktemp("second")
    hosts = Path(fleet.inventory)
    hosts = hosts if hosts.is_file() else hosts / "hosts.yml"
    shutil.copy(hosts, folder / "hosts.yml")
    variables = Path(__file__).parent.parent / "second" / "group_vars"
    (folder / "group_vars").symlink_to(variables)
    return type(fleet)(str(folder))


class Clients:
    """Clients of one application that stay and talk all the time; they notice a lost frame."""

    def __init__(self, fleet: Fleet, answer: Callable[[str], str]) -> None:
        self.fleet = fleet
        self.answer = answer
        self.rounds = [0] * CLIENTS

    async def _talk(self, number: int, connection: ClientConnection) -> None:
        while True:
            message = f"client {number}, message {self.rounds[number]}"
            await connection.send(message)
            async with asyncio.timeout(10):
                assert await connection.recv() == self.answer(message)
            self.rounds[number] += 1
            await asyncio.sleep(0.1)

    async def during(self, action: Callable[[], Run]) -> Run:
        """Do something while they talk; fail unless each of them goes on as if nothing was."""
        context = self.fleet.authority("lb1")
        connections = [await self.fleet.connect("lb1", context) for _number in range(CLIENTS)]
        talks = [asyncio.create_task(self._talk(*pair)) for pair in enumerate(connections)]
        run = await asyncio.to_thread(action)
        rounds = list(self.rounds)
        await asyncio.sleep(1)
        assert [talk.exception() for talk in talks if talk.done()] == []
        assert all(now > then for now, then in zip(self.rounds, rounds, strict=True))
        for talk in talks:
            talk.cancel()
        for connection in connections:
            await connection.close()
        return run


def shouted(message: str) -> str:
    """Return what the second application answers."""
    return message.upper()


def sockets(server: Server, port: int) -> dict[str, str]:
    """Return the process that has each established connection to a port, by the peer's address."""
    lines = server.run(f"ss -Htnp state established sport = :{port}").splitlines()
    return {line.split()[3]: line.split("pid=")[1].split(",")[0] for line in lines}


# What a run could touch of an application, with the times of its files and of its processes.
STATE = r"""
cd /
find opt/{app} etc/{app} etc/systemd/system/{app}[@.]* etc/nginx/conf.d/{app}.conf \
  etc/websockets-fleet/{app} -printf '%p %y %m %u:%g %T@ %l\n' 2>&1 | sort
systemctl show --property=Id,MainPID,NRestarts,ActiveEnterTimestampMonotonic \
  '{app}@*.service' {app}.target nginx.service
"""


def state(fleet: Fleet, app: str) -> dict[str, list[str]]:
    """Return what the hosts have of an application, one line a thing."""
    return {name: fleet[name].run(STATE.format(app=app)).splitlines() for name in ("app1", "lb1")}


@contextmanager
def untouched(fleet: Fleet, app: str) -> Iterator[None]:
    """Whatever is done meanwhile, the application's files and processes are the same after it."""
    before = state(fleet, app)
    assert len(before["app1"]) > 100
    yield
    assert state(fleet, app) == before


def unnoticed(fleet: Fleet, app: str, ports: list[int], run: Callable[[], Run]) -> Run:
    """Run a playbook of the other application beside clients of this one, who must not notice."""
    clients = Clients(fleet, shouted if app == TWO else str)

    def held() -> list[dict[str, str]]:
        """Who holds the clients' connections: workers of nginx, then processes."""
        return [sockets(fleet["lb1"], 443)] + [sockets(fleet["app1"], port) for port in ports]

    def beside() -> Run:
        before = held()
        assert [len(before[0]), sum(map(len, before[1:]))] == [CLIENTS, CLIENTS]
        with untouched(fleet, app):
            done = run()
        assert held() == before
        return done

    done = asyncio.run(clients.during(beside))
    assert done.code == 0, done.output
    return done


def speaks_of(run: Run, app: str) -> bool:
    """Return whether a run's output has an application's name as a word of its own."""
    return re.search(rf"(?<![\w-]){app}(?![\w-])", run.output) is not None


def test_a_dry_run_of_the_second_says_nothing_of_the_first(fleet: Fleet, second: Fleet) -> None:
    with untouched(fleet, ONE):
        run = second.play(SITE, "--check")
    assert run.code == 0, run.output
    assert speaks_of(run, TWO)
    assert not speaks_of(run, ONE)
    assert "echo-tls" not in fleet["app1"].run("getent passwd | cut -d: -f1").split()


def test_the_second_comes_and_the_clients_of_the_first_do_not_notice(
    fleet: Fleet, second: Fleet
) -> None:
    run = unnoticed(fleet, ONE, [8765], lambda: second.play(SITE))
    assert not speaks_of(run, ONE)
    with second.client("lb1") as connection:
        connection.send("hello")
        assert connection.recv() == "HELLO"


def test_each_runs_on_a_python_of_its_own(fleet: Fleet, second: Fleet) -> None:
    server = fleet["app1"]
    show = "import platform; print(platform.python_implementation(), platform.python_version())"
    versions = {}
    for app in (ONE, TWO):
        program = server.run(f"readlink /proc/{server.main_pid(f'{app}@1.service')}/exe")
        versions[app] = server.run(f"{program} -c '{show}'").rpartition(".")[0]
    assert versions == {ONE: "CPython 3.13", TWO: "PyPy 3.11"}
    # What PyPy needs is given to its application alone.
    for app, value in ((ONE, "yes"), (TWO, "no")):
        shown = server.run(f"systemctl show --property=MemoryDenyWriteExecute {app}@1.service")
        assert shown == f"MemoryDenyWriteExecute={value}"


def ask(
    server: Server, context: ssl.SSLContext, name: str | None, host: str
) -> tuple[set[str], str]:
    """Ask nginx for /healthz; return the names in its certificate, and the answer.

    ``name`` is what the client asks for in TLS, ``host`` what it says in HTTP.
    """
    with (
        socket.create_connection((server.address, 443), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        certificate: dict[str, Any] = connection.getpeercert() or {}
        connection.sendall(
            f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        )
        with connection.makefile(newline="") as stream:
            answer = stream.read().partition("\r\n\r\n")[2].strip()
    return {name for _kind, name in certificate["subjectAltName"]}, answer


def test_each_name_has_its_certificate_and_its_application(fleet: Fleet, second: Fleet) -> None:
    domains = {ONE: "echo.example.test", TWO: "shout.example.test"}
    contexts = {ONE: fleet.authority("lb1"), TWO: second.authority("lb1")}
    # The launcher answers in small letters, the program in capitals.
    answers = {ONE: "ok", TWO: "OK"}
    for app, other in ((ONE, TWO), (TWO, ONE)):
        named = ask(fleet["lb1"], contexts[app], domains[app], domains[app])
        assert named == ({domains[app]}, answers[app])
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(fleet["lb1"], contexts[other], domains[app], domains[app])
        # A request goes where it says, whatever TLS was told.
        _certificate, answer = ask(fleet["lb1"], contexts[app], domains[app], domains[other])
        assert answer == answers[other]


def test_who_asks_for_no_name_is_still_answered_by_the_first(fleet: Fleet, second: Fleet) -> None:
    context = fleet.authority("lb1")
    context.check_hostname = False
    names, answer = ask(fleet["lb1"], context, None, fleet["lb1"].address)
    assert (names, answer) == ({"echo.example.test"}, "ok")


@pytest.mark.parametrize("app", [ONE, TWO])
def test_the_same_again_changes_nothing(fleet: Fleet, second: Fleet, app: str) -> None:
    run = (fleet if app == ONE else second).play(SITE)
    assert run.code == 0, run.output
    assert set(run.changed.values()) == {0}, run.output


@pytest.mark.parametrize("app", [ONE, TWO])
def test_a_dry_run_of_either_says_nothing_of_the_other(
    fleet: Fleet, second: Fleet, app: str
) -> None:
    run = (fleet if app == ONE else second).play(SITE, "--check", "--diff")
    assert run.code == 0, run.output
    assert set(run.changed.values()) == {0}, run.output
    assert not speaks_of(run, TWO if app == ONE else ONE)


@pytest.mark.parametrize("app", [ONE, TWO])
def test_status_shows_its_own_processes_only(fleet: Fleet, second: Fleet, app: str) -> None:
    server = fleet["app1"]
    run = (fleet if app == ONE else second).play("websockets.fleet.status")
    rows = [line.split() for line in run.output.splitlines() if line.endswith(" ok")]
    pids = [str(server.main_pid(f"{app}@{index}.service")) for index in (1, 2)]
    assert [row[:3] for row in rows] == [["app1", "1", pids[0]], ["app1", "2", pids[1]]]
    assert not speaks_of(run, TWO if app == ONE else ONE)


RESERVED = "/proc/sys/net/ipv4/ip_local_reserved_ports"


def test_the_ports_of_both_are_reserved_now_and_after_a_boot(fleet: Fleet, second: Fleet) -> None:
    server = fleet["app1"]
    # The second one's third port is for the process that a rolling change starts beside the others.
    assert server.run(f"cat {RESERVED}") == "8765,9001-9003"
    server.run(f"echo > {RESERVED}")
    assert server.run(f"cat {RESERVED}") == ""
    # It fails over fs.*, which a container can't have.
    server.host.run("/usr/lib/systemd/systemd-sysctl")
    assert server.run(f"cat {RESERVED}") == "8765,9001-9003"
    assert server.run("cat /proc/sys/net/core/somaxconn") == "4096"


WRONG = [
    pytest.param(
        {"nginx_domain": "Echo.example.test"},
        "nginx_domain 'Echo.example.test' is taken by the application echo",
        id="domain",
    ),
    # The second one's first process has the port after this.
    pytest.param(
        {"app_port": 8764},
        "echo; free it or choose another app_port (it is 8764)",
        id="port",
    ),
    pytest.param(
        {"app_name": "echo", "app_port": 9500},
        "nginx_domain is 'shout.example.test', and app_name 'echo' serves echo.example.test",
        id="name",
    ),
]


@pytest.mark.parametrize(("variables", "message"), WRONG)
def test_what_belongs_to_the_first_is_refused_to_the_second(
    fleet: Fleet, second: Fleet, variables: dict[str, Any], message: str
) -> None:
    with untouched(fleet, ONE), untouched(fleet, TWO):
        run = second.play(SITE, "-e", json.dumps(variables))
        assert run.code != 0, run.output
        assert message in " ".join(run.output.split())
        assert set(run.changed.values()) == {0}, run.output


def test_the_second_changes_and_the_clients_of_the_first_do_not_notice(
    fleet: Fleet, second: Fleet
) -> None:
    server = fleet["app1"]
    old = server.run("readlink /opt/echo-tls/current")
    # A setting of the processes, another release and another site.
    change = {
        "app_env": {"COLOUR": "red"},
        "app_requirements": ["websockets>=17.0.1,<18", "six"],
        "nginx_extra_names": ["shout2.example.test"],
    }
    unnoticed(fleet, ONE, [8765], lambda: second.play(SITE, "-e", json.dumps(change)))
    assert server.run("readlink /opt/echo-tls/current") != old
    for index in (1, 2):
        pid = server.main_pid(f"echo-tls@{index}.service")
        assert "COLOUR=red" in server.run(f"tr '\\0' '\\n' < /proc/{pid}/environ").splitlines()


CHANGED = (
    "-e",
    json.dumps(
        {
            "app_max_size": 2048,
            "nginx_extra_names": ["echo2.example.test"],
        }
    ),
)


def test_the_first_changes_and_the_clients_of_the_second_do_not_notice(
    fleet: Fleet, second: Fleet
) -> None:
    server = fleet["app1"]
    before = {server.main_pid(f"echo@{index}.service") for index in (1, 2)}
    run = unnoticed(second, TWO, [9001, 9002], lambda: fleet.play(SITE, *CHANGED))
    assert not speaks_of(run, TWO)
    assert not before & {server.main_pid(f"echo@{index}.service") for index in (1, 2)}


TRACES = r"find / -xdev \( -path /proc -o -path /sys \) -prune -o -name '*echo-tls*' -print"


def test_the_second_goes_and_the_clients_of_the_first_do_not_notice(
    fleet: Fleet, second: Fleet
) -> None:
    run = unnoticed(fleet, ONE, [8765], lambda: second.play(*REMOVE))
    assert not speaks_of(run, ONE)
    for name in ("app1", "lb1"):
        assert fleet[name].run(TRACES) == ""
        assert "echo-tls" not in fleet[name].run("cat /etc/sysctl.d/60-websockets-fleet.conf")
    units = fleet["app1"].run("systemctl list-units --all --no-legend --plain")
    assert "echo@1.service" in units
    assert "tls" not in units
    with fleet.client("lb1") as connection:
        connection.send("hello")
        assert connection.recv() == "hello"
    for again in (second.play(*REMOVE), fleet.play(SITE, *CHANGED)):
        assert again.code == 0, again.output
        assert set(again.changed.values()) == {0}, again.output


def test_the_second_comes_back_beside_the_first(fleet: Fleet, second: Fleet) -> None:
    unnoticed(fleet, ONE, [8765], lambda: second.play(SITE))
    with second.client("lb1") as connection:
        connection.send("hello")
        assert connection.recv() == "HELLO"
