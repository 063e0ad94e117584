# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of one process: listen, say so, serve, drain, leave."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import functools
import logging
import os
import random
import resource
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, cast

from websockets.asyncio.server import Server, ServerConnection, serve, unix_serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.typing import Origin
from websockets.version import version as websockets_version

from . import admin, log
from .admin import ListenError
from .application import Application
from .config import Config
from .connections import CountedConnection, Counts
from .drain import Pace
from .last_resort import LastResort
from .metrics import exporter
from .notify import Notifier, watchdog_interval

__all__ = [
    "CANCEL_GRACE",
    "HANDLER_GRACE",
    "LAST_RESORT",
    "LIFESPAN_GRACE",
    "OPENING_GRACE",
    "Identity",
    "Service",
    "serve_options",
]

logger = logging.getLogger("websockets_fleet")

OPENING_GRACE = 1.0
"""Seconds that a client has to finish its request once the process stops; it gets a 503."""

HANDLER_GRACE = 2.0
"""Seconds that handlers have to return after the time that the last close may take."""

CANCEL_GRACE = 1.0
"""Seconds that handlers which did not return have after they are cancelled."""

LAST_RESORT = OPENING_GRACE + HANDLER_GRACE + CANCEL_GRACE + 1.0
"""Seconds past drain and close timeout after which the process ends, whatever blocks it."""

LIFESPAN_GRACE = 4.0
"""Seconds more than that for the user's lifespan, where there is one, to put things away."""


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Who this process is, from its environment; what is not there is empty."""

    app: str
    instance: int
    release: str
    fingerprint: str


def serve_options(config: Config) -> dict[str, Any]:
    """The keyword arguments of :func:`websockets.asyncio.server.serve` for a configuration."""
    websocket = config.websocket
    extensions = []
    if config.compression is not None:
        extensions.append(
            ServerPerMessageDeflateFactory(
                server_max_window_bits=config.compression.window_bits,
                client_max_window_bits=config.compression.window_bits,
                compress_settings={"memLevel": config.compression.memory_level},
            )
        )
    origins = [None if origin == "none" else Origin(origin) for origin in websocket.origins]
    return {
        "origins": origins or None,
        "extensions": extensions,
        # Off, or as the extension says: never the library's own choice.
        "compression": None,
        "open_timeout": websocket.open_timeout,
        "ping_interval": websocket.ping_interval or None,
        "ping_timeout": websocket.ping_timeout or None,
        "close_timeout": websocket.close_timeout,
        "max_size": websocket.max_size,
        "max_queue": websocket.max_queue,
        "write_limit": websocket.write_limit,
        # asyncio's own default is 100, whatever the kernel allows.
        "backlog": config.listen.backlog,
    }


def _memory_bytes() -> int:
    """Resident memory of this process."""
    resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return resident * resource.getpagesize()


class Service:
    """One process that serves one handler from start to SIGTERM."""

    def __init__(
        self,
        config: Config,
        identity: Identity,
        application: Application,
        environ: Mapping[str, str],
    ) -> None:
        self.config = config
        self.identity = identity
        self.application = application
        self.counts = Counts()
        self.draining = False
        self.notifier = Notifier(environ.get("NOTIFY_SOCKET"))
        self.watchdog_interval = watchdog_interval(environ)
        self.started = time.monotonic()
        self.lags: collections.deque[float] = collections.deque(maxlen=60)
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self) -> bool:
        """Serve until SIGTERM or SIGINT, then drain.

        Returns whether all handlers have returned; where not, the caller has to end the process
        without waiting for them.

        Raises:
            ListenError: it can't listen.
            Exception: what the user's lifespan raises.

        """
        lifespan = self.application.lifespan
        async with lifespan() if lifespan else contextlib.nullcontext():
            self._catch_signals()
            server, where = await self._listen()
            admin_socket = self.config.listen.admin_socket(self.identity.instance)
            admin_server = await admin.serve_admin(
                admin_socket, lambda: self.draining, self.status, exporter(self.status)
            )
            background = [asyncio.create_task(self._measure_lag())]
            if self.watchdog_interval is not None:
                background.append(asyncio.create_task(self._feed_watchdog(self.watchdog_interval)))
            self.notifier.send("READY=1", f"STATUS=Serving {self.config.handler} on {where}")
            logger.info("serving %s on %s", self.config.handler, where)

            await self._stop.wait()
            finished = await self._drain(server)
            for task in background:
                task.cancel()
            admin_server.close()
            admin_socket.unlink(missing_ok=True)
        self.notifier.close()
        logger.info("stopped")
        return finished

    def status(self) -> dict[str, object]:
        """What ``/status`` tells: identity, then counts, then how the process is."""
        return {
            **dataclasses.asdict(self.identity),
            "pid": os.getpid(),
            "handler": self.config.handler,
            "python": ".".join(map(str, sys.version_info[:3])),
            "websockets": websockets_version,
            "uptime_seconds": round(time.monotonic() - self.started, 3),
            "draining": self.draining,
            "connections": self.counts.open,
            "opening": len(self.counts.opening),
            "opened_total": self.counts.opened,
            "closed_total": {str(code): n for code, n in sorted(self.counts.closed.items())},
            "messages_received_total": self.counts.messages_received,
            "messages_sent_total": self.counts.messages_sent,
            "bytes_received_total": self.counts.bytes_received,
            "bytes_sent_total": self.counts.bytes_sent,
            "event_loop_lag_seconds": round(self.lags[-1] if self.lags else 0.0, 6),
            "event_loop_lag_max_seconds": round(max(self.lags, default=0.0), 6),
            "memory_bytes": _memory_bytes(),
        }

    async def _listen(self) -> tuple[Server, str]:
        listen = self.config.listen
        options = serve_options(self.config)
        options["process_request"] = self._process_request
        # websockets takes a wrapper here, but its annotation says type.
        options["create_connection"] = functools.partial(CountedConnection, self.counts)
        if listen.mode == "unix_socket":
            path = listen.socket(self.identity.instance)
            listener = admin.unix_listener(path, 0o660)
            return await unix_serve(self._handle, sock=listener, **options), str(path)
        host, port = listen.address(self.identity.instance)
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        shared = listen.mode == "shared_port"
        try:
            server = await serve(self._handle, host, port, reuse_port=shared, **options)
        except socket.gaierror as error:
            raise ListenError(f"{where}: {error.strerror}") from error
        except OSError as error:
            # asyncio's own words for it say the address too, but less readably.
            raise ListenError(f"{where}: {os.strerror(error.errno or 0)}") from error
        return server, where

    def _process_request(
        self, connection: ServerConnection, request: Request
    ) -> Awaitable[Response | None] | Response | None:
        """Answer health checks; leave the rest to the user's function, if there is one."""
        path = request.path.partition("?")[0]
        if path == self.config.health.path and request.method in ("GET", "HEAD"):
            return admin.health(connection, request, self.draining)
        # While it drains, websockets refuses every handshake: no need to think about it.
        if self.application.process_request is None or self.draining:
            return None
        return self.application.process_request(connection, request)

    async def _handle(self, connection: ServerConnection) -> None:
        cast(CountedConnection, connection).count_opened()
        log.connection.set(connection)
        try:
            await self.application.handler(connection)
        except* ConnectionClosed:
            # The usual end of a handler; unless it was about a connection of its own making.
            if connection.state is State.OPEN:
                raise

    async def _feed_watchdog(self, interval: float) -> None:
        """Tell systemd that the event loop runs; a loop that is blocked can't."""
        while True:
            self.notifier.send("WATCHDOG=1")
            await asyncio.sleep(interval)

    async def _measure_lag(self) -> None:
        """Measure once a second how late the event loop runs; a minute of it is kept."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 1
            await asyncio.sleep(1)
            self.lags.append(max(0.0, loop.time() - due))

    def _catch_signals(self) -> None:
        """The first signal starts the drain, the next one ends it."""
        loop = asyncio.get_running_loop()
        grace = self.config.websocket.close_timeout + LAST_RESORT
        if self.application.lifespan:
            grace += LIFESPAN_GRACE
        last_resort = LastResort(patience=self.config.drain.seconds + grace, impatience=grace)

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            # This runs between two bytecodes of whatever the main thread does, even where the
            # event loop is blocked: the clock of the last resort starts now.
            last_resort.arm()
            with contextlib.suppress(RuntimeError):  # The loop is closed: nothing is left to stop.
                loop.call_soon_threadsafe(self._on_stop)

        signal.signal(signal.SIGTERM, on_signal)
        signal.signal(signal.SIGINT, on_signal)

    def _on_stop(self) -> None:
        if self.draining:
            self._hurry.set()
        self.draining = True
        self._stop.set()

    async def _drain(self, server: Server) -> bool:
        loop = asyncio.get_running_loop()
        drain = self.config.drain
        began = loop.time()
        self.notifier.send("STOPPING=1", f"STATUS=Draining {self.counts.open} connections")
        logger.info("draining %d connections over %g seconds", self.counts.open, drain.seconds)
        if self.config.listen.mode == "unix_socket":
            self.config.listen.socket(self.identity.instance).unlink(missing_ok=True)
        # asyncio takes two turns to accept a connection, and drops it if the listener is closed
        # between them. What stays in the kernel's queue moves to another process on the port, if
        # net.ipv4.tcp_migrate_req is on.
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        server.close(close_connections=False)
        closed = asyncio.create_task(server.wait_closed())
        await self._close_evenly(server, closed, began + drain.seconds)

        if self.counts.opening:
            # They get a 503 as soon as they have sent their request, if they ever do.
            await asyncio.wait([closed], timeout=max(0.0, began + OPENING_GRACE - loop.time()))
            for connection in list(self.counts.opening):
                connection.transport.abort()
        await asyncio.wait([closed], timeout=self.config.websocket.close_timeout + HANDLER_GRACE)
        if not closed.done():
            logger.warning("cancelling %d handlers that did not return", len(server.handler_tasks))
            for task in server.handler_tasks:
                task.cancel()
            await asyncio.wait([closed], timeout=CANCEL_GRACE)
        if not closed.done():
            logger.error("leaving %d handlers behind", len(server.handler_tasks))
        return closed.done()

    async def _close(self, connection: ServerConnection) -> None:
        """Close one connection, by force where the client does not take part in it."""
        try:
            # Not only as long as the library waits for the client's close frame: before that, it
            # waits for a client that does not read what has been sent, and without a limit.
            async with asyncio.timeout(self.config.websocket.close_timeout):
                await connection.close(self.config.drain.close_code)
        except TimeoutError:
            connection.transport.abort()

    async def _close_evenly(
        self, server: Server, closed: asyncio.Task[None], deadline: float
    ) -> None:
        """Close connections one after the other until ``deadline``, or at once when in a hurry."""
        loop = asyncio.get_running_loop()
        connections = list(server.connections)
        # Clients that came together must not leave together.
        random.shuffle(connections)
        closing: set[asyncio.Task[None]] = set()
        hurry = asyncio.create_task(self._hurry.wait())
        pace = Pace(loop.time(), deadline)
        while connections and not closed.done():
            # A close that is done leaves the two counts one after the other: don't trust a 0.
            step = pace.next_step(max(1, self.counts.open - len(closing)), loop.time())
            due = len(connections) if self._hurry.is_set() else step.connections
            while connections and due:
                connection = connections.pop()
                if connection.state is State.OPEN:
                    task = asyncio.create_task(self._close(connection))
                    closing.add(task)
                    task.add_done_callback(closing.discard)
                    due -= 1
            if connections:
                await asyncio.wait(
                    [closed, hurry], timeout=step.pause, return_when=asyncio.FIRST_COMPLETED
                )
        hurry.cancel()
