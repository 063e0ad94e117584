# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configurations that are compared differ in what they say they differ in."""

from __future__ import annotations

import re

import pytest

from front_bench.upstreams import VARIANTS, site

TEXT = """\
upstream fleet_front {
    zone fleet_front 256k;
    least_conn;
    server 10.0.0.2:8765 max_fails=0;
    server 10.0.0.3:8765 max_fails=0 weight=2;
}

upstream fleet_front_health {
    server 10.0.0.2:8765 max_fails=1 fail_timeout=2s;
}
server {
    proxy_connect_timeout 500ms;
    location = /healthz {
        proxy_connect_timeout 1s;
        proxy_pass http://fleet_front_health;
    }
    location / {
        proxy_pass http://fleet_front;
    }
}
"""


def servers(text: str) -> list[str]:
    """Give the lines of the upstream of the WebSockets."""
    block = re.search(r"(?s)upstream (fleet_front|websocket) \{\n(.*?)\}", text)
    assert block
    return re.findall(r"(?m)^ +server (.*);$", block[2])


def test_a_site_is_found_with_its_servers() -> None:
    found = site(TEXT)
    assert found.name == "fleet_front"
    assert found.servers == ("10.0.0.2:8765", "10.0.0.3:8765")


def test_a_server_that_is_listed_twice_is_one() -> None:
    found = site(TEXT.replace("10.0.0.3", "10.0.0.2"))
    assert found.servers == ("10.0.0.2:8765",)


@pytest.mark.parametrize("text", ["", "upstream fleet_front {\n    least_conn;\n}\n"])
def test_a_site_without_servers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no upstream with servers"):
        site(text)


def test_the_role_is_what_the_role_laid() -> None:
    assert VARIANTS["role"].render(site(TEXT)) == TEXT


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("guide", ["10.0.0.2:8765", "10.0.0.3:8765"]),
        ("patient", ["10.0.0.2:8765 max_fails=0", "10.0.0.3:8765 max_fails=0 weight=2"]),
        ("random", ["10.0.0.2:8765 max_fails=0", "10.0.0.3:8765 max_fails=0"]),
        (
            "probed",
            [
                "10.0.0.2:8765 max_fails=1 fail_timeout=1s",
                "10.0.0.3:8765 max_fails=1 fail_timeout=1s",
            ],
        ),
        (
            "backup",
            [
                "10.0.0.2:8765 max_fails=1 fail_timeout=1s",
                "10.0.0.3:8765 max_fails=1 fail_timeout=1s",
                "10.0.0.2:8765 max_fails=0 backup",
                "10.0.0.3:8765 max_fails=0 backup",
            ],
        ),
    ],
)
def test_a_set_up_has_other_servers(name: str, lines: list[str]) -> None:
    assert servers(VARIANTS[name].render(site(TEXT))) == lines


def test_a_patient_set_up_waits_for_servers_and_not_for_health() -> None:
    text = VARIANTS["patient"].render(site(TEXT))
    assert re.findall(r"proxy_connect_timeout (\w+);", text) == ["2s", "1s"]


def test_only_what_is_probed_is_asked_through_the_upstream_of_websockets() -> None:
    for name, variant in VARIANTS.items():
        text = variant.render(site(TEXT))
        asked = "proxy_pass http://fleet_front_health;" in text
        assert asked is not (variant.probed or variant.guide), name


def test_a_site_without_health_checks_can_not_be_probed() -> None:
    with pytest.raises(ValueError, match="fleet_front_health"):
        VARIANTS["probed"].render(site(TEXT.replace("proxy_pass http://fleet_front_health;", "")))
