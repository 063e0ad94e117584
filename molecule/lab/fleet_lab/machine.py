# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine has that its hosts need too: mirror, resolvers, pip's index, proxies.

Everything here is a function from text to text; `hosts` and `images` read the files.
"""

from __future__ import annotations

import configparser
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "Mirrors",
    "apt_proxy_conf",
    "environment",
    "mirrors",
    "pip_conf",
    "resolv_conf",
]

CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

# What tells pip where and how to download. The rest (target folders, users, caches) is about the
# machine itself.
_PIP_OPTIONS = (
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "trusted-host",
    "cert",
    "proxy",
    "timeout",
    "retries",
    "disable-pip-version-check",
)
_PIP_LISTS = ("extra-index-url", "find-links", "trusted-host")
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy")


@dataclass(frozen=True)
class Mirrors:
    """Where Debian's packages come from."""

    archive: str = "http://deb.debian.org/debian"
    security: str = "http://deb.debian.org/debian-security"


def mirrors(sources: Iterable[str]) -> Mirrors:
    """Find the Debian mirrors in the texts of a machine's apt sources (either format)."""
    found: dict[str, str] = {}
    for text in sources:
        for uri, suite in _entries(text):
            # Only an archive that has Debian's own suites has the next release as well.
            match = re.fullmatch(r"(bookworm|trixie|stable|forky)(-security|/updates)?", suite)
            if match and uri.startswith(("http://", "https://")):
                found.setdefault("security" if match[2] else "archive", uri.rstrip("/"))
    return Mirrors(**found)


def _entries(text: str) -> list[tuple[str, str]]:
    """Give (URI, suite) of every binary source in an apt sources file."""
    entries: list[tuple[str, str]] = []
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in lines:
        match = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", line.strip())
        if match:
            entries.append((match[1], match[2]))
    for stanza in "\n".join(lines).split("\n\n"):
        fields = dict(re.findall(r"(?m)^([A-Za-z-]+):[ \t]*(.*)$", stanza))
        if (
            fields.get("Enabled", "yes").strip().lower() != "no"
            and "deb" in fields.get("Types", "").split()
        ):
            entries += [
                (uri, suite)
                for uri in fields.get("URIs", "").split()
                for suite in fields.get("Suites", "").split()
            ]
    return entries


def resolv_conf(candidates: Iterable[str]) -> str | None:
    """Take the first resolver configuration that a host can use.

    A resolver on the machine's loopback can't be asked from a host's own network.
    """
    for text in candidates:
        usable: list[str] = []
        servers = 0
        for line in text.splitlines():
            words = line.split()
            if words[:1] == ["nameserver"] and len(words) > 1:
                if _is_loopback(words[1]):
                    continue
                servers += 1
            usable.append(line)
        if servers:
            return "\n".join(usable) + "\n"
    return None


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return True


def pip_conf(files: Sequence[str], env: Mapping[str, str]) -> str | None:
    """Merge pip's configuration files (later wins) and PIP_* variables into one file.

    Kept: what says where and how to download. Dropped: local folders and file:// URLs, which a
    host hasn't; a certificate file becomes the bundle that every host gets.
    """
    options: dict[str, str] = {}
    for text in files:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error:
            continue  # pip would refuse it as well
        for section in ("global", "install", "download"):
            if parser.has_section(section):
                options.update(
                    {key.replace("_", "-"): value for key, value in parser.items(section)}
                )
    for name, value in env.items():
        if name.startswith("PIP_"):
            options[name[4:].lower().replace("_", "-")] = value
    if "default-timeout" in options:  # pip's older name, which variables still use
        options["timeout"] = options["default-timeout"]

    lines: list[str] = []
    for name in _PIP_OPTIONS:
        value = _pip_value(name, options.get(name, ""))
        if value:
            lines.append(f"{name} = {value}")
    return "\n".join(["[global]", *lines, ""]) if lines else None


def _pip_value(name: str, value: str) -> str:
    if name == "cert":
        return CA_BUNDLE if value else ""
    words = value.split()
    if name in (*_PIP_LISTS, "index-url"):
        if name != "trusted-host":
            words = [word for word in words if word.startswith(("http://", "https://"))]
        return "\n    ".join(words)
    return " ".join(words)


def environment(env: Mapping[str, str]) -> str | None:
    """Give /etc/environment with the machine's proxies."""
    lines = [
        f'{name}="{env[name]}"'
        for lower in _PROXIES
        for name in (lower, lower.upper())
        if env.get(name)
    ]
    return "\n".join([*lines, ""]) if lines else None


def apt_proxy_conf(dump: str, env: Mapping[str, str]) -> str | None:
    """Give apt's proxies, from `apt-config dump` or else from the environment."""
    lines = re.findall(r'(?m)^(Acquire::https?::Proxy(?:::\S+)? "[^"]+";)$', dump)
    if not lines:
        for scheme in ("http", "https"):
            proxy = env.get(f"{scheme}_proxy") or env.get(f"{scheme.upper()}_PROXY")
            if proxy:
                lines.append(f'Acquire::{scheme}::Proxy "{proxy}";')
    return "\n".join([*lines, ""]) if lines else None
