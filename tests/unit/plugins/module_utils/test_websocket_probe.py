"""What the websocket_probe module promises, against real servers on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import Server, ServerConnection, serve, unix_serve
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from ansible_collections.websockets.fleet.plugins.module_utils import _websocket_probe
from ansible_collections.websockets.fleet.plugins.module_utils._websocket_probe import (
    OptionError,
    ProbeError,
    Request,
    probe,
)

NAME = "chat.example.test"
NOW = datetime.now(UTC).replace(microsecond=0)


# Certificates

# Python 3.13 asks this of an authority, and is right.
AUTHORITY_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Authority:
    """A throw-away authority that issues certificates into a folder."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def file(self) -> Path:
        return self.folder / "ca.pem"

    def context(self, days: int = 90, names: tuple[str, ...] = (NAME,)) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        alternatives.append(x509.IPAddress(ipaddress.ip_address("127.0.0.9")))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(0xABC123)
            .not_valid_before(NOW - timedelta(days=100))
            .not_valid_after(NOW + timedelta(days=days, hours=1))
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )
        pair = self.folder / f"{names[0]}-{days}.pem"
        pair.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Throw-away CA")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=200))
        .not_valid_after(NOW + timedelta(days=200))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(AUTHORITY_USAGE, critical=True)
        .sign(key, hashes.SHA256())
    )
    made = Authority(tmp_path_factory.mktemp("ca"), key, certificate)
    made.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return made


# Servers


async def _handler(websocket: ServerConnection) -> None:
    assert websocket.request is not None
    path = websocket.request.path
    if path == "/greet":
        await websocket.send("welcome, stranger")
    elif path == "/binary":
        await websocket.send(b"\x00\x01")
    elif path == "/leave":
        await websocket.close(1012, "moving")
    elif path == "/request":
        await websocket.send(json.dumps(dict(websocket.request.headers.raw_items())))
    elif path == "/other":
        async for _message in websocket:
            await websocket.send("something else")
    elif path == "/deaf":
        async for _message in websocket:
            pass
    async for message in websocket:
        await websocket.send(message)


def _process_request(connection: ServerConnection, request: HttpRequest) -> Response | None:
    if request.path == "/busy":
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "no room\n")
    if request.path == "/page":
        return connection.respond(HTTPStatus.BAD_GATEWAY, "<html>nginx</html>")
    if request.path.startswith("/moved"):
        response = connection.respond(HTTPStatus.MOVED_PERMANENTLY, "")
        response.headers["Location"] = request.path.removeprefix("/moved")
        return response
    return None


def _select_subprotocol(
    _connection: ServerConnection, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    return Subprotocol("chat.v1") if "chat.v1" in offered else None


class Loop:
    """An event loop in a thread, which serves until the end of the test module."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.servers: list[Server] = []

    def _run(self, starting: Any) -> Server:
        future: Future[Server] = asyncio.run_coroutine_threadsafe(starting, self.loop)
        self.servers.append(future.result(5))
        return self.servers[-1]

    def tcp(self, context: ssl.SSLContext | None = None) -> int:
        async def start() -> Server:
            return await serve(
                _handler,
                "127.0.0.1",
                0,
                ssl=context,
                process_request=_process_request,
                select_subprotocol=_select_subprotocol,
                server_header="fleet-test",
            )

        return int(self._run(start()).sockets[0].getsockname()[1])

    def unix(self, path: Path) -> None:
        async def start() -> Server:
            return await unix_serve(_handler, str(path))

        self._run(start())

    def close(self) -> None:
        async def stop() -> None:
            for server in self.servers:
                server.close()
                await server.wait_closed()

        asyncio.run_coroutine_threadsafe(stop(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture(scope="module")
def plain(loop: Loop) -> str:
    return f"ws://127.0.0.1:{loop.tcp()}"


@pytest.fixture(scope="module")
def secure(loop: Loop, authority: Authority) -> Request:
    port = loop.tcp(authority.context())
    return Request(
        url=f"wss://{NAME}/", connect_to=f"127.0.0.1:{port}", ca_file=str(authority.file)
    )


@contextlib.contextmanager
def raw_server(serve_one: Callable[[socket.socket], None]) -> Iterator[int]:
    """Listen on loopback; give one connection to ``serve_one``."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with contextlib.suppress(OSError):
            connection, _address = listener.accept()
            with connection:
                serve_one(connection)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def stubborn(until: str) -> Callable[[socket.socket], None]:
    """Behave until a stage begins, then neither read nor write until the other side is gone."""

    def serve_one(connection: socket.socket) -> None:
        stages = ["handshake", "ping", "message", "close"]
        protocol = ServerProtocol()
        while True:
            data = connection.recv(65536)
            if not data:
                return
            protocol.receive_data(data)
            for event in protocol.events_received():
                if stages[0] == until:
                    # Read nothing more, so that the other side's writes block.
                    _wait_for_end(connection)
                    return
                if isinstance(event, HttpRequest):
                    protocol.send_response(protocol.accept(event))
                elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                    protocol.send_text(bytes(event.data))
                stages.pop(0)
            for out in protocol.data_to_send():
                connection.sendall(out)

    return serve_one


def _wait_for_end(connection: socket.socket) -> None:
    """Wait, without reading, until the other side has shut the connection down."""
    import select

    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    poll.poll(10_000)


# What a good probe tells


def test_a_ping_alone(plain: str) -> None:
    facts = probe(Request(url=f"{plain}/deaf"))
    assert facts["status"] == 101
    assert facts["server"] == "fleet-test"
    assert facts["tls"] is None
    assert facts["answer"] is None
    assert (facts["close_code_sent"], facts["close_code_received"]) == (1000, 1000)
    assert list(facts["latency_ms"]) == [
        "lookup",
        "connect",
        "handshake",
        "ping",
        "close",
        "total",
    ]
    parts = [value for name, value in facts["latency_ms"].items() if name != "total"]
    assert 0 < sum(parts) <= facts["latency_ms"]["total"] + 0.1


def test_an_echo_with_everything_negotiated(plain: str) -> None:
    facts = probe(
        Request(url=plain, send="héllo", subprotocols=["chat.v1", "chat.v0"], close_code=3001)
    )
    assert facts["answer"] == "héllo"
    assert facts["subprotocol"] == "chat.v1"
    assert re.match("permessage-deflate", facts["extensions"][0])
    assert facts["close_code_received"] == 3001
    assert facts["latency_ms"]["message"] > 0


def test_headers_origin_and_no_compression_reach_the_server(plain: str) -> None:
    facts = probe(
        Request(
            url=f"{plain}/request",
            origin="https://chat.example.test",
            headers={"Authorization": "Bearer x", "X-Number": 7},
            compression=False,
            expect="{",
            match="contains",
        )
    )
    sent = json.loads(facts["answer"])
    assert sent["Origin"] == "https://chat.example.test"
    assert sent["Authorization"] == "Bearer x"
    assert sent["X-Number"] == "7"
    assert "Sec-WebSocket-Extensions" not in sent
    assert facts["extensions"] == []


def test_the_first_message_may_be_anything(plain: str) -> None:
    assert probe(Request(url=f"{plain}/other", send="a", match="any"))["answer"] == (
        "something else"
    )
    assert probe(Request(url=f"{plain}/binary", send="a", match="any"))["answer"] is None


def test_a_greeting_is_waited_for_without_a_message(plain: str) -> None:
    facts = probe(Request(url=f"{plain}/greet", expect="welcome", match="contains"))
    assert facts["answer"] == "welcome, stranger"


def test_a_unix_socket(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "1.sock"
    loop.unix(path)
    facts = probe(Request(url="ws://localhost/", unix_socket=str(path), send="hello"))
    assert facts["answer"] == "hello"
    assert "lookup" not in facts["latency_ms"]


def test_a_verified_certificate_is_described(secure: Request) -> None:
    facts = probe(replace(secure, send="hello"))
    tls = facts["tls"]
    assert tls["version"] == "TLSv1.3"
    assert tls["cipher"].startswith("TLS_")
    assert re.fullmatch("[0-9a-f]{64}", tls["sha256"])
    assert tls["certificate"] == {
        "subject": {"commonName": NAME},
        "issuer": {"commonName": "Throw-away CA"},
        "serial_number": "ABC123",
        "subject_alt_names": [f"DNS:{NAME}", "IP:127.0.0.9"],
        "not_before": (NOW - timedelta(days=100)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "not_after": (NOW + timedelta(days=90, hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "days_left": 90,
    }
    assert facts["latency_ms"]["tls"] > 0


def test_many_probes_over_tls_in_a_row(secure: Request) -> None:
    # A client that reads and writes TLS in two threads hangs or crashes sooner or later.
    for _attempt in range(200):
        assert probe(replace(secure, send="hello"))["answer"] == "hello"


def test_the_authority_may_come_as_text(secure: Request, authority: Authority) -> None:
    probe(replace(secure, ca_file=None, ca_content=authority.file.read_text()))


def test_an_unverified_certificate_is_only_fingerprinted(secure: Request) -> None:
    facts = probe(replace(secure, ca_file=None, validate_certs=False))
    assert facts["tls"]["certificate"] is None
    assert re.fullmatch("[0-9a-f]{64}", facts["tls"]["sha256"])


def test_an_address_that_refuses_leaves_the_next_one_its_chance(
    plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(plain.rsplit(":", 1)[1])
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in
             ("127.0.0.3", "127.0.0.1")]  # fmt: skip
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    probe(Request(url=f"ws://two-addresses.test:{port}/"))


# What a failed one says


@pytest.mark.parametrize(
    ("path", "options", "stage", "sentence"),
    [
        ("/busy", {}, "handshake", "answered HTTP 503 Service Unavailable: 'no room' where 101"),
        ("/page", {}, "handshake", "answered HTTP 502 Bad Gateway where 101"),
        ("/moved/a", {}, "handshake", "HTTP 301 Moved Permanently, a redirect to /a: probe"),
        ("/movedhttps://a.test/", {}, "handshake", "a redirect to https://a.test/: probe"),
        (
            "/other",
            {"send": "a"},
            "message",
            "answered 'something else': the answer that is 'a'",
        ),
        ("/greet", {"expect": "hi"}, "message", "the answer that is 'hi' was expected"),
        ("/greet", {"expect": "hi", "match": "contains"}, "message", "that contains 'hi' was"),
        ("/binary", {"send": "a"}, "message", "answered 2 bytes of binary data: the answer"),
        ("/leave", {"send": "a"}, None, "closed the connection before the .* 1012 .* moving"),
        ("/deaf", {"send": "a", "timeout": 0.3}, "message", "timeout: the message exchange"),
        ("/", {"send": "a" * 2_000_000}, "message", "1009 .message too big"),
    ],
)
def test_a_wrong_answer_is_named(
    plain: str, path: str, options: dict[str, Any], stage: str | None, sentence: str
) -> None:
    with pytest.raises(ProbeError, match=sentence) as caught:
        probe(Request(url=plain + path, **options))
    assert caught.value.stage == stage or stage is None
    assert str(caught.value).startswith(("127.0.0.1:", "timeout: "))
    assert "\n" not in str(caught.value)


def test_a_rejection_keeps_its_facts(plain: str) -> None:
    with pytest.raises(ProbeError) as caught:
        probe(Request(url=f"{plain}/busy"))
    assert caught.value.facts["status"] == 503
    assert caught.value.facts["server"] == "fleet-test"
    assert "connect" in caught.value.facts["latency_ms"]


def test_a_wrong_answer_is_still_followed_by_an_orderly_close(plain: str) -> None:
    with pytest.raises(ProbeError) as caught:
        probe(Request(url=f"{plain}/other", send="a", close_code=3002))
    assert caught.value.facts["close_code_received"] == 3002


def test_a_close_by_the_server_is_reported(plain: str) -> None:
    with pytest.raises(ProbeError) as caught:
        probe(Request(url=f"{plain}/leave", send="a"))
    assert caught.value.facts["close_code_received"] == 1012
    assert caught.value.facts["close_reason_received"] == "moving"


def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(ProbeError, match=r"the name no-such\.invalid does not resolve: ") as caught:
        probe(Request(url="ws://no-such.invalid/"))
    assert caught.value.stage == "lookup"


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer.wait(5) and [])
    with pytest.raises(ProbeError, match="timeout: the name lookup with slow"):
        probe(Request(url="ws://slow.test/", timeout=0.2))
    answer.set()


def test_a_port_where_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    with pytest.raises(ProbeError, match=f"127.0.0.1:{port} refused the connection") as caught:
        probe(Request(url=f"ws://127.0.0.1:{port}/"))
    assert caught.value.stage == "connect"


def test_a_unix_socket_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "1.sock"
    with pytest.raises(ProbeError, match=f"no connection to {path}: No such file or directory"):
        probe(Request(url="ws://localhost/", unix_socket=str(path)))


@pytest.mark.parametrize("stage", ["handshake", "ping", "message", "close"])
def test_a_server_that_stops_answering_is_left_in_time(stage: str) -> None:
    # Too large for the sockets' buffers: the write itself blocks.
    message = "a" * 20_000_000 if stage == "message" else "a"
    with raw_server(stubborn(stage)) as port:
        started = time.monotonic()
        with pytest.raises(ProbeError, match="timeout: ") as caught:
            probe(Request(url=f"ws://127.0.0.1:{port}/", send=message, timeout=0.5))
        assert time.monotonic() - started < 2
    assert caught.value.stage == stage


def test_a_wrong_answer_says_more_than_a_close_that_is_late() -> None:
    with raw_server(stubborn("close")) as port, pytest.raises(ProbeError) as caught:
        probe(Request(url=f"ws://127.0.0.1:{port}/", send="a", expect="b", timeout=0.5))
    assert re.search("answered 'a': the answer that is 'b'", str(caught.value))
    assert caught.value.stage == "message"
    assert caught.value.facts["close_code_sent"] == 1000


def test_a_rejection_is_not_waited_for_when_the_connection_stays_open() -> None:
    def reject(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        _wait_for_end(connection)

    with raw_server(reject) as port, pytest.raises(ProbeError, match="answered HTTP 403"):
        probe(Request(url=f"ws://127.0.0.1:{port}/", timeout=3))


def test_a_server_that_stops_answering_tls_is_left_in_time(authority: Authority) -> None:
    with raw_server(_wait_for_end) as port, pytest.raises(ProbeError) as caught:
        probe(
            Request(
                url=f"wss://127.0.0.1:{port}/",
                ca_file=str(authority.file),
                timeout=0.3,
            )
        )
    assert str(caught.value).startswith("timeout: the TLS handshake with 127.0.0.1:")


def _answer(data: bytes) -> Callable[[socket.socket], None]:
    def serve_one(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(data)

    return serve_one


@pytest.mark.parametrize(
    ("scheme", "answer", "stage", "sentence"),
    [
        ("ws", b"", "handshake", "cut the connection during the WebSocket handshake"),
        ("ws", b"SSH-2.0-OpenSSH_9.2\r\n", "handshake", "did the WebSocket handshake wrong"),
        ("ws", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "handshake", "answered HTTP 200"),
        ("wss", b"HTTP/1.1 400 Bad Request\r\n\r\n", "tls", "no TLS connection with .*: "),
        ("wss", b"", "tls", "no TLS connection|cut the connection during the TLS handshake"),
    ],
)
def test_another_protocol_is_noticed(scheme: str, answer: bytes, stage: str, sentence: str) -> None:
    with raw_server(_answer(answer)) as port, pytest.raises(ProbeError, match=sentence) as caught:
        probe(Request(url=f"{scheme}://127.0.0.1:{port}/"))
    assert caught.value.stage == stage


def test_a_connection_that_is_cut_without_a_close_frame_is_a_failure() -> None:
    def cut_at_close(connection: socket.socket) -> None:
        protocol = ServerProtocol()
        while True:
            protocol.receive_data(connection.recv(65536))
            for event in protocol.events_received():
                if isinstance(event, HttpRequest):
                    protocol.send_response(protocol.accept(event))
                elif isinstance(event, Frame) and event.opcode is Opcode.CLOSE:
                    return
            for out in protocol.data_to_send():
                connection.sendall(out)

    with raw_server(cut_at_close) as port, pytest.raises(ProbeError) as caught:
        probe(Request(url=f"ws://127.0.0.1:{port}/"))
    assert re.search("cut the connection during the closing handshake", str(caught.value))
    assert caught.value.facts["close_code_received"] is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ca_file": None}, "unable to get local issuer certificate"),
        ({"url": "wss://other.example.test/"}, "not valid for 'other.example.test'"),
    ],
)
def test_a_certificate_that_does_not_fit_is_refused_with_the_reason(
    secure: Request, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ProbeError, match=f"certificate that .* is not valid: .*{reason}") as caught:
        probe(replace(secure, **change))
    assert caught.value.stage == "tls"


def test_an_expired_certificate_is_refused(loop: Loop, authority: Authority) -> None:
    port = loop.tcp(authority.context(days=-1))
    with pytest.raises(ProbeError, match="is not valid: certificate has expired"):
        probe(
            Request(
                url=f"wss://{NAME}:{port}/", connect_to="127.0.0.1", ca_file=str(authority.file)
            )
        )


# Options without a meaning


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"url": "https://example.test/"}, "url has the scheme 'https': give ws://"),
        ({"url": "example.test"}, "url has the scheme ''"),
        ({"url": "ws:///path"}, "url has no host"),
        ({"url": "ws://example.test:0/"}, "url has no port"),
        ({"url": "ws://example.test:99999/"}, "url is not a URL"),
        ({"url": "ws://[::1/"}, "url is not a URL"),
        ({"url": "ws://example.test/#top"}, "url has a fragment"),
        ({"connect_to": "127.0.0.1:x"}, "connect_to is '127.0.0.1:x'"),
        ({"connect_to": "127.0.0.1/24"}, "connect_to is '127.0.0.1/24'"),
        ({"connect_to": ":80"}, "connect_to is ':80'"),
        ({"connect_to": "a", "unix_socket": "/run/a"}, "connect_to and unix_socket exclude"),
        ({"ca_file": "/ca.pem", "url": "ws://example.test/"}, "ca_file is given, but a ws:// URL"),
        ({"ca_file": "/a", "ca_content": "b"}, "ca_file and ca_content exclude each other"),
        ({"ca_content": "b", "validate_certs": False}, "ca_content is given, but validate_certs"),
        ({"ca_content": ""}, "ca_content is empty"),
        ({"origin": "https://example.test/"}, "origin is 'https://example.test/'"),
        ({"subprotocols": ["a b"]}, "subprotocols has 'a b'"),
        ({"subprotocols": ["a", "a"]}, "subprotocols names one twice"),
        ({"headers": {"a b": "c"}}, "headers has 'a b'"),
        ({"headers": {"Sec-WebSocket-Key": "c"}}, "headers has Sec-WebSocket-Key, which the hand"),
        ({"headers": {"Host": "c"}}, "headers has Host, which the handshake sets itself"),
        ({"headers": {"X-A": "c\r\nX-B: d"}}, "the value of X-A has a control character"),
        ({"headers": {"X-A": ["c"]}}, "the value of X-A is not a text"),
        ({"match": "regex"}, "match is 'regex'"),
        ({"match": "any", "expect": "a"}, "expect is given, and match is any"),
        ({"timeout": 0.0}, "timeout is 0: give 3600 seconds at most"),
        ({"timeout": 3601.0}, "timeout is 3601"),
        ({"close_code": 1005}, "close_code is 1005"),
        ({"close_code": 999}, "close_code is 999"),
    ],
)
def test_an_option_without_a_meaning_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OptionError, match=re.escape(sentence)):
        Request(**{"url": "wss://example.test/", **options})


def test_a_password_in_the_url_is_never_repeated() -> None:
    with pytest.raises(OptionError) as caught:
        Request(url="http://user:secret@example.test/")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "content", "sentence"),
    [
        ("ca_file", None, "No such file or directory"),
        ("ca_file", "not PEM", "ca_file holds no certificate in PEM format"),
        ("ca_content", "not PEM", "ca_content holds no certificate in PEM format"),
    ],
)
def test_an_authority_that_is_none_is_refused(
    tmp_path: Path, option: str, content: str | None, sentence: str
) -> None:
    value = content
    if option == "ca_file":
        value = str(tmp_path / "ca.pem")
        if content is not None:
            Path(value).write_text(content)
    request = Request(url="wss://127.0.0.1:9/", **{option: value})  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=sentence):
        probe(request)


@pytest.mark.parametrize(
    ("url", "connect_to", "target", "place"),
    [
        ("ws://example.test/", None, ("example.test", 80), "example.test:80"),
        ("wss://example.test/", None, ("example.test", 443), "example.test:443"),
        ("wss://example.test:8443/", "10.0.0.2", ("10.0.0.2", 8443), "10.0.0.2:8443"),
        ("wss://example.test/", "10.0.0.2:1", ("10.0.0.2", 1), "10.0.0.2:1"),
        ("wss://example.test/", "fd00::2", ("fd00::2", 443), "[fd00::2]:443"),
        ("wss://example.test/", "[fd00::2]:1", ("fd00::2", 1), "[fd00::2]:1"),
    ],
)
def test_the_place_to_connect_to(
    url: str, connect_to: str | None, target: tuple[str, int], place: str
) -> None:
    request = Request(url=url, connect_to=connect_to)
    assert (request.target, request.place) == (target, place)


# The module itself


def run_module(tmp_path: Path, *words: str, **environment: str) -> dict[str, Any]:
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": _collections_path(tmp_path),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
        **environment,
    }
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ansible", "adhoc", "localhost", "--connection=local"),
            *("-e", f"ansible_python_interpreter={sys.executable}"),
            *("-m", "websockets.fleet.websocket_probe", *words),
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = re.search(r"localhost \| \S+ => (\{.*\})", done.stdout, re.DOTALL)
    assert found, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(found[1])
    return result


def _collections_path(tmp_path: Path) -> str:
    namespace = tmp_path / "ansible_collections" / "websockets"
    namespace.mkdir(parents=True)
    (namespace / "fleet").symlink_to(Path(_websocket_probe.__file__).resolve().parents[2])
    return str(tmp_path)


def test_the_module_runs_in_check_mode_too_and_never_changes_anything(
    tmp_path: Path, secure: Request
) -> None:
    arguments = {
        "url": secure.url,
        "connect_to": secure.connect_to,
        "ca_file": secure.ca_file,
        "send": "hello",
    }
    result = run_module(tmp_path, "--check", "-a", json.dumps(arguments))
    assert result["answer"] == "hello"
    assert result["changed"] is False
    assert result["tls"]["certificate"]["days_left"] == 90


def test_the_module_fails_with_the_sentence_and_the_facts(tmp_path: Path, plain: str) -> None:
    result = run_module(tmp_path, "-a", json.dumps({"url": f"{plain}/busy"}))
    assert "answered HTTP 503 Service Unavailable" in result["msg"]
    assert (result["status"], result["stage"]) == (503, "handshake")


def test_the_module_names_the_library_that_it_lacks(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "websockets"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('hidden')\n")
    collections = tmp_path / "collections"
    collections.mkdir()
    result = run_module(
        collections, "-a", '{"url": "ws://localhost:9/"}', PYTHONPATH=str(hidden.parent)
    )
    assert "Failed to import the required Python library (websockets >= 13.0)" in result["msg"]
