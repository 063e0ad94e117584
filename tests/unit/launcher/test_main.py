# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from websockets_fleet.__main__ import main

GOOD = """
handler = "applic:handler"
[listen]
mode = "unix_socket"
runtime_directory = "/run/chat"
"""

HALTED = "import of uvloop halted; None in sys.modules"

MODULE = "async def handler(websocket): ...\ndef plain(websocket): ...\n"


@pytest.fixture(autouse=True)
def _here(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with an application, as working directory; its module and path are forgotten."""
    monkeypatch.chdir(directory)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setenv("INSTANCE", "1")
    (directory / "applic.py").write_text(MODULE)
    (directory / "server.toml").write_text(GOOD)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("websockets").setLevel(logging.NOTSET)
    sys.modules.pop("applic", None)


def test_check_is_silent_where_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "server.toml", "--check"]) == 0
    assert capsys.readouterr() == ("", "")


def test_check_needs_no_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INSTANCE")
    assert main(["--config", "server.toml", "--check"]) == 0


def test_check_reads_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = GOOD + "port = 5\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert main(["--config", "-", "--check"]) == 1
    assert capsys.readouterr().err == (
        "stdin: listen.port: is not for mode unix_socket, which listens in runtime_directory\n"
    )


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param(
            GOOD + "[websocket]\nmax_queue = -3\nmax_size = 0\n",
            [
                "server.toml: websocket.max_size: 0 is not in 1..1073741824 (bytes)",
                "server.toml: websocket.max_queue: -3 is not in 1..65536 (frames)",
            ],
            id="each fault has a line",
        ),
        pytest.param(
            GOOD.replace(":handler", ":plain"),
            ["server.toml: handler: applic:plain is not async, write it as async def"],
            id="the handler",
        ),
        pytest.param(
            GOOD.replace("applic", "x"),
            ["server.toml: handler: cannot import x: ModuleNotFoundError: No module named 'x'"],
            id="an import",
        ),
        pytest.param(
            "\udcff", ["server.toml: is not UTF-8: invalid start byte at byte 0"], id="bytes"
        ),
        pytest.param(
            'event_loop = "uvloop"\n' + GOOD,
            [f"server.toml: event_loop: cannot import uvloop: {HALTED}"],
            id="uvloop",
        ),
    ],
)
@pytest.mark.parametrize("check", [["--check"], []], ids=["check", "serve"])
def test_faults(
    text: str,
    lines: list[str],
    check: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    Path("server.toml").write_text(text, errors="surrogateescape")
    assert main(["--config", "server.toml", *check]) == 1
    assert capsys.readouterr() == ("", "".join(f"{line}\n" for line in lines))


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "no.toml", "--check"]) == 1
    assert capsys.readouterr().err == "cannot read no.toml: No such file or directory\n"


@pytest.mark.parametrize("instance", [None, "", "0", "-1", "one", "65536", "²"])
def test_instance(
    instance: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if instance is None:
        monkeypatch.delenv("INSTANCE")
    else:
        monkeypatch.setenv("INSTANCE", instance)
    assert main(["--config", "server.toml"]) == 1
    assert capsys.readouterr().err == (
        f"INSTANCE in the environment is {instance or ''!r}, not a number in 1..65535\n"
    )


@pytest.mark.parametrize("arguments", [[], ["--check"], ["--config", "server.toml", "more"]])
def test_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_only_websockets_is_needed() -> None:
    """The package runs where nothing but websockets is installed."""
    code = (
        f"import sys; sys.path += {sys.path!r}; import websockets_fleet.__main__;"
        "names = {name.partition('.')[0] for name in sys.modules};"
        "print(*sorted(names - set(sys.stdlib_module_names) - {'__main__'}))"
    )
    # -S: what site-packages may load by itself, for coverage or editable installs, is not ours.
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout == "websockets websockets_fleet\n"
