# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep passwords of package indexes out of process lists, outputs and identities. Private.

pip hands the addresses of its indexes on to the child processes that build a project, as arguments,
which everybody on the host can read. So a login that is part of an address moves to a netrc file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

__all__ = ["PipEnvironment", "environment_faults", "has_login", "prepare", "public"]

# Scheme, and all up to the path.
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^\s/?#]*)")
PORT = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:[0-9]*)?")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# What would make pip install elsewhere, wait for an answer or look for its logins elsewhere.
TAKEN = frozenset(
    {
        "HOME",
        "NETRC",
        "PATH",
        "PIP_DRY_RUN",
        "PIP_LOG",
        "PIP_NO_INPUT",
        "PIP_PREFIX",
        "PIP_PYTHON",
        "PIP_ROOT",
        "PIP_TARGET",
        "PIP_USER",
        "PYTHONHOME",
        "PYTHONPATH",
        "TMPDIR",
        "VIRTUAL_ENV",
    }
)
# A shorter one stands in too many words by chance.
SHORTEST_SECRET = 6


@dataclass(frozen=True)
class PipEnvironment:
    """What pip gets."""

    variables: Mapping[str, str]
    netrc: str
    """Text of a netrc file, or empty."""
    secrets: tuple[str, ...]
    """What must not show in an output."""


@dataclass(frozen=True)
class _Login:
    host: str
    user: str
    password: str


def _split(scheme: str, netloc: str) -> tuple[str, str]:
    """Return the login and the address in the part of a URL before the path."""
    login, _at, address = netloc.rpartition("@")
    # The user name of an address for ssh is no secret.
    if "ssh" in scheme and ":" not in login:
        return "", netloc
    return login, address


def _broken(address: str) -> bool:
    # A password with a slash in it ends the part before the path early, and looks like a port.
    return PORT.fullmatch(address) is None


def has_login(text: str) -> bool:
    """Return whether a URL in ``text`` holds a login, or something that looks like half of one."""
    for scheme, netloc in URL.findall(text):
        login, address = _split(scheme, netloc)
        if login or (_broken(address) and "ssh" not in scheme):
            return True
    return False


def _without_logins(text: str) -> str:
    return URL.sub(lambda found: f"{found[1]}://{_split(found[1], found[2])[1]}", text)


def _logins(text: str) -> list[_Login]:
    found = []
    for scheme, netloc in URL.findall(text):
        login, address = _split(scheme, netloc)
        if login:
            user, _colon, password = login.partition(":")
            host = address.rpartition(":")[0] or address
            found.append(_Login(host.lower(), unquote(user), unquote(password)))
    return found


def _moves(name: str) -> bool:
    """Return whether logins in this variable move to the netrc file: pip's own variables."""
    return name.startswith("PIP_")


def public(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what of an environment makes the identity of a release, with nothing secret in it.

    That is what pip's own variables say without their logins, and the names of all others.
    """
    return {
        name: _without_logins(str(value)) if _moves(name) else ""
        for name, value in environment.items()
    }


def _quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def prepare(environment: Mapping[str, str]) -> PipEnvironment:
    """Return the environment with its logins apart."""
    variables, logins, secrets = {}, {}, set()
    for name, value in environment.items():
        text = str(value)
        found = _logins(text)
        for scheme, netloc in URL.findall(text):
            # As they are written: a message may quote the address.
            secrets.update(_split(scheme, netloc)[0].split(":", 1))
        if _moves(name):
            variables[name] = _without_logins(text)
            logins.update({login.host: login for login in found})
        else:
            variables[name] = text
            secrets.add(text)
        for login in found:
            secrets.update({login.user, login.password})
    passwords = {login.password for login in logins.values() if login.password}
    secrets = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET} | passwords
    netrc = "".join(
        f"machine {login.host} login {_quoted(login.user)} password {_quoted(login.password)}\n"
        for login in logins.values()
    )
    # The longest first: one may be a part of another.
    return PipEnvironment(variables, netrc, tuple(sorted(secrets, key=len, reverse=True)))


def _value_fault(name: str, value: object) -> str:
    """Return what is wrong with one variable, or an empty string."""
    if not NAME.fullmatch(name):
        return f"app_pip_env has {name!r}, which is no name of a variable"
    if name in TAKEN:
        return f"app_pip_env has {name}, which a build sets by itself"
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return f"app_pip_env.{name} is no string: quote its value"
    if "\0" in str(value):
        return f"app_pip_env.{name} holds a NUL character"
    return _address_fault(name, str(value)) if _moves(name) else ""


def _address_fault(name: str, value: str) -> str:
    if name == "PIP_PROXY" and has_login(value):
        # pip shows it to everybody, and a netrc file has no place for it.
        return "app_pip_env.PIP_PROXY holds a password: set HTTPS_PROXY instead"
    if "?" in value:
        return (
            f"app_pip_env.{name} holds an address with a query, which pip shows in the process"
            " list: use one with a user name and a password"
        )
    urls = URL.findall(value)
    if any(_broken(_split(scheme, netloc)[1]) for scheme, netloc in urls):
        shape = "a password in it is written with %2F for / and %40 for @"
        return f"app_pip_env.{name} holds no address that can be read: {shape}"
    return ""


def environment_faults(environment: Mapping[str, object]) -> list[str]:
    """Return one sentence for each fault in ``app_pip_env``. None of them shows a value."""
    faults = []
    logins: dict[str, _Login] = {}
    for name, value in environment.items():
        fault = _value_fault(str(name), value)
        if fault:
            faults.append(fault)
            continue
        for login in _logins(str(value)) if _moves(name) else []:
            if logins.setdefault(login.host, login) != login:
                faults.append(
                    f"app_pip_env.{name} has another login for {login.host} than a variable"
                    " before it: a host can have one only"
                )
    return faults
