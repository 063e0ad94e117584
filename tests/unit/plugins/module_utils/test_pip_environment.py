# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A password of an index reaches pip, and neither an output, an argument nor an identity."""

from __future__ import annotations

import netrc
from pathlib import Path

import pytest

from ansible_collections.websockets.fleet.plugins.module_utils._mask import mask
from ansible_collections.websockets.fleet.plugins.module_utils._pip_environment import (
    environment_faults,
    has_login,
    prepare,
    public,
)

INDEX = "PIP_INDEX_URL"


@pytest.mark.parametrize(
    "text",
    [
        "--index-url=https://ci:secret@pypi.example.com/simple",
        "https://token@pypi.example.com/simple",
        "chat @ git+https://ci:secret@git.example.com/chat",
        "chat @ git+ssh://git:secret@git.example.com/chat",
        "-r x\n--extra-index-url HTTPS://ci:secret@[::1]:8080/simple\n",
        # An at sign or a slash that should have been %40 or %2F.
        "https://ci:se@cret@pypi.example.com/simple",
        "https://ci:se/cret@pypi.example.com/simple",
        "https://${USER}:${TOKEN}@pypi.example.com/simple",
    ],
)
def test_an_address_with_a_login_is_seen(text: str) -> None:
    assert has_login(text)


@pytest.mark.parametrize(
    "text",
    [
        "redis>=5",
        "https://pypi.example.com/simple",
        "http://[::1]:8080/simple",
        "file:///srv/simple",
        "chat @ git+https://git.example.com/chat@v1.0",
        "chat @ git+ssh://git@git.example.com/chat@v1.0",
    ],
)
def test_an_address_without_a_login_is_none(text: str) -> None:
    assert not has_login(text)


def test_logins_of_indexes_move_to_a_file_that_python_reads(tmp_path: Path) -> None:
    pip = prepare(
        {
            INDEX: r"https://ci:a%20%22b%5C%2F%40%23@PyPI.example.com:8443/simple",
            "PIP_EXTRA_INDEX_URL": "https://token-token@b.example/x https://c.example/y",
        }
    )
    assert pip.variables == {
        INDEX: "https://PyPI.example.com:8443/simple",
        "PIP_EXTRA_INDEX_URL": "https://b.example/x https://c.example/y",
    }
    file = tmp_path / ".netrc"
    file.write_text(pip.netrc)
    found = netrc.netrc(file)
    assert found.authenticators("pypi.example.com") == ("ci", "", 'a "b\\/@#')
    assert found.authenticators("b.example") == ("token-token", "", "")
    assert found.authenticators("c.example") is None


def test_an_environment_without_logins_stays_as_it_is() -> None:
    pip = prepare({INDEX: "https://pypi.example.com/simple", "TOKEN": "t"})
    assert pip.variables == {INDEX: "https://pypi.example.com/simple", "TOKEN": "t"}
    assert (pip.netrc, pip.secrets) == ("", ())


def test_what_a_message_quotes_has_no_secret_in_it() -> None:
    proxy = "http://user:proxy-pass@proxy:3128"
    pip = prepare({INDEX: "https://ci:p%40ss@a.example/", "HTTPS_PROXY": proxy, "FLAG": "1"})
    text = f"1 error at https://ci:p%40ss@a.example/ with p@ss through {proxy}"
    assert mask(text, pip.secrets) == "1 error at https://ci:****@a.example/ with **** through ****"


def test_a_new_password_is_the_same_release_and_another_index_another_one() -> None:
    def of(password: str, host: str = "a.example", **more: str) -> dict[str, str]:
        return public({INDEX: f"https://ci:{password}@{host}/simple", "TOKEN": password, **more})

    assert of("one") == of("two")
    assert of("one") != of("one", "b.example")
    assert of("one") != of("one", PIP_PRE="1")
    assert of("one") != of("one", MORE="")
    assert "one" not in str(of("one"))


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"A B": "secret"}, "'A B', which is no name"),
        ({"HOME": "/secret"}, "HOME, which a build sets by itself"),
        ({"PIP_TARGET": "/secret"}, "PIP_TARGET, which a build sets by itself"),
        ({INDEX: ["secret"]}, "PIP_INDEX_URL is no string: quote its value"),
        ({INDEX: True}, "PIP_INDEX_URL is no string: quote its value"),
        ({INDEX: "secret\0"}, "PIP_INDEX_URL holds a NUL"),
        ({"PIP_PROXY": "http://ci:secret@p:3128"}, "PIP_PROXY holds a password: set HTTPS_PROXY"),
        ({INDEX: "https://ci:se/secret@a.example/"}, "PIP_INDEX_URL holds no address"),
        (
            {INDEX: "https://a:secret@a.example/", "PIP_FIND_LINKS": "https://b:b@a.example/"},
            "PIP_FIND_LINKS has another login for a.example than a variable before it",
        ),
        ({INDEX: "https://a.example/simple?key=secret"}, "query"),
    ],
)
def test_faults_are_named_without_values(environment: dict[str, object], words: str) -> None:
    (fault,) = environment_faults(environment)
    assert words in fault
    assert "secret" not in fault


def test_what_works_is_no_fault() -> None:
    good = {
        INDEX: "https://ci:secret@a.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://ci:secret@a.example/more https://b.example/simple",
        "HTTPS_PROXY": "http://ci:secret@proxy:3128",
        "PIP_TIMEOUT": 60,
    }
    assert environment_faults(good) == []
