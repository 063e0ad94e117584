"""A host that reaches no index gets all of its packages from the controller."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conftest import Fleet

Version = Callable[..., Path]
WHEELHOUSE = "websockets.fleet.wheelhouse"


def test_a_host_without_a_way_out_serves(offline: Any, version: Version) -> None:
    assert offline.server.host.run("ip route get 192.0.2.1").rc != 0
    run = offline.deploy("-e", f"app_source={version('offline')}")
    assert run.code == 0, run.output
    assert offline.answer() == "offline"


def test_a_wheelhouse_that_has_everything_does_not_change(fleet: Fleet) -> None:
    run = fleet.play(WHEELHOUSE, "--limit", "app2")
    assert run.code == 0, run.output
    assert run.changed["app2"] == 0, run.output


def test_a_wheelhouse_is_for_the_pythons_of_the_servers(fleet: Fleet, tmp_path: Path) -> None:
    """redis needs async-timeout up to Python 3.11.2 only: whichever Python the controller has."""
    found = {}
    for host in ("app1", "app2"):
        variables = {"app_requirements": ["redis==5.0.8"], "app_wheelhouse": f"{tmp_path}/{host}"}
        run = fleet.play(WHEELHOUSE, "--limit", host, "-e", json.dumps(variables))
        assert run.code == 0, run.output
        found[host] = " ".join(path.name for path in (tmp_path / host).glob("*.whl"))
    assert "async_timeout" in found["app1"]
    assert "cp311" in found["app1"]
    assert "async_timeout" not in found["app2"]
    assert "cp313" in found["app2"]


def test_uvloop_runs_the_processes_where_it_is_asked_for(
    fleet: Fleet, offline: Any, tmp_path: Path
) -> None:
    uvloop = ("-e", json.dumps({"app_event_loop": "uvloop", "app_wheelhouse": f"{tmp_path}/new"}))
    preview = fleet.play(WHEELHOUSE, "--limit", "app2", "--check", *uvloop)
    assert "uvloop" in preview.output
    assert "would be added" in preview.output
    assert not (tmp_path / "new").exists()
    assert fleet.play(WHEELHOUSE, "--limit", "app2", *uvloop).code == 0
    run = offline.deploy(*uvloop)
    assert run.code == 0, run.output
    for index in (1, 2):
        maps = offline.server.run(
            f"cat /proc/{offline.server.main_pid(f'greet@{index}.service')}/maps"
        )
        assert "/uvloop/loop." in maps
    assert offline.answer() == "1"


def test_a_wheelhouse_that_lacks_something_is_a_clear_error(
    offline: Any, version: Version, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    before = offline.answer()
    run = offline.deploy("-e", f"app_wheelhouse={tmp_path}/empty")
    assert "there is no wheel (.whl) in it; the playbook" in " ".join(run.output.split())
    source = version("lacks", dependencies=', "nobody-has-this==1"')
    run = offline.deploy("-e", f"app_source={source}")
    assert run.code != 0
    assert "nobody-has-this" in run.output
    assert offline.answer() == before
