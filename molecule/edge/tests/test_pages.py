"""Pages of the application's own, over HTTP/2, beside its WebSockets; only these pages connect."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Fleet

    from .conftest import Door, Gixy

SITE = ("websockets.fleet.site", "--limit", "lb1,localhost")
NAME = "echo.example.test"
ORIGIN = f"https://{NAME}"
FIRST = {
    "index.html": '<script src="app-1a2b3c4d.js"></script>',
    "app-1a2b3c4d.js": "// the first\n" * 1000,
    "about.html": "about",
    "news-20240101.txt": "of that day",
    "sub/index.html": "below",
    "pictures/one.svg": "<svg/>",
    ".env": "TOKEN=1",
    ".git/config": "[core]",
    ".well-known/security.txt": "Contact: mailto:security@example.test",
}
SECOND = {
    "pictures/one.svg": FIRST["pictures/one.svg"],
    "index.html": '<script src="app-5e6f7a8b.js"></script>',
    "app-5e6f7a8b.js": "// the second\n",
}
THIRD = {"index.html": "no script"}


def lay(folder: Path, files: dict[str, str]) -> str:
    """Make a folder as a build of a front end leaves it; return its path."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder)


Deploy = Callable[[dict[str, str]], None]


@pytest.fixture(scope="module")
def deploy(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploy]:
    """Deploy files; the last word is the site's without any."""

    def site(files: dict[str, str]) -> None:
        variables: dict[str, Any] = {
            "nginx_static_root": lay(tmp_path_factory.mktemp("files"), files),
            "app_origins": [ORIGIN],
            # As if app1 had three times as many processes.
            "nginx_upstream_servers": [
                {"address": f"{fleet['app1'].address}:8765", "weight": 3},
                {"address": f"{fleet['app2'].address}:8765", "weight": 1},
            ],
        }
        run = fleet.play(*SITE, "-e", json.dumps(variables))
        assert run.code == 0, run.output

    yield site
    run = fleet.play(*SITE)
    assert run.code == 0, run.output


@pytest.fixture(scope="module")
def first(deploy: Deploy) -> None:
    """The load balancer with the first release's files."""
    deploy(FIRST)


def curl(fleet: Fleet, path: str, *options: str) -> tuple[int, dict[str, str], str]:
    """Ask lb1 from another host, over HTTP/2; return the status, the header and the body."""
    words = " ".join(options)
    said = fleet["app1"].run(
        f"curl --silent --insecure --include --http2 --path-as-is {words}"
        f" --resolve {NAME}:443:{fleet['lb1'].address} 'https://{NAME}{path}'"
    )
    head, _separator, body = said.replace("\r\n", "\n").partition("\n\n")
    start, *lines = head.splitlines()
    assert start.startswith("HTTP/2 ")
    header = dict(line.lower().split(": ", 1) for line in lines)
    return int(start.split()[1]), header, body


@pytest.mark.usefixtures("first")
def test_a_page_is_kept_and_asked_for_again(fleet: Fleet) -> None:
    status, header, body = curl(fleet, "/")
    assert (status, body) == (200, FIRST["index.html"])
    assert header["content-type"] == "text/html"
    assert header["cache-control"] == "no-cache"
    assert header["strict-transport-security"] == "max-age=63072000"
    status, again, _body = curl(fleet, "/", f"--header 'If-None-Match: {header['etag']}'")
    assert status == 304
    assert again["cache-control"] == "no-cache"


@pytest.mark.usefixtures("first")
def test_what_has_a_digest_in_its_name_is_kept_for_a_year(fleet: Fleet) -> None:
    status, header, _body = curl(fleet, "/app-1a2b3c4d.js")
    assert (status, header["cache-control"]) == (200, "max-age=31536000")
    # A date is none.
    assert curl(fleet, "/news-20240101.txt")[1]["cache-control"] == "no-cache"
    # What is not there now may come.
    status, header, _body = curl(fleet, "/app-9a9b9c9d.js")
    assert status == 404
    assert "cache-control" not in header


@pytest.mark.usefixtures("first")
def test_a_script_is_compressed(fleet: Fleet) -> None:
    _status, plain, _body = curl(fleet, "/app-1a2b3c4d.js")
    assert int(plain["content-length"]) == len(FIRST["app-1a2b3c4d.js"])
    _status, header, body = curl(fleet, "/app-1a2b3c4d.js", "--compressed")
    assert (header["content-encoding"], header["vary"]) == ("gzip", "accept-encoding")
    assert body == FIRST["app-1a2b3c4d.js"].strip()


@pytest.mark.usefixtures("first")
def test_gixy_finds_nothing_in_it(gixy: Gixy) -> None:
    configuration, findings = gixy("lb1")
    assert "fleet_echo_previous" in configuration
    assert findings == []


@pytest.mark.usefixtures("first")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/.env", 404),
        ("/.git/config", 404),
        ("/%2egit/config", 404),
        ("/../../../../../etc/passwd", 400),
        ("/pictures/", 403),
        ("/no-such-page", 404),
        ("/.well-known/security.txt", 200),
        ("/pictures/one.svg", 200),
        ("/sub/", 200),
        ("/sub", 301),
    ],
)
def test_only_what_is_meant_is_served(fleet: Fleet, path: str, status: int) -> None:
    found, _header, body = curl(fleet, path)
    assert found == status
    assert "one.svg" not in body


@pytest.mark.usefixtures("first")
@pytest.mark.parametrize(
    ("origin", "status"), [(ORIGIN, 101), ("", 403), ("https://evil.example", 403)]
)
def test_only_these_pages_connect(usual: Door, origin: str, status: int) -> None:
    """The list has no ``none``: who sends no Origin, and so is no browser, is refused too."""

    async def ask() -> int:
        answer = await (usual.ask(Origin=origin) if origin else usual.ask())
        answer.close()
        return answer.status

    assert asyncio.run(ask()) == status


@pytest.mark.usefixtures("first")
def test_a_server_with_more_processes_gets_more(fleet: Fleet, usual: Door) -> None:
    def connections() -> dict[str, int]:
        ask = "ss --no-header --tcp --numeric state established dst {}:8765"
        return {
            app: len(fleet["lb1"].run(ask.format(fleet[app].address)).splitlines())
            for app in ("app1", "app2")
        }

    async def come() -> dict[str, int]:
        held = [await usual.ask(Origin=ORIGIN) for _number in range(40)]
        assert {answer.status for answer in held} == {101}
        shares = connections()
        for answer in held:
            answer.close()
        return shares

    # Those of the tests before count as long as nginx has not seen that they left.
    deadline = time.monotonic() + 20
    while any(connections().values()):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert asyncio.run(come()) == {"app1": 30, "app2": 10}


@pytest.mark.usefixtures("first")
def test_a_new_release_needs_no_reload_and_leaves_no_page_without_its_script(
    fleet: Fleet, deploy: Deploy
) -> None:
    workers = "pgrep --parent $(systemctl show -P MainPID nginx) | sort"
    before = fleet["lb1"].run(workers)
    assert curl(fleet, "/")[2] == FIRST["index.html"]
    kept = {path: curl(fleet, path)[1]["etag"] for path in ("/", "/pictures/one.svg")}

    deploy(SECOND)
    assert curl(fleet, "/pictures/one.svg")[1]["etag"] == kept["/pictures/one.svg"]
    assert curl(fleet, "/")[1]["etag"] != kept["/"]
    assert fleet["lb1"].run(workers) == before
    assert curl(fleet, "/")[2] == SECOND["index.html"]
    assert curl(fleet, "/app-5e6f7a8b.js")[0] == 200
    # Of a page that is open in a browser.
    status, header, body = curl(fleet, "/app-1a2b3c4d.js")
    assert (status, body) == (200, FIRST["app-1a2b3c4d.js"].strip())
    assert header["cache-control"] == "max-age=31536000"
    # What was taken out is out.
    assert curl(fleet, "/about.html")[0] == 404

    deploy(THIRD)
    assert fleet["lb1"].run(workers) == before
    assert curl(fleet, "/app-5e6f7a8b.js")[0] == 200
    assert curl(fleet, "/app-1a2b3c4d.js")[0] == 404
    left = fleet["lb1"].run("ls /var/lib/websockets-fleet/echo/static").split()
    assert len(left) == 4
    assert {"current", "previous"} < set(left)
