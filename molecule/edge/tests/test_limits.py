"""Who gets in, how many and how fast: lb1 has the defaults, lb2 narrow limits."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Fleet

    from .conftest import Answer, Door

# As inventory/group_vars/strict.yml says.
CONNECTIONS = 5
BURST = 10
RATE = 40


def statuses(answers: Iterable[Answer]) -> Counter[int]:
    """How often each status was answered."""
    return Counter(answer.status for answer in answers)


def test_500_people_behind_one_address_get_in_at_once(usual: Door) -> None:
    async def come() -> Counter[int]:
        async with usual.crowd(500) as people:
            return statuses(people)

    assert asyncio.run(come()) == {101: 500}


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"),
        # Bytes that a regular expression may take for the end of a line.
        ("2001:db8:a0a:a0a::a0a", "2001:db8:a0a:a0a:a0a:a0a:a0a:a0a", "2001:db8:a0a:a0b::a0a"),
    ],
    ids=["IPv4", "IPv6", "IPv6-newlines"],
)
def test_an_address_has_so_many_connections(strict: Door, one: str, same: str, other: str) -> None:
    async def hoard() -> None:
        async with strict.crowd(CONNECTIONS, one) as held:
            assert statuses(held) == {101: CONNECTIONS}
            refused = await strict.ask(same)
            assert refused.status == 429
            assert int(refused.headers["Retry-After"]) > 0
            neighbour = await strict.ask(other)
            assert neighbour.status == 101
            neighbour.close()
            held[0].close()
            again = await strict.ask_until(101, same)
            assert again.status == 101
            again.close()

    asyncio.run(hoard())


def test_an_address_may_come_so_often(strict: Door) -> None:
    async def hurry(client: str, times: int) -> Counter[int]:
        found = []
        for _number in range(times):
            answer = await strict.ask(client)
            answer.close()
            found.append(answer)
        assert all(int(answer.headers["Retry-After"]) for answer in found if answer.status == 503)
        return statuses(found)

    async def flood() -> None:
        began = asyncio.get_running_loop().time()
        seen = await hurry("192.0.2.20", 3 * BURST)
        seconds = asyncio.get_running_loop().time() - began
        # One a second, and ten more at once.
        assert BURST < seen[101] <= BURST + 1 + seconds
        assert seen[503] == 3 * BURST - seen[101]
        assert await hurry("192.0.2.21", 1) == {101: 1}
        await asyncio.sleep(1.1)
        assert await hurry("192.0.2.20", 1) == {101: 1}

    asyncio.run(flood())


async def storm(door: Door, clients: int) -> list[Answer]:
    """Come back all at once, everybody from an address of their own.

    A machine may take longer for all the keys than the servers have to themselves meanwhile.
    """
    ready = asyncio.Barrier(clients)
    answers = await asyncio.gather(
        *(door.ask(f"2001:db8:{clients:x}:{number:x}::1", "/", ready) for number in range(clients))
    )
    for answer in answers:
        answer.close()
    return list(answers)


def test_a_storm_waits_its_turn_and_everybody_gets_in(strict: Door) -> None:
    answers = asyncio.run(storm(strict, 3 * RATE))
    assert statuses(answers) == {101: 3 * RATE}
    # The last one comes when the servers have had three seconds.
    assert 2.5 < max(answer.seconds for answer in answers) < 8


def test_who_would_wait_too_long_is_told_when_to_come_back(strict: Door) -> None:
    answers = asyncio.run(storm(strict, 10 * RATE))
    seen = statuses(answers)
    assert 5 * RATE < seen[101] < 8 * RATE
    assert seen[503] == 10 * RATE - seen[101]
    later = {answer.headers["Retry-After"] for answer in answers if answer.status == 503}
    assert later == {"5", "10", "15", "20"}


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("203.0.113.9", 403),
        ("2001:db8:bad:1::9", 403),
        ("192.0.2.30", 101),
        # Only the last one is the proxy's word; what a client invents comes before it.
        ("192.0.2.31, 203.0.113.9", 403),
        ("203.0.113.9, 192.0.2.32", 101),
    ],
)
def test_the_address_is_what_a_trusted_proxy_says(strict: Door, said: str, status: int) -> None:
    async def ask() -> int:
        answer = await strict.ask(said)
        answer.close()
        return answer.status

    assert asyncio.run(ask()) == status


@pytest.mark.parametrize("path", ["/", "/healthz", "/no-such-page"])
def test_who_is_denied_gets_nothing_else_either(strict: Door, path: str) -> None:
    async def ask(client: str) -> int:
        answer = await strict.ask(client, path, Upgrade="")
        answer.close()
        return answer.status

    assert asyncio.run(ask("203.0.113.9")) == 403
    assert asyncio.run(ask("192.0.2.33")) == (200 if path == "/healthz" else 426)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://echo.example.test", 101),
        ("", 101),
        ("https://evil.example", 403),
        ("https://echo.example.test.evil.example", 403),
        ("https://echoXexample.test", 403),
        ("null", 403),
        ("none", 403),
    ],
)
def test_pages_of_others_are_refused_at_the_edge(
    fleet: Fleet, usual: Door, origin: str, status: int
) -> None:
    async def ask() -> int:
        answer = await (usual.ask(Origin=origin) if origin else usual.ask())
        answer.close()
        return answer.status

    assert asyncio.run(ask()) == status


def test_a_bearer_token_fits_and_a_flood_of_header_does_not(usual: Door) -> None:
    async def ask(size: int) -> int:
        answer = await usual.ask(Authorization="Bearer " + "x" * size)
        answer.close()
        return answer.status

    assert asyncio.run(ask(7000)) == 101
    assert asyncio.run(ask(9000)) == 400


def test_a_large_body_is_refused_before_it_is_sent(usual: Door) -> None:
    async def announce(size: int) -> int:
        answer = await usual.ask(Content_Length=str(size))
        answer.close()
        return answer.status

    assert asyncio.run(announce(65537)) == 413


@pytest.mark.parametrize("body", [{"Content_Length": "1"}, {"Transfer_Encoding": "chunked"}])
def test_a_handshake_that_announces_a_body_is_refused_before_it_comes(
    usual: Door, body: dict[str, Any]
) -> None:
    async def announce(**header: Any) -> tuple[int, float]:
        answer = await usual.ask(**header)
        answer.close()
        return answer.status, answer.seconds

    status, seconds = asyncio.run(announce(**body))
    assert status == 400
    # nginx would wait ten for the body.
    assert seconds < 8
    assert asyncio.run(announce(Content_Length="0"))[0] == 101


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame of HTTP/2."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def test_http_2_brings_no_upgrade_to_a_server(fleet: Fleet) -> None:
    """No library sends what HTTP/2 forbids: bytes by hand, each field a literal of HPACK's."""
    settings, acknowledged, headers, data = 4, 1, 1, 0
    fields = {
        ":method": "GET",
        ":scheme": "https",
        ":path": "/",
        ":authority": "echo.example.test",
        "upgrade": "websocket",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
    }
    words = b"".join(
        b"\0" + b"".join(bytes([len(word)]) + word.encode() for word in field)
        for field in fields.items()
    )
    context = fleet.authority("lb1")
    context.set_alpn_protocols(["h2"])

    async def ask() -> tuple[bytes, bytes]:
        reader, writer = await asyncio.open_connection(
            fleet["lb1"].address, 443, ssl=context, server_hostname=fields[":authority"]
        )
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(settings, 0, 0))
        # All of the header, and no body.
        writer.write(frame(headers, 0x4 | 0x1, 1, words))
        found = {headers: b"", data: b""}
        async with asyncio.timeout(20):
            while not found[data]:
                head = await reader.readexactly(9)
                payload = await reader.readexactly(int.from_bytes(head[:3]))
                if head[3] in found:
                    found[head[3]] += payload
                elif head[3] == settings and not head[4] & acknowledged:
                    writer.write(frame(settings, acknowledged, 0))
        writer.transport.abort()
        return found[headers], found[data]

    header, body = asyncio.run(ask())
    # HPACK has no number for this status. A server would say the same, in other words.
    assert header[1:5] == b"\x03426"
    assert body == b"This is a WebSocket.\n"


@pytest.mark.parametrize(
    ("port", "said"),
    [
        (443, ""),
        (443, "GET / HTTP/1.1\r\nHost: echo.example.test\r\n"),
        (80, "GET / HTTP/1.1\r\nHost: echo.example.test\r\n"),
    ],
    ids=["no TLS", "half a header", "half a header without TLS"],
)
def test_who_does_not_get_on_is_let_go(usual: Door, port: int, said: str) -> None:
    async def dawdle() -> float:
        began = asyncio.get_running_loop().time()
        context = usual.context if said and port == 443 else None
        reader, writer = await asyncio.open_connection(usual.address, port, ssl=context)
        writer.write(said.encode())
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        writer.close()
        return asyncio.get_running_loop().time() - began

    assert 9 < asyncio.run(dawdle()) < 15
