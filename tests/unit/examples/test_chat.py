"""What the chat example does, with real servers and a real bus on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from examples.chat import chat
from examples.chat.chat import Room
from examples.chat.chat.bus import Address, Bus, from_environment

KEY = b"a key for the tests"


def run(coroutine: Awaitable[None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await coroutine

    asyncio.run(bounded())


@asynccontextmanager
async def serving(room: Room) -> AsyncIterator[str]:
    async with serve(room.serve, "127.0.0.1", 0) as server:
        try:
            yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            if room.bus is not None:
                room.bus.close()


async def send(client: ClientConnection, **event: Any) -> None:
    await client.send(json.dumps(event))


async def receive(client: ClientConnection) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(await client.recv())
    event.pop("at", None)
    return event


@asynccontextmanager
async def member(url: str, nick: str) -> AsyncIterator[ClientConnection]:
    async with connect(url) as client:
        await send(client, nick=nick)
        assert (await receive(client))["type"] == "welcome"
        assert await receive(client) == {"type": "joined", "nick": nick}
        yield client


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "PACE", 0.001)


# One process


def test_everyone_sees_who_joins_what_is_said_and_who_leaves() -> None:
    async def play() -> None:
        async with serving(Room()) as url, member(url, "ada") as ada:
            async with member(url, "bob") as bob:
                assert await receive(ada) == {"type": "joined", "nick": "bob"}
                await send(bob, text="hello")
                for client in (ada, bob):
                    assert await receive(client) == {"type": "line", "nick": "bob", "text": "hello"}
            assert await receive(ada) == {"type": "left", "nick": "bob"}

    run(play())


def test_a_client_that_vanishes_has_left_too() -> None:
    async def play() -> None:
        async with (
            serving(Room()) as url,
            member(url, "ada") as ada,
            member(url, "bob") as bob,
        ):
            await receive(ada)
            bob.transport.abort()
            assert await receive(ada) == {"type": "left", "nick": "bob"}

    run(play())


def test_a_welcome_tells_which_process_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSTANCE", "3")
    monkeypatch.setenv("APP_RELEASE", "abc")

    async def play() -> None:
        async with serving(Room()) as url, connect(url) as client:
            await send(client, nick="ada")
            assert await receive(client) == {
                "type": "welcome",
                "nick": "ada",
                "host": socket.gethostname(),
                "process": "3",
                "release": "abc",
            }

    run(play())


def test_an_echo_comes_back_as_it_is_and_reaches_nobody_else() -> None:
    async def play() -> None:
        async with serving(Room()) as url, member(url, "ada") as ada, connect(url) as probe:
            message = '{ "echo":  "hello" }'
            await probe.send(message)
            assert await probe.recv() == message
            await send(ada, text="next")
            assert (await receive(ada))["text"] == "next"

    run(play())


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (["not JSON"], 1008),
        ([b"\xff\xfe"], 1008),
        (["[]"], 1008),
        (['{"text": "before a nick"}'], 1008),
        (['{"nick": 7}'], 1008),
        (['{"nick": " \\n "}'], 1008),
        (['{"nick": "ada"}', '{"nick": "bob"}'], 1008),
        (['{"nick": "ada"}', '{"text": ""}'], 1008),
    ],
)
def test_anything_else_ends_the_connection_with_a_reason(
    messages: list[str | bytes], code: int
) -> None:
    async def play() -> None:
        async with serving(Room()) as url, connect(url) as client:
            for message in messages:
                await client.send(message)
            await client.wait_closed()
            assert (client.close_code, client.close_reason) == (code, chat.USAGE)

    run(play())


def test_what_is_shown_is_short_and_plain() -> None:
    async def play() -> None:
        async with serving(Room()) as url, connect(url) as client:
            await send(client, nick="a\x1bd\na" + "x" * 100)
            assert (await receive(client))["nick"] == "ad a" + "x" * 20
            await receive(client)
            await send(client, text="\N{RIGHT-TO-LEFT OVERRIDE}one\n\ntwo " + "y" * 500)
            text = (await receive(client))["text"]
            assert text == "one two " + "y" * (chat.LINE_LENGTH - 8)

    run(play())


def test_a_full_room_asks_to_come_back_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "MEMBERS", 1)

    async def play() -> None:
        async with serving(Room()) as url, member(url, "ada"), connect(url) as client:
            await send(client, nick="bob")
            with pytest.raises(ConnectionClosed) as caught:
                await client.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1013

    run(play())


def test_a_client_that_floods_is_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "PACE", 0.05)

    async def play() -> None:
        async with serving(Room()) as url, member(url, "ada") as ada:
            loop = asyncio.get_running_loop()
            started = loop.time()
            for _line in range(10):
                await send(ada, text="again")
            for _line in range(10):
                await receive(ada)
            assert loop.time() - started > 0.4

    run(play())


# Several processes


def addresses(count: int) -> list[Address]:
    """Return addresses on loopback that nobody has."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _number in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    found: list[Address] = [("127.0.0.1", each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return found


@asynccontextmanager
async def two_processes(
    places: list[Address], keys: tuple[bytes, bytes] = (KEY, KEY)
) -> AsyncIterator[tuple[str, str]]:
    rooms = [Room(Bus(key, own, places)) for key, own in zip(keys, places, strict=False)]
    async with serving(rooms[0]) as first, serving(rooms[1]) as second:
        yield first, second


def _unix(folder: Path) -> list[Address]:
    return [str(folder / "1.bus"), str(folder / "2.bus")]


@pytest.mark.parametrize("places", [lambda _: addresses(2), _unix], ids=["udp", "unix"])
def test_clients_of_two_processes_talk_to_each_other(
    tmp_path: Path, places: Callable[[Path], list[Address]]
) -> None:
    async def play() -> None:
        async with (
            two_processes(places(tmp_path)) as urls,
            member(urls[0], "ada") as ada,
        ):
            async with member(urls[1], "bob") as bob:
                assert await receive(ada) == {"type": "joined", "nick": "bob"}
                for here, there, nick in ((ada, bob, "ada"), (bob, ada, "bob")):
                    await send(here, text=f"from {nick}")
                    line = {"type": "line", "nick": nick, "text": f"from {nick}"}
                    # Once each: nobody hears an echo of its own process through the bus.
                    assert await receive(here) == line
                    assert await receive(there) == line
            assert await receive(ada) == {"type": "left", "nick": "bob"}

    run(play())


@pytest.mark.parametrize("places", [lambda _: addresses(4), _unix], ids=["udp", "unix"])
def test_processes_that_do_not_run_are_no_trouble(
    tmp_path: Path, places: Callable[[Path], list[Address]]
) -> None:
    async def play() -> None:
        found = places(tmp_path)
        async with serving(Room(Bus(KEY, found[0], found))) as url, member(url, "ada") as ada:
            for text in ("one", "two", "three"):
                await send(ada, text=text)
                assert (await receive(ada))["text"] == text

    run(play())


def test_another_key_is_another_room() -> None:
    async def play() -> None:
        keys = (KEY, b"the key of someone else")
        async with (
            two_processes(addresses(2), keys) as urls,
            member(urls[0], "ada") as ada,
            member(urls[1], "bob") as bob,
        ):
            await send(bob, text="forged")
            await receive(bob)
            await asyncio.sleep(0.1)
            await send(ada, text="mine")
            assert (await receive(ada))["text"] == "mine"

    run(play())


async def _heard(datagrams: Callable[[Bus], list[bytes]]) -> list[str]:
    """Return what a bus makes of datagrams."""
    own, other = addresses(2)
    heard: list[str] = []
    bus = Bus(KEY, own, [own, other])
    await bus.open(heard.append)
    try:
        for datagram in datagrams(bus):
            bus.datagram_received(datagram, None)
    finally:
        bus.close()
    return heard


class _Sent(Bus):
    """A bus that keeps what it sends."""

    def __init__(self, key: bytes = KEY) -> None:
        super().__init__(key, ("127.0.0.1", 1), [("127.0.0.1", 2)])
        self.datagrams: list[bytes] = []
        self.transport = self  # type: ignore[assignment]

    def sendto(self, data: bytes, _place: Address) -> None:
        self.datagrams.append(data)


def _datagram(text: str = "hello", key: bytes = KEY) -> bytes:
    sent = _Sent(key)
    sent.send(text)
    return sent.datagrams[0]


@pytest.mark.parametrize(
    ("change", "heard"),
    [
        (lambda good: [good], ["hello"]),
        (lambda good: [good, good], ["hello"]),
        (lambda good: [good[:-1] + b"!"], []),
        (lambda good: [bytes(32) + good[32:]], []),
        (lambda good: [b"", good[:20], good[:32]], []),
        (lambda _: [_datagram(key=b"another key altogether")], []),
    ],
    ids=["good", "repeated", "changed", "unsigned", "short", "forged"],
)
def test_only_a_signed_and_new_datagram_is_heard(
    change: Callable[[bytes], list[bytes]], heard: list[str]
) -> None:
    assert asyncio.run(_heard(lambda _: change(_datagram()))) == heard


@pytest.mark.parametrize(("age", "heard"), [(-20, ["hello"]), (20, ["hello"]), (40, []), (-40, [])])
def test_an_old_datagram_is_not_heard(
    monkeypatch: pytest.MonkeyPatch, age: float, heard: list[str]
) -> None:
    good = _datagram()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + age)
    assert asyncio.run(_heard(lambda _: [good])) == heard


def test_what_was_seen_is_forgotten_when_it_can_not_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bus = _Sent()
    now = time.time()
    for second in range(0, 600, 10):
        monkeypatch.setattr(time, "time", lambda second=second: now + second)
        bus.send("hello")
    assert len(bus._seen) <= 7


# Settings


def test_without_a_key_there_is_no_bus() -> None:
    assert from_environment({"CHAT_PEERS": "10.0.0.2"}) is None


def test_every_process_of_every_server_is_a_peer() -> None:
    bus = from_environment(
        {
            "CHAT_KEY": "k" * 16,
            "CHAT_PEERS": "10.0.0.2, 10.0.0.3",
            "CHAT_PROCESSES": "2",
            "CHAT_BUS_PORT": "9000",
            "HOST": "10.0.0.3",
            "INSTANCE": "2",
        }
    )
    assert bus is not None
    assert bus.own == ("10.0.0.3", 9002)
    assert bus.peers == [
        ("10.0.0.2", 9001),
        ("10.0.0.2", 9002),
        ("10.0.0.3", 9001),
        ("10.0.0.3", 9002),
    ]


def test_with_unix_sockets_the_bus_is_beside_them() -> None:
    bus = from_environment(
        {
            "CHAT_KEY": "k" * 16,
            "CHAT_PROCESSES": "2",
            "UNIX_SOCKET": "/run/chat/2.sock",
            "INSTANCE": "2",
        }
    )
    assert bus is not None
    assert bus.own == "/run/chat/2.bus"
    assert bus.peers == ["/run/chat/1.bus", "/run/chat/2.bus"]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("CHAT_KEY", "short", "CHAT_KEY has 5 characters: give 16 or more"),
        ("CHAT_PEERS", "app1", "CHAT_PEERS has 'app1': give the servers' IP addresses"),
        ("CHAT_PEERS", "10.0.0.2,", "CHAT_PEERS has ''"),
        ("CHAT_PROCESSES", "0", "CHAT_PROCESSES is '0': give a number from 1 to 256"),
        ("CHAT_PROCESSES", "many", "CHAT_PROCESSES is 'many'"),
        ("CHAT_BUS_PORT", "65535", "CHAT_BUS_PORT is '65535': give a number from 1 to 65503"),
        ("INSTANCE", "0", "INSTANCE is '0': give a number from 1 to 65535"),
        ("INSTANCE", "33", "CHAT_PROCESSES is 32, and this is process 33: raise it"),
    ],
)
def test_a_setting_without_a_meaning_is_named(name: str, value: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        from_environment({"CHAT_KEY": "k" * 16, name: value})
