"""One chat room, served by every process of a fleet.

A client sends JSON: first ``{"nick": "ada"}``, then ``{"text": "hello"}`` for each line.
``{"echo": ...}`` comes back as it is and reaches nobody else: for probes.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from typing import Any

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from .bus import Bus, from_environment

__all__ = ["Room", "handler"]

NICK_LENGTH = 24
LINE_LENGTH = 280
# Seconds between two messages of one client. What it sends faster waits in its queue, and when that
# is full the client's own writes block.
PACE = 0.1
# Members that one process takes; it tells the next one to try again.
MEMBERS = 5000
USAGE = 'send {"nick": "..."} once, then {"text": "..."}'


class Room:
    """Those who are connected to this process, and the bus to the other processes."""

    def __init__(self, bus: Bus | None = None) -> None:
        self.members: dict[ServerConnection, str] = {}
        self.bus = bus

    async def serve(self, websocket: ServerConnection) -> None:
        """Handle one client until it leaves."""
        if self.bus is not None:
            # Here, and not at import: the bus belongs to the event loop. Only the first opens it.
            await self.bus.open(self._deliver)
        try:
            async for message in websocket:
                if not await self._answer(websocket, message):
                    return
                await asyncio.sleep(PACE)
        except ConnectionClosed:
            pass  # without a close frame: to the others it has left all the same
        finally:
            nick = self.members.pop(websocket, None)
            if nick is not None:
                self._say(type="left", nick=nick)

    async def _answer(self, websocket: ServerConnection, message: str | bytes) -> bool:
        """Act on one message; return whether the client may go on."""
        match _parse(message):
            case {"echo": _}:
                await websocket.send(message)
            case {"nick": str(name)} if websocket not in self.members and _clean(name):
                if len(self.members) >= MEMBERS:
                    await websocket.close(CloseCode.TRY_AGAIN_LATER, "the room is full")
                    return False
                await self._join(websocket, _clean(name)[:NICK_LENGTH])
            case {"text": str(text)} if websocket in self.members and _clean(text):
                line = _clean(text)[:LINE_LENGTH]
                self._say(type="line", nick=self.members[websocket], text=line)
            case _:
                await websocket.close(CloseCode.POLICY_VIOLATION, USAGE)
                return False
        return True

    async def _join(self, websocket: ServerConnection, nick: str) -> None:
        served_by = {
            "host": socket.gethostname(),
            "process": os.environ.get("INSTANCE", "1"),
            "release": os.environ.get("APP_RELEASE", ""),
        }
        await websocket.send(json.dumps({"type": "welcome", "nick": nick, **served_by}))
        self.members[websocket] = nick
        self._say(type="joined", nick=nick)

    def _say(self, **event: Any) -> None:
        """Tell everyone, here and in the other processes."""
        text = json.dumps({**event, "at": int(time.time() * 1000)}, ensure_ascii=False)
        self._deliver(text)
        if self.bus is not None:
            self.bus.send(text)

    def _deliver(self, text: str) -> None:
        # Waits for nobody: what a slow client does not read is kept, until it misses a ping.
        broadcast(self.members, text)


def _parse(message: str | bytes) -> Any:
    try:
        return json.loads(message)
    except ValueError:
        return None


def _clean(text: str) -> str:
    """Return ``text`` in one line, without control characters."""
    return " ".join("".join(filter(_is_plain, text)).split())


def _is_plain(character: str) -> bool:
    return character.isprintable() or character.isspace()


_room = Room(from_environment(os.environ))


async def handler(websocket: ServerConnection) -> None:
    """Handle one client; what ``app_handler: chat:handler`` names."""
    await _room.serve(websocket)
