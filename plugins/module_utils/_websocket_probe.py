# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe a WebSocket server: one connection, timed stage by stage. Private to the collection."""

from __future__ import annotations

# websockets has a client without asyncio. It reads the connection in one thread and writes it in
# another, which OpenSSL does not allow on one TLS connection: Python 3.11 hangs or crashes there
# once in some thousand handshakes. With asyncio one thread does both.
import asyncio
import hashlib
import queue
import re
import socket
import ssl
import threading
import time
import traceback
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NoReturn
from urllib.parse import urlsplit

try:
    from websockets.asyncio.client import ClientConnection, connect
    from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
except ImportError:
    IMPORT_ERROR: str | None = traceback.format_exc()
else:
    IMPORT_ERROR = None

__all__ = ["IMPORT_ERROR", "OptionError", "ProbeError", "Request", "probe"]

STAGES = {
    "lookup": "name lookup",
    "connect": "connection",
    "tls": "TLS handshake",
    "handshake": "WebSocket handshake",
    "ping": "ping",
    "message": "message exchange",
    "close": "closing handshake",
}

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
ORIGIN = re.compile(r"null|[a-z][a-z0-9+.-]*://[^/?#@\s]+")
# Set by the handshake itself or by an option of their own.
RESERVED_HEADERS = {"connection", "host", "origin", "upgrade"}
# The registered ones that may be sent (RFC 6455, 7.4); above them, those of applications.
CLOSE_CODES = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}
DAY = 86400
QUOTED = 200


class OptionError(ValueError):
    """An option has no meaning; the message names it, its value and what would do."""


class ProbeError(Exception):
    """The probe failed; ``facts`` holds what was learnt until then."""

    def __init__(self, stage: str, sentence: str, facts: dict[str, Any]) -> None:
        super().__init__(sentence)
        self.stage = stage
        self.facts = facts


@dataclass(frozen=True)
class Request:
    """What to ask and what to expect. Raises OptionError where that makes no sense."""

    url: str
    connect_to: str | None = None
    unix_socket: str | None = None
    validate_certs: bool = True
    ca_file: str | None = None
    ca_content: str | None = None
    origin: str | None = None
    subprotocols: list[str] = field(default_factory=list)
    headers: dict[str, Any] = field(default_factory=dict)
    compression: bool = True
    send: str | None = None
    expect: str | None = None
    match: str = "exact"
    timeout: float = 10.0
    close_code: int = 1000

    def __post_init__(self) -> None:
        self._check_url()
        self._check_certificates()
        self._check_handshake()
        if self.connect_to is not None:
            if self.unix_socket is not None:
                raise OptionError("connect_to and unix_socket exclude each other: give one")
            _split_address(self.connect_to)
        if self.match not in {"exact", "contains", "any"}:
            raise OptionError(f"match is {self.match!r}: give exact, contains or any")
        if self.match == "any" and self.expect is not None:
            raise OptionError("expect is given, and match is any: drop one of the two")
        if not 0 < self.timeout <= 3600:
            raise OptionError(f"timeout is {self.timeout:g}: give 3600 seconds at most, above 0")
        if self.close_code not in CLOSE_CODES:
            raise OptionError(
                f"close_code is {self.close_code}: give one that may be sent, which are "
                "1000 to 1003, 1007 to 1014 and 3000 to 4999"
            )

    def _check_url(self) -> None:
        wanted = "give ws://host[:port]/path or wss://host[:port]/path"
        # The URL may hold a password: it is never repeated.
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise OptionError(f"url is not a URL ({error}): {wanted}") from error
        if parts.scheme not in {"ws", "wss"}:
            raise OptionError(f"url has the scheme {parts.scheme!r}: {wanted}")
        if not host or port == 0:
            raise OptionError(f"url has no {'port' if host else 'host'} to connect to: {wanted}")
        if parts.fragment:
            raise OptionError("url has a fragment (#...), which WebSocket URLs can't have")

    def _check_certificates(self) -> None:
        given = [name for name in ("ca_file", "ca_content") if getattr(self, name) is not None]
        if len(given) > 1:
            raise OptionError("ca_file and ca_content exclude each other: give one")
        # Python would take an empty one for none at all and trust those of the system.
        if given and not getattr(self, given[0]):
            raise OptionError(f"{given[0]} is empty")
        if given and not self.secure:
            raise OptionError(
                f"{given[0]} is given, but a ws:// URL has no certificate: use wss://"
            )
        if given and not self.validate_certs:
            raise OptionError(
                f"{given[0]} is given, but validate_certs is false: drop one of the two"
            )

    def _check_handshake(self) -> None:
        if self.origin is not None and not ORIGIN.fullmatch(self.origin):
            raise OptionError(
                f"origin is {self.origin!r}: give scheme://host[:port] without a path, or null"
            )
        for name in self.subprotocols:
            if not TOKEN.fullmatch(name):
                raise OptionError(f"subprotocols has {name!r}, which is not a token of RFC 6455")
        if len(set(self.subprotocols)) != len(self.subprotocols):
            raise OptionError("subprotocols names one twice")
        for name, value in self.headers.items():
            if not TOKEN.fullmatch(name):
                raise OptionError(f"headers has {name!r}, which is not the name of a header")
            if name.lower() in RESERVED_HEADERS or name.lower().startswith("sec-websocket-"):
                raise OptionError(
                    f"headers has {name}, which the handshake sets itself (options origin and "
                    "subprotocols; the Host header comes from url, connect_to leaves it alone)"
                )
            if isinstance(value, (dict, list)):
                raise OptionError(f"headers: the value of {name} is not a text")
            if not str(value).isprintable():
                raise OptionError(f"headers: the value of {name} has a control character")

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted."""
        return urlsplit(self.url).scheme == "wss"

    @property
    def host(self) -> str:
        """The name in the URL, which the certificate must cover."""
        return urlsplit(self.url).hostname or ""

    @property
    def target(self) -> tuple[str, int]:
        """The host and the port to connect to."""
        port = urlsplit(self.url).port or (443 if self.secure else 80)
        if self.connect_to is None:
            return self.host, port
        host, given_port = _split_address(self.connect_to)
        return host, given_port or port

    @property
    def place(self) -> str:
        """The end of the connection, for a message."""
        if self.unix_socket is not None:
            return self.unix_socket
        host, port = self.target
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def probe(request: Request) -> dict[str, Any]:
    """Open a connection, ask, close it in good order; return what was seen.

    Raises ProbeError with one sentence where anything is not as the request wants it.
    """
    return _Probe(request).run()


def _split_address(text: str) -> tuple[str, int | None]:
    """Split an address such as ``10.0.0.2:8443``; raises OptionError for what is none."""
    # The same grammar as in a URL: name, IPv4 or [IPv6], then :port or nothing. An IPv6 address
    # without a port needs no brackets.
    bare = text.count(":") > 1 and not text.startswith("[")
    wrong = OptionError(f"connect_to is {text!r}: give an address or a name, with :port if need be")
    try:
        parts = urlsplit(f"//[{text}]" if bare else f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise wrong from error
    if not host or port == 0 or parts.path or parts.query or parts.username is not None:
        raise wrong
    return host, port


def _quote(text: str) -> str:
    cut = text if len(text) <= QUOTED else text[:QUOTED] + "..."
    return repr(cut)


class _Probe:
    """One run: the stage it is in, what it has learnt, and the time it has left."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.stage = "lookup"
        self.latency: dict[str, float] = {}
        self.facts: dict[str, Any] = {
            "latency_ms": self.latency,
            "status": None,
            "server": None,
            "subprotocol": None,
            "extensions": [],
            "tls": None,
            "answer": None,
            "close_code_sent": None,
            "close_code_received": None,
            "close_reason_received": None,
        }
        self.started = time.monotonic()
        self.mark = self.started
        self.websocket: ClientConnection | None = None

    def run(self) -> dict[str, Any]:
        context = self._tls_context() if self.request.secure else None
        with self._connect() as sock:
            asyncio.run(self._bounded(sock, context))
        self.latency["total"] = self._milliseconds(self.started)
        return self.facts

    # Time

    def _milliseconds(self, since: float) -> float:
        return round((time.monotonic() - since) * 1000, 2)

    def _done(self, following: str) -> None:
        """Note how long the stage took, and go on to the following one."""
        self.latency[self.stage] = self._milliseconds(self.mark)
        self.stage = following
        self.mark = time.monotonic()

    def _remaining(self) -> float:
        left = self.started + self.request.timeout - time.monotonic()
        if left <= 0:
            self._fail_late()
        return left

    async def _bounded(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        """Talk until the time is up, whatever is waited for then: a read, a write, TLS."""
        try:
            await asyncio.wait_for(self._explained(sock, context), self._remaining())
        except asyncio.TimeoutError:
            self._fail_late()

    async def _explained(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        try:
            await self._talk(sock, context)
        except ProbeError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever the stack raises is one failed stage)
            self._explain(error)
        finally:
            if self.websocket is not None:
                self.websocket.transport.abort()
                await self.websocket.wait_closed()

    # Failures

    def _fail(self, sentence: str) -> NoReturn:
        raise ProbeError(self.stage, sentence, self.facts)

    def _fail_late(self) -> NoReturn:
        self._fail(
            f"timeout: the {STAGES[self.stage]} with {self.request.place} was not done when the "
            f"{self.request.timeout:g} s of the probe were over"
        )

    def _explain(self, error: Exception) -> NoReturn:
        """Say in one sentence what went wrong in the stage at hand."""
        place, words = self.request.place, STAGES[self.stage]
        self._remaining()
        # What failed the handshake: connect() may raise another error, for a redirect for instance.
        wrong = self.websocket.protocol.handshake_exc if self.websocket is not None else None
        error = wrong or error
        if isinstance(error, ssl.SSLCertVerificationError):
            reason = error.verify_message.rstrip(".")
            self._fail(f"the certificate that {place} shows is not valid: {reason}")
        if isinstance(error, ssl.SSLError) and self.stage == "tls":
            reason = (error.reason or str(error)).replace("_", " ").lower()
            self._fail(f"no TLS connection with {place}: {reason}")
        if isinstance(error, InvalidStatus):
            self._note_response(error.response)
            self._fail(self._rejection(error.response))
        if isinstance(error, ConnectionClosed):
            self._note_close(error.rcvd, error.sent)
            self._fail(f"{place} closed the connection before the {words} was done: {error}")
        if isinstance(error, (OSError, EOFError)) or isinstance(error.__cause__, EOFError):
            reason = getattr(error, "strerror", None) or "the connection was closed"
            self._fail(f"{place} cut the connection during the {words}: {reason}")
        # websockets 13 has a mere ValueError for an answer that is not HTTP.
        if wrong is not None or isinstance(error, WebSocketException):
            self._fail(f"{place} did the {words} wrong: {error}")
        raise error

    def _rejection(self, response: Any) -> str:
        words = (
            f"{self.request.place} answered HTTP {response.status_code} {response.reason_phrase}"
        )
        location = response.headers.get("Location")
        if location:
            return f"{words.rstrip()}, a redirect to {location}: probe what is there"
        body = " ".join((response.body or b"").decode("utf-8", "replace").split())
        # An error page says nothing that its status does not.
        if body and not body.startswith("<"):
            words = f"{words.rstrip()}: {_quote(body)}"
        return f"{words.rstrip()} where 101 Switching Protocols was asked for"

    # Stages

    def _tls_context(self) -> ssl.SSLContext:
        request = self.request
        try:
            context = ssl.create_default_context(cafile=request.ca_file, cadata=request.ca_content)
        except (ssl.SSLError, ValueError) as error:
            name = "ca_file" if request.ca_file is not None else "ca_content"
            raise OptionError(f"{name} holds no certificate in PEM format") from error
        except OSError as error:
            raise OptionError(f"ca_file is {request.ca_file!r}: {error.strerror}") from error
        if not request.validate_certs:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _connect(self) -> socket.socket:
        if self.request.unix_socket is not None:
            self.stage = "connect"
            return self._open(socket.AF_UNIX, self.request.unix_socket, self._remaining())
        addresses = self._addresses()
        self._done("connect")
        for number, (family, address) in enumerate(addresses):
            # A dead address must leave time for the next one.
            share = self._remaining() / (len(addresses) - number)
            try:
                return self._open(family, address, share)
            except ProbeError:
                if number == len(addresses) - 1:
                    raise
        raise AssertionError("a name that resolves has at least one address")

    def _addresses(self) -> list[tuple[int, Any]]:
        """Resolve the target; in a thread, as no resolver call can be bounded."""
        host, port = self.request.target
        answers: queue.Queue[list[tuple[int, Any]] | OSError | UnicodeError] = queue.Queue()

        def ask() -> None:
            try:
                found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                answers.put([(entry[0], entry[4]) for entry in found])
            except (OSError, UnicodeError) as error:
                answers.put(error)

        threading.Thread(target=ask, daemon=True).start()
        try:
            answer = answers.get(timeout=self._remaining())
        except queue.Empty:
            self._fail_late()
        if isinstance(answer, (OSError, UnicodeError)):
            reason = getattr(answer, "strerror", None) or str(answer)
            self._fail(f"the name {host} does not resolve: {reason}")
        return answer

    def _open(self, family: int, address: Any, timeout: float) -> socket.socket:
        place = self.request.place
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout)
            sock.connect(address)
        # Before OSError, which it is since Python 3.10.
        except socket.timeout:
            sock.close()
            self._fail_late()
        except OSError as error:
            sock.close()
            if isinstance(error, ConnectionRefusedError):
                self._fail(f"{place} refused the connection: nothing listens there")
            self._fail(f"no connection to {place}: {error.strerror or error}")
        sock.settimeout(None)
        return sock

    async def _talk(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        request = self.request
        self._done("tls" if context else "handshake")
        run = self

        class Connection(ClientConnection):
            """Tells the probe when TLS is up, and when the handshake failed."""

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                run.websocket = self
                if context:
                    run.facts["tls"] = _tls_facts(transport.get_extra_info("ssl_object"))
                    run._done("handshake")
                super().connection_made(transport)

            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                # websockets 13 would wait for the server to close the connection.
                if self.protocol.handshake_exc is not None:
                    self.transport.abort()

        options: dict[str, Any] = {
            "sock": sock,
            "origin": request.origin,
            "subprotocols": request.subprotocols or None,
            "compression": "deflate" if request.compression else None,
            "additional_headers": {name: str(value) for name, value in request.headers.items()},
            # _bounded() is the one clock.
            "open_timeout": None,
            "ping_timeout": None,
            "close_timeout": None,
            "create_connection": Connection,
        }
        if context:
            options["ssl"] = context
            options["server_hostname"] = request.host
            # asyncio's own is a minute.
            options["ssl_handshake_timeout"] = request.timeout
        websocket = await connect(request.url, **options)
        self._note_response(websocket.response)
        self.facts["subprotocol"] = websocket.subprotocol
        self._done("ping")
        await (await websocket.ping())
        wrong = None
        if request.send is not None or request.expect is not None:
            self._done("message")
            wrong = await self._exchange(websocket)
        stage = self.stage
        self._done("close")
        try:
            await websocket.close(request.close_code)
        finally:
            received = websocket.protocol.close_rcvd
            self._note_close(received, websocket.protocol.close_sent)
            # It says more than a close that is late.
            if wrong:
                self.stage = stage
                self._fail(wrong)
        if received is None:
            raise EOFError
        self._done("")

    async def _exchange(self, websocket: ClientConnection) -> str | None:
        """Send the message and take one answer; return what is wrong with it."""
        request = self.request
        if request.send is not None:
            await websocket.send(request.send)
        answer = await websocket.recv()
        if request.match == "any":
            self.facts["answer"] = answer if isinstance(answer, str) else None
            return None
        wanted = request.expect if request.expect is not None else request.send or ""
        verb = "contains" if request.match == "contains" else "is"
        wish = f"the answer that {verb} {_quote(wanted)} was expected"
        if isinstance(answer, bytes):
            return f"{request.place} answered {len(answer)} bytes of binary data: {wish}"
        self.facts["answer"] = answer
        if answer == wanted or (request.match == "contains" and wanted in answer):
            return None
        return f"{request.place} answered {_quote(answer)}: {wish}"

    # Facts

    def _note_response(self, response: Any) -> None:
        self.facts["status"] = response.status_code
        self.facts["server"] = response.headers.get("Server")
        for line in response.headers.get_all("Sec-WebSocket-Extensions"):
            self.facts["extensions"] += [name.strip() for name in line.split(",")]

    def _note_close(self, received: Any, sent: Any) -> None:
        if sent is not None:
            self.facts["close_code_sent"] = int(sent.code)
        if received is not None:
            self.facts["close_code_received"] = int(received.code)
            self.facts["close_reason_received"] = received.reason


def _tls_facts(connection: ssl.SSLObject) -> dict[str, Any]:
    cipher = connection.cipher()
    return {
        "version": connection.version(),
        "cipher": cipher[0] if cipher else None,
        "sha256": hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest(),
        "certificate": _certificate_facts(connection.getpeercert()),
    }


def _certificate_facts(certificate: Any) -> dict[str, Any] | None:
    """Return what a verified certificate says; Python shows no other one."""
    if not certificate:
        return None

    def name(field_name: str) -> dict[str, str]:
        return {key: value for part in certificate[field_name] for key, value in part}

    def stamp(seconds: float) -> str:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    ends = ssl.cert_time_to_seconds(certificate["notAfter"])
    kinds = {"IP Address": "IP"}
    return {
        "subject": name("subject"),
        "issuer": name("issuer"),
        "serial_number": certificate["serialNumber"],
        "subject_alt_names": [
            f"{kinds.get(kind, kind)}:{value}"
            for kind, value in certificate.get("subjectAltName", ())
        ],
        "not_before": stamp(ssl.cert_time_to_seconds(certificate["notBefore"])),
        "not_after": stamp(ends),
        "days_left": int((ends - time.time()) // DAY),
    }
