# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's part of the process: find what the configuration names, check that it fits."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import inspect
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from .config import Config

__all__ = ["Application", "ApplicationError", "Handler", "Lifespan", "ProcessRequest", "load"]

Handler = Callable[[ServerConnection], Awaitable[None]]
"""Serves one connection until it returns."""

Lifespan = Callable[[], contextlib.AbstractAsyncContextManager[object]]
"""Gives what the process holds while it serves; entered once, before it listens."""

ProcessRequest = Callable[[ServerConnection, Request], Awaitable[Response | None] | Response | None]
"""Answers a request before the handshake, or lets it pass; as in :func:`websockets.serve`."""


Loaded = TypeVar("Loaded")


@dataclasses.dataclass(frozen=True, slots=True)
class Application:
    """What a process runs for its user."""

    handler: Handler
    lifespan: Lifespan | None = None
    process_request: ProcessRequest | None = None


class ApplicationError(Exception):
    """The application can't be had or can't be used.

    ``faults`` holds one line for each thing that is wrong: ``key: what``.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class _FaultError(Exception):
    """What is wrong with one callable."""


def _what(error: BaseException) -> str:
    """Type and message, as at the end of a traceback, but in one line."""
    parts = traceback.format_exception_only(error)
    # What comes before it, of a syntax error, is indented; what comes after it are notes.
    text = next(part for part in parts if not part.startswith(" "))
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def _where(error: BaseException) -> str:
    """`` (file:line)`` of the deepest frame that is the user's own, else of the deepest."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}:{error.lineno})"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen importlib")
        and frame.filename not in (__file__, importlib.__file__)
    ]
    # The application is in the working directory; an error surfaces in a library more often.
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(Path.cwd())]
    deepest = (own or frames)[-1:]
    return "".join(f" ({frame.filename}:{frame.lineno})" for frame in deepest)


def _find(reference: str) -> Any:
    module, path = reference.split(":")
    try:
        found: Any = importlib.import_module(module)
    # A module may raise anything, SystemExit too, while it is imported.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise _FaultError(f"cannot import {module}: {_what(error)}{_where(error)}") from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise _FaultError(f"module {module} has no {path}") from None
    return found


def _is_async(found: Any) -> bool:
    while isinstance(found, functools.partial):
        found = found.func
    # A decorator may have wrapped the coroutine function in a plain one.
    return any(
        inspect.iscoroutinefunction(candidate)
        for candidate in (found, inspect.unwrap(found), type(found).__call__)
    )


def _check_arguments(reference: str, found: Any, *names: str) -> None:
    try:
        signature = inspect.signature(found)
    except ValueError:
        return  # Compiled code may have no signature: trust it.
    try:
        signature.bind(*names)
    except TypeError:
        wanted = f"exactly {', '.join(names)}" if names else "no argument"
        raise _FaultError(f"{reference}{signature} must take {wanted}") from None


def _callable(reference: str) -> Any:
    found = _find(reference)
    if not callable(found):
        raise _FaultError(f"{reference} is not callable, it is of type {type(found).__name__}")
    return found


def _handler(reference: str) -> Handler:
    found = _callable(reference)
    if inspect.isclass(found):
        raise _FaultError(f"{reference} is a class, name an instance of it")
    if inspect.isasyncgenfunction(found):
        raise _FaultError(f"{reference} is an async generator, it must not yield")
    if not _is_async(found):
        raise _FaultError(f"{reference} is not async, write it as async def")
    _check_arguments(reference, found, "websocket")
    return cast(Handler, found)


def _lifespan(reference: str) -> Lifespan:
    found = _callable(reference)
    if inspect.isasyncgenfunction(found) or inspect.iscoroutinefunction(found):
        raise _FaultError(f"{reference} lacks its decorator, @contextlib.asynccontextmanager")
    _check_arguments(reference, found)
    return cast(Lifespan, found)


def _process_request(reference: str) -> ProcessRequest:
    found = _callable(reference)
    _check_arguments(reference, found, "connection", "request")
    return cast(ProcessRequest, found)


def load(config: Config) -> Application:
    """Import what ``config`` names and check it.

    The handler may be a coroutine function, a :func:`functools.partial` of one, a bound method, or
    an object whose ``__call__`` is one; it must take one argument, the connection.

    Raises:
        ApplicationError: something can't be imported, is no such thing, or takes other arguments;
            all faults are reported together.

    """
    faults: list[str] = []

    def attempt(key: str, get: Callable[[str], Loaded]) -> Loaded | None:
        reference = getattr(config, key)
        try:
            return None if reference is None else get(reference)
        except _FaultError as fault:
            faults.append(f"{key}: {fault}")
            return None

    handler = attempt("handler", _handler)
    lifespan = attempt("lifespan", _lifespan)
    process_request = attempt("process_request", _process_request)
    if handler is None or faults:
        raise ApplicationError(faults)
    return Application(handler, lifespan, process_request)
