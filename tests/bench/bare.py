# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample server of the websockets documentation, with the settings of the launcher's defaults.

bare.py PORT [uvloop]
"""

from __future__ import annotations

import asyncio
import importlib
import signal
import sys
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

# What the launcher gives to serve() where its configuration says nothing else, but for the
# compression, which it has to be asked for: tests/unit/bench compares the two.
SETTINGS: dict[str, Any] = {
    "compression": None,
    "extensions": [
        ServerPerMessageDeflateFactory(
            server_max_window_bits=12,
            client_max_window_bits=12,
            compress_settings={"memLevel": 5},
        )
    ],
    "origins": None,
    "open_timeout": 10,
    "ping_interval": 20,
    "ping_timeout": 20,
    "close_timeout": 10,
    "max_size": 2**20,
    "max_queue": 16,
    "write_limit": 2**15,
    "backlog": 4096,
}


async def echo(websocket: ServerConnection) -> None:
    """Send every message back; the launcher serves this function too."""
    async for message in websocket:
        await websocket.send(message)


async def main(port: int) -> None:
    """Serve until SIGTERM."""
    async with serve(echo, "127.0.0.1", port, **SETTINGS) as server:
        # Close the server when receiving SIGTERM.
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, server.close)
        await server.wait_closed()


if __name__ == "__main__":
    factory = importlib.import_module("uvloop").new_event_loop if "uvloop" in sys.argv else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main(int(sys.argv[1])))
