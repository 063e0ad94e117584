"""websocket-client: what it sees. It knows no compression."""

from __future__ import annotations

import contextlib
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import websocket
from clients.programs.asking import BINARY, PIECES, SUBPROTOCOLS, TEXT, answer, asked
from websocket import ABNF

ASKED = asked()


@contextlib.contextmanager
def opened(
    path: str, *, trust: bool = True, subprotocols: list[str] | None = None
) -> Iterator[websocket.WebSocket]:
    # Like most clients it has no option for "this name, at that address".
    connection = websocket.create_connection(
        f"wss://{ASKED.address}{path}",
        host=ASKED.host,
        sslopt={
            "server_hostname": ASKED.host,
            **({"ca_certs": ASKED.ca_file} if trust else {}),
        },
        subprotocols=subprotocols,
        timeout=30 + ASKED.idle,
        # Without it each byte of a text is looked at in Python: seconds for 16 MiB.
        skip_utf8_validation=True,
    )
    try:
        yield connection
    finally:
        connection.close()


def echoed(message: str | bytes) -> bool:
    with opened("/echo") as connection:
        connection.send(
            message, ABNF.OPCODE_TEXT if isinstance(message, str) else ABNF.OPCODE_BINARY
        )
        return bool(connection.recv() == message)


def extension() -> str | None:
    with opened("/echo") as connection:
        return (connection.getheaders() or {}).get("sec-websocket-extensions")


def subprotocol() -> str | None:
    with opened("/echo", subprotocols=SUBPROTOCOLS) as connection:
        return connection.getsubprotocol()


def fragments_sent() -> bool:
    with opened("/echo") as connection:
        for number, piece in enumerate(PIECES):
            opcode = ABNF.OPCODE_CONT if number else ABNF.OPCODE_TEXT
            last = number == len(PIECES) - 1
            connection.send_frame(ABNF.create_frame(piece, opcode, int(last)))
            connection.ping()
        return bool(connection.recv() == TEXT)


def fragments_received() -> bool:
    with opened("/fragments") as connection:
        connection.send(TEXT)
        return bool(connection.recv() == TEXT)


def ping() -> bool:
    with opened("/echo") as connection:
        connection.ping("are you there?")
        opcode, frame = connection.recv_data_frame(control_frame=True)
        return bool(opcode == ABNF.OPCODE_PONG and frame.data == b"are you there?")


def close_frame(connection: websocket.WebSocket) -> list[Any]:
    opcode, frame = connection.recv_data_frame(control_frame=True)
    while opcode == ABNF.OPCODE_PING:
        opcode, frame = connection.recv_data_frame(control_frame=True)
    assert opcode == ABNF.OPCODE_CLOSE, opcode
    return [struct.unpack("!H", frame.data[:2])[0], frame.data[2:].decode()]


def closed_by_server() -> list[Any]:
    with opened("/close/4001") as connection:
        return close_frame(connection)


def closed_by_client() -> int:
    with opened("/echo") as connection:
        connection.send_close(4002, b"bye")
        return int(close_frame(connection)[0])


def too_big() -> int:
    with opened("/echo") as connection:
        connection.send("x" * ASKED.too_big)
        return int(close_frame(connection)[0])


def refused() -> list[Any]:
    try:
        with opened("/busy"):
            raise AssertionError("it is let in")
    except websocket.WebSocketBadStatusException as error:
        headers = error.resp_headers or {}
        return [error.status_code, headers["retry-after"].isdigit()]


def stranger() -> bool:
    try:
        with opened("/echo", trust=False):
            return False
    except ssl.SSLCertVerificationError:
        return True


def idle() -> bool:
    with opened("/echo") as connection:
        # It answers pings only while somebody receives.
        connection.settimeout(ASKED.idle)
        began = time.monotonic()
        while (left := began + ASKED.idle - time.monotonic()) > 0:
            connection.settimeout(left)
            with contextlib.suppress(websocket.WebSocketTimeoutException):
                connection.recv_data_frame(control_frame=True)
        connection.settimeout(30)
        connection.send("still here")
        return bool(connection.recv() == "still here")


TRIES: dict[str, Callable[[], Any]] = {
    "extension": extension,
    "subprotocol": subprotocol,
    "text": lambda: echoed(TEXT),
    "binary": lambda: echoed(BINARY),
    "empty": lambda: echoed(""),
    "16 MiB of text": lambda: echoed("0123456789abcdef" * (ASKED.big // 16)),
    "16 MiB of noise": lambda: echoed(ASKED.incompressible),
    "too big": too_big,
    "fragments sent": fragments_sent,
    "fragments received": fragments_received,
    "ping": ping,
    "closed by server": closed_by_server,
    "closed by client": closed_by_client,
    "refused": refused,
    "stranger": stranger,
}


def main() -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, attempt in {"idle": idle}.items() if ASKED.idle else TRIES.items():
        try:
            seen[name] = attempt()
        except Exception as error:  # noqa: BLE001  the test shows it
            seen[name] = repr(error)
    return seen


answer(f"websocket-client {websocket.__version__}", main())
