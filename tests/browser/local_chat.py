"""The chat example on loopback, as a fleet serves it: page and WebSocket at one place, over TLS."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import mimetypes
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from examples.chat.chat import Room
from examples.chat.chat.bus import Address, Bus

__all__ = ["serve_locally"]

STATIC = Path(__file__).resolve().parents[2] / "examples" / "chat" / "static"
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


@contextmanager
def serve_locally(name: str) -> Iterator[tuple[int, Path, Callable[[], None]]]:
    """Serve the chat; give its port, the file of the authority that vouches for ``name``, and
    what closes all connections as a process does that stops.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with tempfile.TemporaryDirectory() as folder:
        places: list[Address] = [f"{folder}/{number}.bus" for number in (1, 2)]
        rooms = [Room(Bus(b"only for this test", place, places)) for place in places]
        # Each connection goes to the other room, as if it were another process.
        turns = itertools.cycle(rooms)

        async def handler(websocket: ServerConnection) -> None:
            await next(turns).serve(websocket)

        async def start() -> Server:
            context = _context(name, Path(folder))
            return await serve(handler, "127.0.0.1", 0, ssl=context, process_request=_page)

        async def move() -> None:
            for room in rooms:
                for member in list(room.members):
                    await member.close(CloseCode.GOING_AWAY)

        async def stop(server: Server) -> None:
            server.close()
            await server.wait_closed()
            for room in rooms:
                if room.bus is not None:
                    room.bus.close()

        server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        try:
            yield (
                server.sockets[0].getsockname()[1],
                Path(folder) / "ca.pem",
                lambda: asyncio.run_coroutine_threadsafe(move(), loop).result(20),
            )
        finally:
            asyncio.run_coroutine_threadsafe(stop(server), loop).result(20)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


def _page(connection: ServerConnection, request: Request) -> Response | None:
    if request.headers.get("Upgrade"):
        return None
    name = request.path.removeprefix("/") or "index.html"
    if name not in {path.name for path in STATIC.iterdir()}:
        return connection.respond(HTTPStatus.NOT_FOUND, "no such page\n")
    response = connection.respond(HTTPStatus.OK, (STATIC / name).read_text())
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = mimetypes.guess_type(name)[0] or "text/plain"
    return response


def _context(name: str, folder: Path) -> ssl.SSLContext:
    """Make an authority and a certificate for ``name``, and use them."""
    now = datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _name in range(2)]
    names = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("Test CA", name)
    ]
    places = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    # Python 3.13 asks all of this of an authority and of what it issued.
    extensions: list[list[tuple[x509.ExtensionType, bool]]] = [
        [
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (AUTHORITY_USAGE, True),
            (x509.SubjectKeyIdentifier.from_public_key(keys[0].public_key()), False),
        ],
        [
            (x509.SubjectAlternativeName(places), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), False),
        ],
    ]
    for number, file in enumerate(("ca.pem", "pair.pem")):
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[number])
            .issuer_name(names[0])
            .public_key(keys[number].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
        )
        for extension, critical in extensions[number]:
            builder = builder.add_extension(extension, critical)
        certificate = builder.sign(keys[0], hashes.SHA256())
        (folder / file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    with (folder / "pair.pem").open("ab") as stream:
        stream.write(
            keys[1].private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pair.pem")
    return context
