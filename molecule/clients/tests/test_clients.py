"""What each client can do through a load balancer, with compression and without."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Ask

# What a client sees that can do everything.
EVERYTHING = {
    "subprotocol": "v2.echo",
    "text": True,
    "binary": True,
    "empty": True,
    "16 MiB of text": True,
    "16 MiB of noise": True,
    "too big": 1009,
    "fragments sent": True,
    "fragments received": True,
    "ping": True,
    "closed by server": [4001, "as you wish"],
    "closed by client": 4002,
    # The status, and whether Retry-After has a number.
    "refused": [503, True],
    # A client that does not know the authority stays out.
    "stranger": True,
}
# A page can send neither, and is not told the status.
BROWSER = {
    **{name: value for name, value in EVERYTHING.items() if name not in ("ping", "fragments sent")},
    "refused": 1006,
}
# Only the handshake, and the bytes of the frame that follows.
CURL = {
    "upgrade": [101, True],
    "subprotocol": "v2.echo",
    "closed by server": ["0x88", 4001, "as you wish"],
    "refused": [503, True],
    "no upgrade": 404,
    "stranger": True,
}
ON, OFF = True, False
# websocket-client has no compression. A page always offers it: there the server declines.
MATRIX: list[tuple[str, dict[str, Any], str, list[bool]]] = [
    *(
        (client, expected, load_balancer, modes)
        for load_balancer in ("lb1", "lb2")
        for client, expected, modes in (
            ("python_websockets", EVERYTHING, [ON, OFF]),
            ("websocket_client", EVERYTHING, [OFF]),
            ("node_ws", EVERYTHING, [ON, OFF]),
            ("curl", CURL, [ON, OFF]),
        )
    ),
    # A browser takes long to start.
    ("chromium", BROWSER, "lb1", [ON]),
    ("chromium", BROWSER, "lb2", [OFF]),
]
CASES = [
    pytest.param(
        client,
        load_balancer,
        compression,
        expected,
        id=f"{client}-{load_balancer}-compression-{'on' if compression else 'off'}",
    )
    for client, expected, load_balancer, modes in MATRIX
    for compression in modes
]


@pytest.mark.parametrize(("client", "load_balancer", "compression", "expected"), CASES)
def test_a_client_sees_what_it_can(
    ask: Ask,
    record_property: Callable[[str, object], None],
    client: str,
    load_balancer: str,
    compression: bool,
    expected: dict[str, Any],
) -> None:
    answer = ask(client, load_balancer, compression=compression)
    record_property("version", answer["version"])
    seen = answer["seen"]
    extension = seen.pop("extension")
    assert seen == expected, answer["version"]
    assert (extension or "").startswith("permessage-deflate") == compression, extension
