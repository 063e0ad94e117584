# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two limits raised in an nginx.conf that is not ours, and restored."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.filter.nginx_limits_raised import (
    nginx_limits_raised,
)
from ansible_collections.websockets.fleet.plugins.filter.nginx_limits_restored import (
    nginx_limits_restored,
)
from ansible_collections.websockets.fleet.plugins.plugin_utils._nginx_limits import (
    raise_limits,
    restore_limits,
)

DEBIAN = """user www-data;
pid /run/nginx.pid;
include /etc/nginx/modules-enabled/*.conf;

events {
\tworker_connections 768;
\t# multi_accept on;
}

http {
\tinclude /etc/nginx/conf.d/*.conf;
}
"""
RED_HAT = """user nginx;
worker_processes auto;
include /usr/share/nginx/modules/*.conf;

events {
    worker_connections 1024;
}
"""
WITHOUT = "events {\n    multi_accept on;\n}\n"
COMMENTED = "events { # tuned\n  worker_connections 800; # by hand\n}\n"
LIMITED = "worker_rlimit_nofile 4096;\nevents {\n    worker_connections 2048;\n}\n"


@pytest.mark.parametrize("text", [DEBIAN, RED_HAT, WITHOUT, COMMENTED, LIMITED])
def test_restores_what_was_there_after_any_number_of_raises(text: str) -> None:
    once = raise_limits(text, 16384, 17408)
    twice = raise_limits(once, 20000, 21024)
    assert raise_limits(once, 16384, 17408) == once
    assert raise_limits(twice, 16384, 17408) == twice
    assert restore_limits(once) == restore_limits(twice) == text


@pytest.mark.parametrize("text", [DEBIAN, "worker_shutdown_timeout 60;\n" + RED_HAT])
def test_a_timeout_is_added_or_raised_and_restored(text: str) -> None:
    once = raise_limits(text, 16384, 17408, 3600)
    assert "\nworker_shutdown_timeout 3600; # websockets.fleet: " in f"\n{once}"
    # Of several sites on a host the one that waits longest decides.
    assert raise_limits(once, 16384, 17408, 600) == raise_limits(once, 16384, 17408) == once
    assert restore_limits(once) == text


def test_a_timeout_with_a_unit_is_left_to_its_author() -> None:
    with pytest.raises(ValueError, match="sets worker_shutdown_timeout"):
        raise_limits("worker_shutdown_timeout 1h;\n" + DEBIAN, 16384, 17408, 600)


def test_changes_one_line_and_adds_one() -> None:
    assert raise_limits(DEBIAN, 16384, 17408) == DEBIAN.replace(
        "events {\n\tworker_connections 768;",
        "worker_rlimit_nofile 17408; # websockets.fleet: added\n"
        "events {\n\tworker_connections 16384; # websockets.fleet: was 768",
    )


def test_adds_what_is_missing() -> None:
    assert raise_limits(WITHOUT, 16384, 17408) == (
        "worker_rlimit_nofile 17408; # websockets.fleet: added\n"
        "events {\n    worker_connections 16384; # websockets.fleet: added\n"
        "    multi_accept on;\n}\n"
    )


def test_keeps_the_comments_of_others() -> None:
    line = "  worker_connections 16384; # websockets.fleet: was 800 # by hand\n"
    assert line in raise_limits(COMMENTED, 16384, 17408)


def test_never_lowers() -> None:
    assert raise_limits(LIMITED, 1024, 2048) == LIMITED
    assert restore_limits(LIMITED) == LIMITED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http {\n}\n",
        "events { worker_connections 1024; }\n",
        "events {\n    multi_accept on; worker_connections 1024;\n}\n",
    ],
)
def test_refuses_what_it_could_break(text: str) -> None:
    with pytest.raises(ValueError, match="it "):
        raise_limits(text, 16384, 17408)
    with pytest.raises(AnsibleFilterError, match="nginx_worker_connections to 0"):
        nginx_limits_raised(text, 16384, 17408)


def test_filters_do_the_same() -> None:
    raised = nginx_limits_raised(DEBIAN, 16384, 17408)
    assert raised == raise_limits(DEBIAN, 16384, 17408)
    assert nginx_limits_restored(raised) == DEBIAN


@pytest.mark.parametrize("text", [None, 1, []])
def test_filters_refuse_what_is_not_text(text: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="a text is needed"):
        nginx_limits_raised(text, 16384, 17408)
    with pytest.raises(AnsibleFilterError, match="a text is needed"):
        nginx_limits_restored(text)
