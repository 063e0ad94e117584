# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m websockets_fleet --config server.toml [--check]``"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import config, log, server
from .handler import Handler, HandlerError, load

logger = logging.getLogger("websockets_fleet")


def _read(source: str) -> tuple[config.Config | None, Handler | None, list[str]]:
    """Configuration and handler, and one line for everything that is wrong with them."""
    name = "stdin" if source == "-" else Path(source).name
    settings: config.Config | None = None
    handler: Handler | None = None
    faults: list[str] = []
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        settings = config.parse(data.decode())
    except OSError as error:
        faults.append(f"cannot read {source}: {error.strerror}")
    except UnicodeDecodeError as error:
        faults.append(f"{name}: is not UTF-8 text: {error.reason} at byte {error.start}")
    except config.ConfigError as error:
        faults += [f"{name}: {fault}" for fault in error.faults]
    if settings is not None:
        try:
            handler = load(settings.handler)
        except HandlerError as error:
            faults.append(f"{name}: handler: {error}")
    return settings, handler, faults


def _instance(environ: Mapping[str, str]) -> int:
    value = environ.get("INSTANCE", "")
    if not value.isascii() or not value.isdecimal() or not 1 <= int(value) <= 65535:
        raise ValueError(f"INSTANCE in the environment is {value!r}, not a number in 1..65535")
    return int(value)


async def _serve(service_options: tuple[config.Config, server.Identity, Handler]) -> None:
    if not await server.Service(*service_options, os.environ).run():
        # Handlers are left behind, and asyncio would wait for them.
        sys.stdout.flush()
        os._exit(0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 for what can't be used or served."""
    parser = argparse.ArgumentParser(
        prog="python -m websockets_fleet",
        description="Serve a WebSocket handler in one process, until SIGTERM.",
    )
    parser.add_argument("--config", required=True, metavar="PATH", help="server.toml, or - (stdin)")
    parser.add_argument("--check", action="store_true", help="check it and the handler, then exit")
    options = parser.parse_args(arguments)

    # The handler's module is looked for where the process was started.
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    log.set_up()
    settings, handler, faults = _read(options.config)
    if settings is None or handler is None or options.check:
        for fault in faults:
            print(fault, file=sys.stderr)
        return 1 if faults else 0
    try:
        identity = server.Identity(
            app=os.environ.get("APP_NAME", ""),
            instance=_instance(os.environ),
            release=os.environ.get("APP_RELEASE", ""),
            fingerprint=os.environ.get("APP_FINGERPRINT", ""),
        )
        asyncio.run(_serve((settings, identity, handler)))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"cannot listen on {error}", file=sys.stderr)
        return 1
    except config.ConfigError as error:
        print("\n".join(error.faults), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
