# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the user's callable that ``module:callable`` names, and check that it can do its work."""

from __future__ import annotations

import functools
import importlib
import inspect
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, cast

from websockets.asyncio.server import ServerConnection

__all__ = ["Handler", "HandlerError", "load"]

Handler = Callable[[ServerConnection], Awaitable[None]]


class HandlerError(Exception):
    """The callable can't be had or can't be used; the message is one line."""


def _where(error: BaseException) -> str:
    """`` (file:line)`` of the deepest frame that is not the import system's or this module's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}:{error.lineno})"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<frozen importlib")
        and frame.filename not in (__file__, importlib.__file__)
    ]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""


def _find(reference: str) -> Any:
    module, _, path = reference.partition(":")
    try:
        found: Any = importlib.import_module(module)
    # A module may raise anything, SystemExit too, while it is imported.
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        last = traceback.format_exception_only(error)[-1].strip()
        raise HandlerError(f"cannot import {module}: {last}{_where(error)}") from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise HandlerError(f"module {module} has no {path}") from None
    return found


def _is_async(found: Any) -> bool:
    while isinstance(found, functools.partial):
        found = found.func
    # A decorator may have wrapped the coroutine function in a plain one.
    return any(
        inspect.iscoroutinefunction(candidate)
        for candidate in (found, inspect.unwrap(found), type(found).__call__)
    )


def load(reference: str) -> Handler:
    """Import what ``reference`` (``module:callable``) names and return it.

    It may be a coroutine function, a :func:`functools.partial` of one, a bound method, or an
    object whose ``__call__`` is one; it must take one argument, the connection.

    Raises:
        HandlerError: it can't be imported, is no such thing, or takes other arguments.

    """
    found = _find(reference)
    if inspect.isclass(found):
        raise HandlerError(f"{reference} is a class, name an instance of it")
    if not callable(found):
        raise HandlerError(f"{reference} is not callable, it is of type {type(found).__name__}")
    if inspect.isasyncgenfunction(found):
        raise HandlerError(f"{reference} is an async generator, it must not yield")
    if not _is_async(found):
        raise HandlerError(f"{reference} is not async, write it as async def")
    try:
        signature = inspect.signature(found)
    except ValueError:
        return cast(Handler, found)  # Compiled code may have no signature: trust it.
    try:
        signature.bind(object())
    except TypeError:
        raise HandlerError(
            f"{reference}{signature} does not take exactly one argument, the connection"
        ) from None
    return cast(Handler, found)
