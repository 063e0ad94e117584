"""Runs that are killed at their worst moments, and a full disk: nothing is lost."""

from __future__ import annotations

import re
import signal
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Client, Fleet

Version = Callable[..., Path]

# Long enough to be killed in: the import check, which comes last.
SLOW = """
import sys
import time

time.sleep(5 * ("--check" in sys.argv))
"""


# Kill a step of a build, whichever runs, and what started it: steps come and go meanwhile.
KILL_BUILD = r"""
cd /proc
for _try in $(seq 300); do
  for link in [0-9]*/cwd; do
    case $(readlink $link) in /opt/greet/releases/.build-*/app) ;; *) continue ;; esac
    step=${link%/cwd}
    module=$(sed -n 's/^PPid:\t//p' $step/status)
    case $(readlink $module/cwd) in /opt/greet/releases/*) continue ;; esac
    kill -KILL $module && { kill -KILL $step; exit 0; }
  done 2> /dev/null
  sleep 0.1
done
exit 1
"""


def kill_when(site: Any, source: Path, words: str) -> None:
    """Run site.yml and kill it, without a chance to tidy up, when it has said something."""
    change = ("-e", f"app_source={source}")
    command = site.fleet.command("websockets.fleet.site", *site.limit, *change)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        seen = next((line for line in process.stdout if words in line), "")
        process.send_signal(signal.SIGKILL)
    assert seen, f"it never said {words!r}"


def test_a_build_that_is_killed_leaves_nothing_after_the_next_run(
    site: Any, version: Version
) -> None:
    server = site.server
    before, current = site.answer(), site.link("current")
    source = version("killed-build", SLOW)
    kill_when(site, source, "app1: building release")
    # The host loses power, too: the steps of the build and what started them.
    server.run(KILL_BUILD)
    assert [name for name in site.releases() if name.startswith(".build-")]
    assert (site.answer(), site.link("current")) == (before, current)
    run = site.deploy("-e", f"app_source={source}")
    assert run.code == 0, run.output
    assert site.answer() == "killed-build"
    assert not [name for name in site.releases() if name.startswith(".build-")]
    assert not server.run("find / -xdev -name release.tar.gz")


def test_a_switch_that_is_killed_is_ended_by_the_next_run(site: Any, version: Version) -> None:
    server = site.server
    source = version("killed-switch")
    kill_when(site, source, "app1: restarting")
    run = site.deploy("-e", f"app_source={source}")
    assert run.code == 0, run.output
    running = {server.status(index)["release"] for index in (1, 2)}
    assert running == {site.link("current")}
    assert site.answer() == "killed-switch"
    assert site.link("previous") != site.link("current")
    assert set(server.run("ls -A /opt/greet").split()) == {"current", "previous", "releases"}
    assert site.deploy("-e", f"app_source={source}").changed["app1"] == 0


@pytest.fixture
def fill(site: Any) -> Iterator[Callable[[int], None]]:
    """Return a function that leaves so many megabytes free on the application's disk."""

    def leave(megabytes: int) -> None:
        free = int(site.server.run("df --output=avail --block-size=1M /opt | tail -n 1"))
        site.server.run(f"fallocate --length={free - megabytes}M /opt/filler")

    yield leave
    site.server.run("rm --force /opt/filler")


@pytest.fixture
def held(fleet: Fleet) -> Iterator[Client]:
    """Hold a connection to the service."""
    with fleet.client("lb1") as client:
        yield client


def large(folder: Path) -> Path:
    """Make a wheel that is small until it is installed."""
    information = "greet-1.0.dist-info"
    path = folder / "greet-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("greet.bin", bytes(250 * 2**20))
        wheel.writestr(
            f"{information}/METADATA", "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n"
        )
        wheel.writestr(
            f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{information}/RECORD", "greet.bin,,\n")
    return path


def test_a_disk_that_is_too_full_to_build_on_is_said_before(
    site: Any, version: Version, fill: Callable[[int], None], held: Client
) -> None:
    before = site.releases(), site.answer()
    fill(20)
    run = site.deploy("-e", f"app_source={version('never')}")
    assert run.code != 0
    output = " ".join(run.output.split())
    assert "there is not enough space in /opt/greet/releases to build a release: it takes" in output
    assert re.search(r"(19|20) MiB are free; make room on that file system", output)
    assert (site.releases(), site.answer()) == before
    held.send("are you still there?")
    assert held.recv()


def test_a_disk_that_fills_up_in_a_build_is_said_plainly(
    site: Any, held: Client, tmp_path: Path
) -> None:
    before = site.releases(), site.answer()
    run = site.deploy("-e", f"app_source={large(tmp_path)}")
    assert run.code != 0
    output = " ".join(run.output.split())
    assert "not enough space in /opt/greet/releases to build a release" in output
    assert "installing the application filled it up" in output
    assert (site.releases(), site.answer()) == before
    held.send("are you still there?")
    assert held.recv()
