"""nginx's configuration as the hosts have it: what a checker says, and what nginx refuses."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fleet, Run

    from .conftest import Gixy

SITE = ("websockets.fleet.site", "--limit", "lb1,localhost")


@pytest.mark.parametrize("name", ["lb1", "lb2"])
def test_gixy_finds_nothing(gixy: Gixy, name: str) -> None:
    configuration, findings = gixy(name)
    assert "fleet_echo_websocket" in configuration
    assert findings == []


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
