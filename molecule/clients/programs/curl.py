"""curl: the handshake, asked for with headers, and the first bytes after it.

Debian 12's curl is built without WebSockets.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import struct
import subprocess
from typing import Any

from clients.programs.asking import SUBPROTOCOLS, answer, asked

ASKED = asked()
# Over TLS curl speaks HTTP/2 where it can, and that has no Upgrade.
OPTIONS = ["--silent", "--show-error", "--no-buffer", "--include", "--max-time", "20"]
RESOLVE = ["--resolve", f"{ASKED.host}:443:{ASKED.address}"]


class Answer:
    """What came, up to the server's close frame or the end."""

    def __init__(self, path: str, *options: str, trust: bool = True, upgrade: bool = True) -> None:
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Protocol": ", ".join(SUBPROTOCOLS),
        }
        if ASKED.compression:
            headers["Sec-WebSocket-Extensions"] = "permessage-deflate; client_max_window_bits"
        words = ["curl", *OPTIONS, *RESOLVE, *options]
        words += ["--cacert", ASKED.ca_file] if trust else []
        words += ["--http1.1"] if upgrade else []
        for name, value in headers.items() if upgrade else ():
            words += ["--header", f"{name}: {value}"]
        process = subprocess.Popen(
            [*words, ASKED.url.replace("wss:", "https:") + path],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdout is not None
        first = process.stdout.readline().split()
        self.status = int(first[1]) if first else 0
        self.headers = {}
        while line := process.stdout.readline().decode().strip():
            name, _separator, value = line.partition(": ")
            self.headers[name.lower()] = value
        self.frame: list[Any] = []
        if self.status == 101:
            # A server's frame is not masked.
            opcode, size = process.stdout.read(2)
            body = process.stdout.read(size)
            self.frame = [hex(opcode), struct.unpack("!H", body[:2])[0], body[2:].decode()]
            # Nobody answers the close frame: the server would wait for that.
            process.terminate()
        process.stdout.close()
        self.code = process.wait()
        digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        self.accepted = (
            self.headers.get("sec-websocket-accept") == base64.b64encode(digest).decode()
        )


def main() -> dict[str, Any]:
    upgraded = Answer("/close/4001")
    refused = Answer("/busy")
    return {
        "upgrade": [upgraded.status, upgraded.accepted],
        "extension": upgraded.headers.get("sec-websocket-extensions"),
        "subprotocol": upgraded.headers.get("sec-websocket-protocol"),
        "closed by server": upgraded.frame,
        "refused": [refused.status, refused.headers.get("retry-after", "").isdigit()],
        "no upgrade": Answer("/echo", upgrade=False).status,
        # 60: the peer's certificate cannot be authenticated with known CA certificates.
        "stranger": Answer("/echo", trust=False).code == 60,
    }


version = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout
answer(" ".join(version.split()[:2]), main())
