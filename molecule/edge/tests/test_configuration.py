"""nginx's configuration as the hosts have it: what a checker says, and what nginx refuses."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fleet, Run

SITE = ("websockets.fleet.site", "--limit", "lb1,localhost")
# Lines of Debian 12's own nginx.conf, for sites that say nothing about it. Each of ours says it,
# and no grader can speak such a version; the sites of others are not the role's to change.
OF_THE_DISTRIBUTION = {
    "ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;",
    "ssl_prefer_server_ciphers on;",
}


@pytest.mark.parametrize("name", ["lb1", "lb2"])
def test_gixy_finds_nothing(fleet: Fleet, tmp_path: Path, name: str) -> None:
    dump = tmp_path / "nginx.conf"
    dump.write_text(fleet[name].run("nginx -T 2> /dev/null") + "\n")
    assert "fleet_echo_websocket" in dump.read_text()
    done = subprocess.run(
        ["gixy", "--format=json", str(dump)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = json.loads(done.stdout)
    assert [one for one in found if one["config"] not in OF_THE_DISTRIBUTION] == []


def traces(fleet: Fleet) -> str:
    """What lb1 has in nginx's folder, and the workers: a reload would have made others."""
    return fleet["lb1"].run(
        "find /etc/nginx -type f -exec sha256sum {} + | sort; pgrep --full 'nginx: worker process$'"
    )


def refused(fleet: Fleet, variables: dict[str, list[str]]) -> str:
    """Ask for what nginx refuses while a client is connected; return what the run said."""

    async def hold() -> Run:
        async with fleet.connect("lb1") as connection:
            run = await asyncio.to_thread(fleet.play, *SITE, "-e", json.dumps(variables))
            await connection.send("still here")
            assert await connection.recv() == "still here"
        return run

    before = traces(fleet)
    run = asyncio.run(hold())
    assert run.code != 0
    assert traces(fleet) == before
    with fleet.client("lb1") as client:
        client.send("new here")
        assert client.recv() == "new here"
    said = " ".join(run.output.split())
    assert "echo.conf was refused, nothing was written" in said, run.output
    return said


def test_what_nginx_refuses_never_lands(fleet: Fleet) -> None:
    """Nothing but nginx knows that this is no network."""
    assert 'invalid network "10.0.0.0/33"' in refused(fleet, {"nginx_deny": ["10.0.0.0/33"]})


def test_nothing_lands_beside_what_somebody_else_broke(fleet: Fleet) -> None:
    theirs = "/etc/nginx/conf.d/theirs.conf"
    fleet["lb1"].run(f"echo 'no_such_directive on;' > {theirs}")
    try:
        said = refused(fleet, {"nginx_deny": ["10.0.0.0/8"]})
        assert f'unknown directive "no_such_directive" in {theirs}' in said
    finally:
        fleet["lb1"].run(f"rm {theirs}")
