"""Wrong variables of the front door are named, all at once, before anything changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Fleet

WRONG = {
    "nginx_allow": ["10.0.0.0/8", "office"],
    "nginx_connections_per_address": -1,
    "nginx_real_ip": "proxy_protocol",
    "nginx_trusted_proxies": [],
    "nginx_worker_shutdown_timeout": 700000,
    "app_origins": ["https://chat.example.com/"],
    "app_ping_interval": 60,
    "app_open_timeout": 90,
    "app_ping_timeout": 75,
    "nginx_read_timeout": 60,
    "nginx_connect_timeout": 70,
}


def test_wrong_variables_are_named_with_their_values(fleet: Fleet) -> None:
    wrong = ("--limit", "lb1,localhost", "-e", json.dumps(WRONG))
    run = fleet.play("websockets.fleet.site", *wrong)
    assert run.code != 0
    said = " ".join(run.output.split())
    for words in (
        "nginx_allow, nginx_deny, nginx_trusted_proxies is [['10.0.0.0/8', 'office'], [], []]",
        "nginx_connections_per_address, nginx_handshakes_per_address, nginx_handshake_rate is [-1,",
        "nginx_real_ip is proxy_protocol and nginx_trusted_proxies []",
        "nginx_worker_shutdown_timeout is 700000 s",
        "nginx_origins is ['https://chat.example.com/']",
        "nginx_read_timeout is 60 s and nginx_ping_interval is 60 s",
        "(0 to 3600; app_ping_interval in site.yml) must be less",
        "nginx_read_timeout is 60 s and nginx_open_timeout is 90 s",
        "(0 to 600; app_open_timeout in site.yml) must be less",
        "nginx_read_timeout is 60 s and nginx_ping_timeout is 75 s",
        "(0 to 3600; app_ping_timeout in site.yml) must be less",
        "nginx_connect_timeout is 70 s and nginx_read_timeout is 60 s",
    ):
        assert words in said, run.output
    assert set(run.changed.values()) == {0}


def test_sites_of_a_port_that_disagree_on_the_proxy_protocol_are_refused(fleet: Fleet) -> None:
    """nginx would take the one way for both, without a word."""
    theirs = "/etc/nginx/conf.d/theirs.conf"
    site = "server { listen 80 proxy_protocol; server_name theirs; }"
    fleet["lb1"].run(f"echo '{site}' > {theirs}")
    try:
        run = fleet.play("websockets.fleet.site", "--limit", "lb1,localhost")
    finally:
        fleet["lb1"].run(f"rm {theirs}")
    assert run.code != 0
    assert (
        f"{theirs} speaks the PROXY protocol on port 80, and this site does not speak the PROXY"
        " protocol (nginx_real_ip)"
    ) in " ".join(run.output.split())
    assert set(run.changed.values()) == {0}
