# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a process: real launchers, real sockets, real signals."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import InvalidStatus
from websockets.protocol import State

from websockets_fleet.config import parse
from websockets_fleet.server import serve_options

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Launch, Launched

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def echo(launched: Launched, message: str = "hello") -> str:
    async with connect(launched.uri) as client:
        await client.send(message)
        return str(await client.recv())


async def hold(launched: Launched, count: int) -> list[ClientConnection]:
    """Open ``count`` connections."""
    return [await connect(launched.uri, ping_interval=None) for _client in range(count)]


async def closes(clients: list[ClientConnection]) -> list[tuple[float, int | None]]:
    """When, in seconds from now, and with what code each connection is closed."""
    began = time.monotonic()

    async def watch(client: ClientConnection) -> tuple[float, int | None]:
        await client.wait_closed()
        return time.monotonic() - began, client.close_code

    return sorted(await asyncio.gather(*map(watch, clients)))


def raw(launched: Launched, request: bytes = b"") -> socket.socket:
    """A TCP connection that has sent ``request`` so far."""
    client = socket.create_connection(("127.0.0.1", launched.port), timeout=5)
    client.sendall(request)
    return client


def wait_until_closed(launched: Launched) -> None:
    """Wait until the listener is closed."""
    with suppress(ConnectionRefusedError):
        for _attempt in range(100):
            raw(launched).close()
            time.sleep(0.02)


def response(client: socket.socket) -> str:
    """All that comes until the end of the stream."""
    with client, client.makefile("rb") as stream:
        return stream.read().decode(errors="replace")


def test_zero_means_off_and_an_empty_list_anybody() -> None:
    table = "[websocket]\nping_interval = 0\nping_timeout = 0\n"
    unix = '[listen]\nmode = "unix_socket"\nruntime_directory = "/r"\n'
    options = serve_options(parse(f'handler = "a:b"\n{unix}{table}'))
    assert options["ping_interval"] is options["ping_timeout"] is options["origins"] is None
    assert options["extensions"] == []
    assert options["compression"] is None


class TestServing:
    """From start to SIGTERM."""

    def test_echo(self, launch: Launch) -> None:
        launched = launch().ready()
        assert asyncio.run(echo(launched)) == "hello"

    def test_it_is_ready_only_when_it_serves(self, launch: Launch) -> None:
        launched = launch("import time\ntime.sleep(0.5)\nasync def handler(websocket): ...\n")
        assert not launched.manager.wait_for("READY=1", seconds=0.3)
        launched.ready()
        assert launched.health() == (200, "ok")
        assert launched.ask_admin("/healthz") == (200, "ok")

    def test_processes_share_a_port(self, launch: Launch) -> None:
        first = launch().ready()
        second = launch(port=first.port, instance=2).ready()

        async def talk() -> None:
            clients = await hold(first, 40)
            opened = [launched.status()["connections"] for launched in (first, second)]
            assert sum(opened) == 40
            assert min(opened) > 0
            for client in clients:
                await client.close()

        asyncio.run(talk())

    def test_a_port_per_process(self, launch: Launch) -> None:
        launched = launch(mode="port_per_process", instance=1).ready()
        assert asyncio.run(echo(launched)) == "hello"

    def test_a_unix_socket(self, launch: Launch) -> None:
        launched = launch(mode="unix_socket", instance=3).ready()
        path = launched.runtime / "3.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert stat.S_IMODE(launched.admin.stat().st_mode) == 0o600

        async def talk() -> None:
            async with unix_connect(str(path), "ws://localhost/") as client:
                await client.send("hello")
                assert await client.recv() == "hello"
                launched.terminate()
                await client.wait_closed()
                assert client.close_code == 1001

        asyncio.run(talk())
        assert launched.exit_code() == 0
        assert list(launched.runtime.iterdir()) == []

    def test_sockets_that_a_crash_left_behind_are_replaced(self, launch: Launch) -> None:
        launched = launch(mode="unix_socket").ready()
        launched.process.kill()
        launched.process.wait()
        assert len(list(launched.runtime.iterdir())) == 2
        launched.close()
        (launched.runtime.parent / "notify1").unlink()
        again = launch(mode="unix_socket").ready()
        assert again.ask_admin("/healthz") == (200, "ok")

    @pytest.mark.parametrize(
        ("compression", "expected"),
        [
            ("", None),
            ("[compression]\nwindow_bits = 10\nmemory_level = 2", (10, 10, 2)),
        ],
    )
    def test_compression(
        self, launch: Launch, compression: str, expected: tuple[int, int, int] | None
    ) -> None:
        source = """
async def handler(websocket):
    extensions = websocket.protocol.extensions
    await websocket.send(repr([
        (e.local_max_window_bits, e.remote_max_window_bits, e.compress_settings["memLevel"])
        for e in extensions
    ]))
"""
        launched = launch(source, compression).ready()

        async def talk() -> str:
            async with connect(launched.uri) as client:
                return str(await client.recv())

        assert asyncio.run(talk()) == repr([expected] if expected else [])

    def test_limits_reach_the_connection(self, launch: Launch) -> None:
        launched = launch(config="[websocket]\nmax_size = 100\norigins = ['https://a.example']")
        launched.ready()

        async def talk() -> None:
            async with connect(launched.uri, origin="https://a.example") as client:  # type: ignore[arg-type]
                await client.send("x" * 101)
                await client.wait_closed()
                assert client.close_code == 1009
            for origin in ("https://b.example", None):
                with pytest.raises(InvalidStatus) as caught:
                    await connect(launched.uri, origin=origin)  # type: ignore[arg-type]
                assert caught.value.response.status_code == 403

        asyncio.run(talk())
        assert launched.health() == (200, "ok")

    def test_a_list_of_origins_may_let_in_clients_that_send_none(self, launch: Launch) -> None:
        launched = launch(config='[websocket]\norigins = ["https://a.example", "none"]').ready()
        assert asyncio.run(echo(launched)) == "hello"

    def test_keepalive_finds_a_client_that_does_not_answer(self, launch: Launch) -> None:
        launched = launch(config="[websocket]\nping_interval = 0.2\nping_timeout = 0.2").ready()
        with raw(launched, UPGRADE) as client:
            time.sleep(1)
            data = client.recv(4096)
        assert b"keepalive ping timeout" in data


class TestHealth:
    """Plain HTTP on the public port."""

    def test_get_and_head(self, launch: Launch) -> None:
        launched = launch(config='[health]\npath = "/healthz"').ready()
        assert launched.health() == (200, "ok")
        assert launched.health("HEAD") == (200, "")

    def test_http_1_0(self, launch: Launch) -> None:
        launched = launch().ready()
        answer = response(raw(launched, b"GET /healthz?from=nginx HTTP/1.0\r\nHost: x\r\n\r\n"))
        assert answer.startswith("HTTP/1.1 200 OK\r\n")
        assert answer.endswith("\r\n\r\nok")

    def test_nothing_else_is_answered(self, launch: Launch) -> None:
        launched = launch().ready()
        for line, status in (
            ("GET /other", 426),
            ("POST /healthz", 405),
            ("GET /healthz/x", 426),
        ):
            answer = response(raw(launched, f"{line} HTTP/1.1\r\nHost: x\r\n\r\n".encode()))
            assert answer.startswith(f"HTTP/1.1 {status} ")

    def test_it_is_503_while_the_process_drains(self, launch: Launch) -> None:
        launched = launch(config="[drain]\nseconds = 2").ready()

        async def talk() -> None:
            clients = await hold(launched, 2)
            check = raw(launched)  # Accepted before the listener closes, asked after it.
            await asyncio.sleep(0.1)
            launched.terminate()
            assert launched.manager.wait_for("STOPPING=1")
            assert launched.ask_admin("/healthz") == (503, "draining")
            assert launched.status()["draining"] is True
            check.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert response(check).startswith("HTTP/1.1 503 ")
            await closes(clients)

        asyncio.run(talk())
        assert launched.exit_code() == 0

    def test_it_does_not_count(self, launch: Launch) -> None:
        launched = launch().ready()
        for _time in range(3):
            launched.health()
        status = launched.status()
        assert (status["opened_total"], status["opening"], status["closed_total"]) == (0, 0, {})


class TestDrain:
    """From SIGTERM to the end."""

    def test_nobody_there(self, launch: Launch) -> None:
        launched = launch(config="[drain]\nseconds = 30").ready()
        began = time.monotonic()
        launched.terminate()
        assert launched.exit_code() == 0
        assert time.monotonic() - began < 1
        assert "STOPPING=1" in launched.manager.received or launched.manager.wait_for("STOPPING=1")

    def test_connections_are_closed_evenly(self, launch: Launch) -> None:
        launched = launch(config="[drain]\nseconds = 2").ready()

        async def talk() -> list[tuple[float, int | None]]:
            clients = await hold(launched, 40)
            launched.terminate()
            return await closes(clients)

        result = asyncio.run(talk())
        assert launched.exit_code() == 0
        assert {code for when, code in result} == {1001}
        times = [when for when, code in result]
        assert times[-1] < 2.3
        buckets = [sum(low <= when < low + 0.5 for when in times) for low in (0, 0.5, 1, 1.5)]
        assert max(buckets) <= 15

    def test_close_code(self, launch: Launch) -> None:
        launched = launch(config="[drain]\nclose_code = 1012").ready()

        async def talk() -> list[tuple[float, int | None]]:
            clients = await hold(launched, 1)
            launched.terminate()
            return await closes(clients)

        assert [code for when, code in asyncio.run(talk())] == [1012]

    def test_connections_work_until_their_turn(self, launch: Launch) -> None:
        launched = launch(config="[drain]\nseconds = 2").ready()

        async def talk() -> None:
            clients = await hold(launched, 3)
            launched.terminate()
            assert launched.manager.wait_for("STOPPING=1")
            await asyncio.sleep(0.2)
            alive = [client for client in clients if client.state is State.OPEN]
            assert len(alive) == 2
            for client in alive:
                await client.send("still")
                assert await client.recv() == "still"
            with pytest.raises(ConnectionRefusedError):
                await connect(launched.uri)
            await closes(clients)

        asyncio.run(talk())
        assert launched.exit_code() == 0

    def test_clients_that_leave_do_not_prolong_it(self, launch: Launch) -> None:
        launched = launch(config="[drain]\nseconds = 30").ready()

        async def talk() -> None:
            clients = await hold(launched, 5)
            launched.terminate()
            assert launched.manager.wait_for("STOPPING=1")
            for client in clients:
                await client.close()

        asyncio.run(talk())
        assert launched.exit_code(2) == 0

    def test_a_handshake_under_way_is_refused(self, launch: Launch) -> None:
        launched = launch(config="[drain]\nseconds = 1").ready()
        client = raw(launched, UPGRADE[:30])
        time.sleep(0.2)
        assert launched.status()["opening"] == 1
        launched.terminate()
        wait_until_closed(launched)
        client.sendall(UPGRADE[30:])
        assert response(client).startswith("HTTP/1.1 503 ")
        assert launched.exit_code() == 0

    def test_a_client_that_never_asks_is_not_waited_for(self, launch: Launch) -> None:
        launched = launch(config="[drain]\nseconds = 30").ready()
        with raw(launched):
            time.sleep(0.2)
            launched.terminate()
            assert launched.exit_code(3) == 0

    def test_what_the_kernel_has_queued_is_answered(self, launch: Launch) -> None:
        # Those that still get in are closed later, and are no concern of this test.
        config = "[websocket]\nclose_timeout = 0.5\n[drain]\nseconds = 0.5"
        launched = launch(config=config).ready()
        launched.process.send_signal(signal.SIGSTOP)
        # More than asyncio's own backlog of 100, which would leave the rest without an answer.
        clients = [raw(launched, UPGRADE) for _client in range(150)]
        launched.terminate()
        launched.process.send_signal(signal.SIGCONT)
        # It sees them and the signal in the same turn, and takes them in first.
        statuses = {response(client).partition("\r\n")[0] for client in clients}
        assert statuses <= {
            "HTTP/1.1 101 Switching Protocols",
            "HTTP/1.1 503 Service Unavailable",
        }

    def test_in_the_middle_of_a_stampede(self, launch: Launch) -> None:
        launched = launch(config="[websocket]\nclose_timeout = 0.5\n[drain]\nseconds = 0.5").ready()

        async def knock() -> None:
            while True:
                try:
                    _reader, writer = await asyncio.open_connection("127.0.0.1", launched.port)
                    writer.write(UPGRADE)
                    await asyncio.sleep(0.01)
                    writer.transport.abort()
                except ConnectionRefusedError:
                    return
                except ConnectionResetError:
                    pass

        async def stampede() -> None:
            clients = [asyncio.create_task(knock()) for number in range(40)]
            await asyncio.sleep(0.5)
            launched.terminate()
            await asyncio.gather(*clients)

        asyncio.run(stampede())
        assert launched.exit_code() == 0
        assert "<3>" not in launched.output()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_second_signal_closes_at_once(self, launch: Launch, number: int) -> None:
        launched = launch(config="[drain]\nseconds = 60").ready()

        async def talk() -> list[tuple[float, int | None]]:
            clients = await hold(launched, 20)
            launched.terminate()
            assert launched.manager.wait_for("STOPPING=1")
            await asyncio.sleep(0.2)
            launched.process.send_signal(number)
            return await closes(clients)

        result = asyncio.run(talk())
        assert launched.exit_code(2) == 0
        assert {code for _when, code in result} == {1001}
        assert result[-1][0] < 1

    def test_a_client_that_does_not_answer_is_cut_off(self, launch: Launch) -> None:
        launched = launch(config="[websocket]\nclose_timeout = 0.5\n[drain]\nseconds = 0").ready()
        with raw(launched, UPGRADE):
            time.sleep(0.3)
            launched.terminate()
            assert launched.exit_code(2) == 0

    def test_a_client_that_does_not_read_is_cut_off(self, launch: Launch) -> None:
        source = """
async def handler(websocket):
    while True:
        await websocket.send(b"x" * 100_000)
"""
        config = "[websocket]\nclose_timeout = 0.5\nping_interval = 0\n[drain]\nseconds = 0"
        launched = launch(source, config).ready()
        with raw(launched, UPGRADE):
            time.sleep(0.5)
            launched.terminate()
            assert launched.exit_code(3) == 0
        assert "handlers" not in launched.output()

    def test_handlers_get_to_finish(self, launch: Launch, directory: Path) -> None:
        source = f"""
import asyncio
from pathlib import Path

async def handler(websocket):
    async for message in websocket:
        pass
    await asyncio.sleep(1)
    Path("{directory}/finished").touch()
"""
        launched = launch(source, "[drain]\nseconds = 0").ready()

        async def talk() -> None:
            clients = await hold(launched, 1)
            launched.terminate()
            await closes(clients)

        asyncio.run(talk())
        assert launched.exit_code() == 0
        assert (directory / "finished").exists()


FOREVER = """
import asyncio
async def handler(websocket):
    await asyncio.Event().wait()
"""

SWALLOWS = """
import asyncio
async def handler(websocket):
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass
"""

BLOCKS = """
import time
async def handler(websocket):
    async for message in websocket:
        time.sleep(5)
"""

BLOCKS_FOREVER = """
async def handler(websocket):
    async for message in websocket:
        while True:
            pass
"""


RECEIVES_IN_A_GROUP = """
import asyncio
async def handler(websocket):
    async with asyncio.TaskGroup() as group:
        group.create_task(websocket.recv())
"""


# A connection of the handler's own making, to another server, has ended.
LOSES_ANOTHER = """
from websockets.exceptions import ConnectionClosedError
async def handler(websocket):
    raise ConnectionClosedError(None, None)
"""


class TestBadHandlers:
    """Whatever handlers do, the process ends in time, with exit code 0."""

    def test_exit(self, launch: Launch) -> None:
        # All at the same time, because the promise is 6 s: drain 0.5, close timeout 0.5, and 5.
        config = "[websocket]\nclose_timeout = 0.5\n[drain]\nseconds = 0.5"
        handlers = {
            "never returns": FOREVER,
            "swallows CancelledError": SWALLOWS,
            "blocks the loop for 5 s": BLOCKS,
            "blocks the loop for good": BLOCKS_FOREVER,
        }
        launched = {
            name: launch(source, config, instance=number).ready()
            for number, (name, source) in enumerate(handlers.items(), 1)
        }

        async def end(process: Launched) -> tuple[int, bool]:
            clients = await hold(process, 2)
            for client in clients:
                await client.send("go")
            await asyncio.sleep(0.2)
            began = time.monotonic()
            process.terminate()
            code = await asyncio.to_thread(process.exit_code, 20)
            took = time.monotonic() - began
            await closes(clients)
            return code, took < 6.5

        async def end_all() -> dict[str, tuple[int, bool]]:
            results = await asyncio.gather(*map(end, launched.values()))
            return dict(zip(launched, results, strict=True))

        assert asyncio.run(end_all()) == dict.fromkeys(handlers, (0, True))
        for name in ("never returns", "swallows CancelledError"):
            assert "cancelling 2 handlers that did not return" in launched[name].output()
        left = "leaving 2 handlers behind"
        assert left not in launched["never returns"].output()
        assert left in launched["swallows CancelledError"].output()
        forced = "something blocks the exit"
        assert [name for name in handlers if forced in launched[name].output()] == list(handlers)[
            2:
        ]

    @pytest.mark.parametrize(
        ("source", "logged"),
        [
            ("async def handler(ws):\n    await ws.recv()\n    await ws.recv()\n", False),
            ("async def handler(ws):\n    1 / 0\n", True),
            (RECEIVES_IN_A_GROUP, False),
            (LOSES_ANOTHER, True),
        ],
        ids=["closed", "failure", "closed in a group", "another one closed"],
    )
    def test_only_failures_are_logged(self, launch: Launch, source: str, logged: bool) -> None:
        launched = launch(source).ready()

        async def talk() -> None:
            client = await connect(launched.uri)
            client.transport.abort()
            await client.wait_closed()

        asyncio.run(talk())
        time.sleep(0.2)
        launched.terminate()
        assert launched.exit_code() == 0
        assert ("<3>websockets.server [" in launched.output()) is logged


class TestWatchdog:
    """The event loop feeds it, so that nothing else can."""

    def test_fed_at_half_the_time(self, launch: Launch) -> None:
        launched = launch(environ={"WATCHDOG_USEC": "400000"}).ready()
        time.sleep(1)
        launched.manager.received.clear()
        launched.manager.wait_for("never", seconds=0.1)
        assert 4 <= launched.manager.received.count("WATCHDOG=1") <= 7

    def test_not_while_the_loop_is_blocked(self, launch: Launch) -> None:
        launched = launch(BLOCKS, environ={"WATCHDOG_USEC": "400000"}).ready()

        async def talk() -> None:
            client = (await hold(launched, 1))[0]
            await client.send("go")
            await asyncio.sleep(0.3)
            launched.manager.wait_for("never", seconds=0.1)
            launched.manager.received.clear()
            assert not launched.manager.wait_for("WATCHDOG=1", seconds=1)
            launched.process.kill()
            await client.wait_closed()

        asyncio.run(talk())

    def test_what_blocked_the_loop_is_told(self, launch: Launch) -> None:
        launched = launch(BLOCKS).ready()

        async def talk() -> None:
            client = (await hold(launched, 1))[0]
            await client.send("go")
            await asyncio.sleep(0.2)
            launched.process.send_signal(signal.SIGABRT)
            await client.wait_closed()

        asyncio.run(talk())
        assert launched.exit_code() == -signal.SIGABRT
        assert 'app.py", line 5 in handler' in launched.output()

    def test_none_asked_for(self, launch: Launch) -> None:
        launched = launch().ready()
        assert not launched.manager.wait_for("WATCHDOG=1", seconds=0.5)


class TestStatus:
    """The admin socket tells the truth."""

    def test_identity(self, launch: Launch) -> None:
        launched = launch(instance=7).ready()
        status = launched.status()
        assert status["app"] == "chat"
        assert status["instance"] == 7
        assert status["release"] == "r1"
        assert status["fingerprint"] == "f1"
        assert status["pid"] == launched.process.pid
        assert 0 <= status["uptime_seconds"] < 10
        assert 5_000_000 < status["memory_bytes"] < 200_000_000
        assert status["draining"] is False

    def test_counts_equal_the_clients(self, launch: Launch) -> None:
        launched = launch().ready()

        async def talk() -> None:
            clients = await hold(launched, 6)
            for client in clients[:3]:
                await client.send("hello")
                await client.recv()
            status = await asyncio.to_thread(launched.status)
            assert status["connections"] == 6
            assert status["messages_received_total"] == status["messages_sent_total"] == 3
            await clients[0].close()
            await clients[1].close(3000)
            clients[2].transport.abort()
            await asyncio.sleep(0.1)
            status = await asyncio.to_thread(launched.status)
            assert status["connections"] == 3
            assert status["opened_total"] == 6
            assert status["closed_total"] == {"1000": 1, "1006": 1, "3000": 1}
            for client in clients:
                await client.close()

        asyncio.run(talk())

    def test_lag_of_a_blocked_loop_shows(self, launch: Launch) -> None:
        launched = launch(BLOCKS.replace("5", "1.2")).ready()

        async def talk() -> dict[str, Any]:
            client = (await hold(launched, 1))[0]
            await client.send("go")
            await asyncio.sleep(1.7)
            await client.close()
            return launched.status()

        status = asyncio.run(talk())
        assert 0.1 < status["event_loop_lag_max_seconds"] < 3


LIFESPAN = """
import contextlib
from pathlib import Path

@contextlib.asynccontextmanager
async def lifespan():
    global pool
    pool = "open"
    yield
    Path("pool").write_text("closed")

async def handler(websocket):
    await websocket.send(pool)
    async for message in websocket:
        pass
"""

ECHO_LOOP = """
import asyncio
async def handler(websocket):
    await websocket.send(type(asyncio.get_running_loop()).__module__)
    async for message in websocket:
        pass
"""

GATE = """
import asyncio

async def process_request(connection, request):
    await asyncio.sleep(0)
    if request.path == "/secret":
        return connection.respond(401, "no")
    if request.path == "/broken":
        1 / 0

async def handler(websocket):
    pass
"""


class TestApplication:
    """What the user may add to a handler."""

    def test_lifespan(self, launch: Launch, directory: Path) -> None:
        launched = launch(LIFESPAN, 'lifespan = "app:lifespan"').ready()

        async def talk() -> None:
            async with connect(launched.uri) as client:
                assert await client.recv() == "open"
                launched.terminate()
                await client.wait_closed()
                assert client.close_code == 1001

        asyncio.run(talk())
        assert launched.exit_code() == 0
        assert (directory / "pool").read_text() == "closed"

    def test_lifespan_that_fails(self, launch: Launch) -> None:
        source = LIFESPAN.replace('pool = "open"', 'raise ConnectionError("no database")')
        launched = launch(source, 'lifespan = "app:lifespan"')
        assert launched.exit_code() == 1
        assert "<3>ConnectionError: no database\n" in launched.output()
        assert not launched.manager.wait_for("READY=1", seconds=0.1)

    def test_process_request(self, launch: Launch) -> None:
        launched = launch(GATE, 'process_request = "app:process_request"').ready()
        assert launched.health() == (200, "ok")
        for path, status in (("secret", 401), ("broken", 500)):
            answer = response(raw(launched, UPGRADE.replace(b"GET /", f"GET /{path}".encode())))
            assert answer.startswith(f"HTTP/1.1 {status} ")

        async def talk() -> None:
            async with connect(launched.uri):
                pass

        asyncio.run(talk())
        assert "process_request failed" in launched.output()

    def test_json_log(self, launch: Launch) -> None:
        launched = launch(config='[log]\nformat = "json"').ready()
        launched.terminate()
        assert launched.exit_code() == 0
        messages = [json.loads(line)["message"] for line in launched.output().splitlines()]
        assert messages == [
            f"serving app:handler on 127.0.0.1:{launched.port}",
            "draining 0 connections over 30 seconds",
            "stopped",
        ]

    def test_uvloop(self, launch: Launch) -> None:
        launched = launch(ECHO_LOOP, 'event_loop = "uvloop"\n[drain]\nseconds = 0.5').ready()

        async def talk() -> None:
            clients = await hold(launched, 3)
            assert await clients[0].recv() == "uvloop"
            launched.terminate()
            assert {code for _when, code in await closes(clients)} == {1001}

        asyncio.run(talk())
        assert launched.exit_code() == 0


class TestRefusals:
    """A process that can't serve says why, and fails."""

    def test_port_taken(self, launch: Launch) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            launched = launch(port=port)
            assert launched.exit_code() == 1
        assert launched.output() == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"

    def test_no_runtime_directory(self, launch: Launch) -> None:
        launched = launch(mode="unix_socket", instance=1)
        launched.ready()
        launched.close()
        (launched.runtime.parent / "notify1").unlink()
        for left in launched.runtime.iterdir():
            left.unlink()
        (launched.runtime / "1.sock").mkdir()
        again = launch(mode="unix_socket", instance=1)
        assert again.exit_code() == 1
        assert again.output().startswith(f"cannot listen on {launched.runtime}/1.sock: ")

    def test_port_past_the_last(self, launch: Launch) -> None:
        launched = launch(mode="port_per_process", port=65535)
        assert launched.exit_code() == 1
        assert "listen.port: 65535 + instance 1 is past 65535\n" in launched.output()


def test_children_do_not_inherit_what_is_ours(launch: Launch) -> None:
    """A handler's child process must not keep the port, or ignore signals."""
    source = """
import subprocess, sys
async def handler(websocket):
    code = "import os; print(sorted(os.listdir('/proc/self/fd'), key=int))"
    await websocket.send(subprocess.check_output([sys.executable, "-c", code], text=True))
"""
    launched = launch(source).ready()

    async def talk() -> str:
        async with connect(launched.uri) as client:
            return str(await client.recv())

    assert asyncio.run(talk()).strip() == "['0', '1', '2', '3']"
    assert list(launched.runtime.iterdir()) == [launched.admin]
