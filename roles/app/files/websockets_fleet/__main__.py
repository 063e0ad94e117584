# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m websockets_fleet --config server.toml [--check]``"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import importlib
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import application, config, log, server
from .admin import ListenError

logger = logging.getLogger("websockets_fleet")


class _UnusableError(Exception):
    """The process can't start; the arguments are lines for the operator."""


def _read(source: str) -> tuple[config.Config, application.Application]:
    """Configuration and application; raises ``_UnusableError`` with a line for each fault."""
    name = "stdin" if source == "-" else Path(source).name
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        settings = config.parse(data.decode())
        log.set_up(settings.log.level, settings.log.format)
        _loop_factory(settings)
        return settings, application.load(settings)
    except OSError as error:
        raise _UnusableError(f"cannot read {source}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _UnusableError(
            f"{name}: is not UTF-8: {error.reason} at byte {error.start}"
        ) from error
    except (config.ConfigError, application.ApplicationError) as error:
        raise _UnusableError(*(f"{name}: {fault}" for fault in error.faults)) from error


def _loop_factory(settings: config.Config) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop; None is asyncio's own."""
    if settings.event_loop == "asyncio":
        return None
    try:
        factory: Callable[[], asyncio.AbstractEventLoop]
        factory = importlib.import_module("uvloop").new_event_loop
    except ImportError as error:
        raise config.ConfigError([f"event_loop: cannot import uvloop: {error}"]) from error
    return factory


def _instance(environ: Mapping[str, str]) -> int:
    value = environ.get("INSTANCE", "")
    if not value.isascii() or not value.isdecimal() or not 1 <= int(value) <= 65535:
        raise _UnusableError(f"INSTANCE in the environment is {value!r}, not a number in 1..65535")
    return int(value)


def _identity(environ: Mapping[str, str]) -> server.Identity:
    return server.Identity(
        app=environ.get("APP_NAME", ""),
        instance=_instance(environ),
        release=environ.get("APP_RELEASE", ""),
        fingerprint=environ.get("APP_FINGERPRINT", ""),
    )


async def _serve(service: server.Service) -> None:
    if not await service.run():
        # Handlers are left behind, and asyncio would wait for them.
        sys.stdout.flush()
        os._exit(0)


def _run(settings: config.Config, user: application.Application) -> None:
    service = server.Service(settings, _identity(os.environ), user, os.environ)
    # The watchdog kills with SIGABRT: this says what the process was doing.
    faulthandler.enable()
    try:
        with asyncio.Runner(loop_factory=_loop_factory(settings)) as runner:
            runner.run(_serve(service))
    except ListenError as error:
        raise _UnusableError(f"cannot listen on {error}") from error
    except config.ConfigError as error:
        raise _UnusableError(*error.faults) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 for what can't be used or served."""
    parser = argparse.ArgumentParser(
        prog="python -m websockets_fleet",
        description="Serve a WebSocket handler in one process, until SIGTERM.",
    )
    parser.add_argument("--config", required=True, metavar="PATH", help="server.toml, or - (stdin)")
    parser.add_argument("--check", action="store_true", help="check it and the handler, then exit")
    options = parser.parse_args(arguments)

    # The application's modules are looked for where the process was started.
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        settings, user = _read(options.config)
        if not options.check:
            _run(settings, user)
    except _UnusableError as error:
        print(*error.args, sep="\n", file=sys.stderr)
        return 1
    except Exception:
        logger.exception("failed")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
