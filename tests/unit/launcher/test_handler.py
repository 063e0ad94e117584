# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be a handler, and what is said about what may not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from websockets_fleet.handler import HandlerError, load

GOOD = """
import functools

async def function(websocket): ...
async def with_default(websocket, greeting="hello"): ...
async def with_more(greeting, websocket): ...
async def anything(*args): ...

class App:
    async def __call__(self, websocket): ...
    async def method(self, websocket): ...

def logged(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper

instance = App()
partial = functools.partial(with_more, "hello")
partial_instance = functools.partial(App())
decorated = logged(function)
"""

BAD = """
class App:
    async def __call__(self, websocket): ...
def plain(websocket): ...
class Plain:
    def __call__(self, websocket): ...
plain_instance = Plain()
async def generator(websocket):
    yield
async def no_argument(): ...
async def two_arguments(websocket, path): ...
number = 5
"""


@pytest.fixture
def modules(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of modules that can be imported, and are forgotten afterwards."""
    monkeypatch.syspath_prepend(directory)
    import sys

    before = set(sys.modules)
    yield directory
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    "name",
    [
        "function",
        "with_default",
        "anything",
        "instance",
        "instance.method",
        "partial",
        "partial_instance",
        "decorated",
    ],
)
def test_async_callables_of_one_argument_are_handlers(modules: Path, name: str) -> None:
    (modules / "good.py").write_text(GOOD)
    assert callable(load(f"good:{name}"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("App", "bad:App is a class, name an instance of it"),
        ("plain", "bad:plain is not async, write it as async def"),
        ("plain_instance", "bad:plain_instance is not async, write it as async def"),
        ("generator", "bad:generator is an async generator, it must not yield"),
        ("number", "bad:number is not callable, it is of type int"),
        ("missing", "module bad has no missing"),
        (
            "no_argument",
            "bad:no_argument() does not take exactly one argument, the connection",
        ),
        (
            "two_arguments",
            "bad:two_arguments(websocket, path) does not take exactly one argument, the connection",
        ),
    ],
)
def test_others_are_refused(modules: Path, name: str, message: str) -> None:
    (modules / "bad.py").write_text(BAD)
    with pytest.raises(HandlerError) as caught:
        load(f"bad:{name}")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(
            {}, "cannot import app: ModuleNotFoundError: No module named 'app'", id="none"
        ),
        pytest.param(
            {"app.py": "import missing_library\n"},
            "cannot import app: ModuleNotFoundError: No module named 'missing_library' "
            "({directory}/app.py:1)",
            id="a library that is not there",
        ),
        pytest.param(
            {"app.py": "import inner\n", "inner.py": "\ndef f():\n    1 / 0\nf()\n"},
            "cannot import app: ZeroDivisionError: division by zero ({directory}/inner.py:3)",
            id="the deepest frame",
        ),
        pytest.param(
            {"app.py": "\n\ndef f(:\n"},
            "cannot import app: SyntaxError: invalid syntax ({directory}/app.py:3)",
            id="syntax",
        ),
        pytest.param(
            {"app.py": "import sys\nsys.exit('no settings')\n"},
            "cannot import app: SystemExit: no settings ({directory}/app.py:2)",
            id="it exits",
        ),
    ],
)
def test_an_import_that_fails_says_what_and_where(
    modules: Path, files: dict[str, str], message: str
) -> None:
    for name, source in files.items():
        (modules / name).write_text(source)
    with pytest.raises(HandlerError) as caught:
        load("app:handler")
    assert str(caught.value) == message.format(directory=modules)
