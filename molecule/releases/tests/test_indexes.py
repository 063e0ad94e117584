"""An index that wants a password gets it, and nobody else does; hashes are enforced."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Server

Version = Callable[..., Path]

USER = "ci-user"
# Characters that an address can't have as they are.
PASSWORD = "tO/k3n w@y%x7"
ROTATED = "n3wT0ken-Qx7"
QUOTED = "tO%2Fk3n%20w%40y%25x7"


class Index:
    """A package index on the controller, for those who know a password."""

    def __init__(self, address: str, folder: Path) -> None:
        self.asked: list[str] = []
        self.refused: list[str] = []
        passwords = {
            base64.b64encode(f"{USER}:{password}".encode()).decode()
            for password in (PASSWORD, ROTATED)
        }
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _basic, _space, login = self.headers.get("Authorization", "").partition(" ")
                if login not in passwords:
                    index.refused.append(self.path)
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="index"')
                    self.end_headers()
                    return
                index.asked.append(self.path)
                name = self.path.rpartition("/")[2]
                files = sorted(path.name for path in folder.glob("*.whl"))
                if name in files:
                    body = (folder / name).read_bytes()
                elif self.path == "/simple/greet/":
                    body = "".join(f'<a href="/{file}">{file}</a>' for file in files).encode()
                else:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer((address, 0), Handler)
        self.place = f"{address}:{self.server.server_port}"
        self.address = address
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def variables(self, password: str, **more: object) -> tuple[str, str]:
        """Return the arguments that let pip in."""
        environment = {
            "PIP_EXTRA_INDEX_URL": f"http://{USER}:{password}@{self.place}/simple",
            "PIP_TRUSTED_HOST": self.address,
        }
        return "-e", json.dumps({"app_pip_env": environment, **more})


@pytest.fixture
def index(site: Any, version: Version, tmp_path: Path) -> Iterator[Index]:
    """Serve a wheel of the application on the lab's own network."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, f"--wheel-dir={tmp_path}", str(version("private"))], check=True)
    address = site.server.run("ip route show default | awk '{print $3}'")
    index = Index(address, tmp_path)
    yield index
    index.server.shutdown()
    index.server.server_close()


@pytest.fixture
def watched(site: Any) -> Iterator[Server]:
    """Write down every argument of every process of a host."""
    server: Server = site.server
    server.run(
        "systemd-run --quiet --unit=watch sh -c"
        ' \'while :; do cat /proc/[0-9]*/cmdline | tr "\\0" " "; done > /run/arguments 2>&1\''
    )
    yield server
    server.host.run("systemctl stop watch.service; rm -f /run/arguments")


PLACES = "/etc /home /opt /root /run /srv /tmp /usr/local /var"


def places_of(server: Server, secret: str) -> str:
    """Return the files and the lines of the journal that hold a text."""
    # The command itself is in the journal: it must not hold what it looks for.
    pattern = "".join(f"[{character}]" for character in secret)
    grep = f"grep --recursive --files-with-matches --no-messages -e '{pattern}' {PLACES}"
    journal = f"journalctl --output=cat --no-pager | grep -e '{pattern}'"
    return str(server.host.run(f"{grep}; {journal}").stdout)


def test_a_password_shows_nowhere(site: Any, index: Index, watched: Server) -> None:
    """The application comes from the index alone, and the output is as long as it can be."""
    only = {"app_source": "", "app_requirements": ["greet==1.0"]}
    run = site.deploy("-vvv", *index.variables(QUOTED, **only))
    assert run.code == 0, run.output
    assert site.answer() == "private"
    assert index.asked[-1].endswith("greet-1.0-py3-none-any.whl")
    arguments = watched.run("cat /run/arguments")
    assert f"http://{index.place}/simple" not in arguments
    assert "--requirement requirements.txt" in arguments
    watched.run("systemctl stop watch.service; rm /run/arguments")
    for secret in (PASSWORD, QUOTED):
        assert secret not in arguments
        assert secret not in run.output
        assert places_of(watched, secret) == ""
    # Another password is no other release.
    again = site.deploy(*index.variables(ROTATED, **only))
    assert again.code == 0, again.output
    assert again.changed["app1"] == 0, again.output


def test_what_builds_a_project_is_not_told_the_password(
    site: Any, index: Index, version: Version, watched: Server
) -> None:
    """pip hands its indexes on to a process that installs the build backend, as arguments."""
    run = site.deploy(*index.variables(QUOTED, app_source=str(version("built"))))
    assert run.code == 0, run.output
    assert site.answer() == "built"
    arguments = watched.run("cat /run/arguments")
    # It is that process that the address has no password in.
    assert f"http://{index.place}/simple" in arguments
    assert QUOTED not in arguments
    assert PASSWORD not in arguments


def test_a_wrong_password_does_not_show_either(site: Any, index: Index) -> None:
    before = site.answer(), site.releases()
    only = {"app_source": "", "app_requirements": ["greet>=1"]}
    run = site.deploy(*index.variables("wr0ng%2FPa55", **only))
    assert run.code != 0
    assert index.refused
    assert "greet" in run.output
    assert "wr0ng" not in run.output
    assert (site.answer(), site.releases()) == before


def test_a_password_in_an_argument_is_refused_before_anything_changes(site: Any) -> None:
    arguments = {"app_pip_args": ["--index-url=https://ci:s3cr3t-Pw@pypi.example.test/simple"]}
    run = site.deploy("-e", json.dumps(arguments))
    assert run.code != 0
    assert "put the address into app_pip_env" in " ".join(run.output.split())
    assert "s3cr3t-Pw" not in run.output
    assert run.changed["app1"] == 0
    assert site.server.run("ls -d /opt/greet/releases/.build-* 2>/dev/null || true") == ""


def test_a_package_with_another_hash_is_refused(site: Any, tmp_path: Path) -> None:
    before = site.answer(), site.releases()
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"websockets==17.4 --hash=sha256:{'0' * 64}\n")
    run = site.deploy("-e", f"app_requirements={requirements}")
    assert run.code != 0
    assert "installing app_requirements failed" in run.output
    assert "hash" in run.output.lower()
    assert (site.answer(), site.releases()) == before
