# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be an application, and what is said about what may not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from websockets_fleet.application import Application, ApplicationError, load
from websockets_fleet.config import Config, parse

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


LIFESPANS = """
import contextlib

@contextlib.asynccontextmanager
async def good():
    yield

class Lifespan:
    async def __aenter__(self): ...
    async def __aexit__(self, *args): ...

async def undecorated():
    yield

@contextlib.asynccontextmanager
async def with_argument(app):
    yield
"""

PROCESS_REQUESTS = """
def plain(connection, request): ...
async def coroutine(connection, request): ...
def one_argument(request): ...
"""


def settings(**names: str) -> Config:
    lines = "".join(f'{key} = "{name}"\n' for key, name in names.items())
    return parse(lines + '[listen]\nmode = "unix_socket"\nruntime_directory = "/run/chat"\n')


def faults(**names: str) -> list[str]:
    with pytest.raises(ApplicationError) as caught:
        load(settings(**names))
    return caught.value.faults


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
    assert callable(load(settings(handler=f"good:{name}")).handler)


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
            "bad:no_argument() must take exactly websocket",
        ),
        (
            "two_arguments",
            "bad:two_arguments(websocket, path) must take exactly websocket",
        ),
    ],
)
def test_others_are_refused(modules: Path, name: str, message: str) -> None:
    (modules / "bad.py").write_text(BAD)
    assert faults(handler=f"bad:{name}") == [f"handler: {message}"]


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
            {"app.py": "error = ValueError('a\\n  b')\nerror.add_note('c')\nraise error\n"},
            "cannot import app: ValueError: a; b ({directory}/app.py:3)",
            id="a message of two lines, and a note",
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
    assert faults(handler="app:handler") == [f"handler: {message.format(directory=modules)}"]


def test_an_error_in_a_library_is_told_with_the_applications_own_line(
    modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(modules)
    (modules / "app.py").write_text("import json\n\njson.loads('{]')\n")
    (fault,) = faults(handler="app:handler")
    assert "json.decoder.JSONDecodeError: " in fault
    assert fault.endswith(f" ({modules}/app.py:3)")


@pytest.mark.parametrize("name", ["good", "Lifespan"])
def test_lifespans(modules: Path, name: str) -> None:
    (modules / "good.py").write_text(GOOD)
    (modules / "life.py").write_text(LIFESPANS)
    application = load(settings(handler="good:function", lifespan=f"life:{name}"))
    assert hasattr(application.lifespan and application.lifespan(), "__aenter__")


@pytest.mark.parametrize("name", ["plain", "coroutine"])
def test_process_requests(modules: Path, name: str) -> None:
    (modules / "good.py").write_text(GOOD)
    (modules / "gate.py").write_text(PROCESS_REQUESTS)
    application = load(settings(handler="good:function", process_request=f"gate:{name}"))
    assert callable(application.process_request)


def test_what_is_not_named_is_not_there(modules: Path) -> None:
    (modules / "good.py").write_text(GOOD)
    application = load(settings(handler="good:function"))
    assert application == Application(application.handler, None, None)


def test_all_faults_are_reported_together(modules: Path) -> None:
    (modules / "bad.py").write_text(BAD)
    (modules / "life.py").write_text(LIFESPANS)
    (modules / "gate.py").write_text(PROCESS_REQUESTS)
    assert faults(
        handler="bad:plain", lifespan="life:undecorated", process_request="gate:one_argument"
    ) == [
        "handler: bad:plain is not async, write it as async def",
        "lifespan: life:undecorated lacks its decorator, @contextlib.asynccontextmanager",
        "process_request: gate:one_argument(request) must take exactly connection, request",
    ]
    assert faults(handler="bad:plain", lifespan="life:with_argument")[1] == (
        "lifespan: life:with_argument(app) must take no argument"
    )
