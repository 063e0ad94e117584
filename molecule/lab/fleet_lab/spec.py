# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab is: its hosts, and every name that derives from its identity."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Host", "Identity", "SpecError", "host_from_argument", "hosts_from_platforms"]

IMAGES = ("debian12", "debian13")

_HOST_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_LAB_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_GROUP_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class SpecError(ValueError):
    """The description of a lab is wrong; the message says what and what would do."""


@dataclass(frozen=True)
class Identity:
    """Who a lab is. Two checkouts, or two names in one, never share anything."""

    checkout: Path
    name: str

    def __post_init__(self) -> None:
        if not _LAB_NAME.fullmatch(self.name):
            raise SpecError(f"lab name {self.name!r}: use {_LAB_NAME.pattern}")

    @property
    def digest(self) -> str:
        """8 hexadecimal digits, stable for this checkout and name."""
        return hashlib.sha256(f"{self.checkout}\0{self.name}".encode()).hexdigest()[:8]

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.digest}"

    @property
    def bridge(self) -> str:
        """The bridge's name; the kernel allows 15 characters."""
        return f"wf-{self.digest}"

    @property
    def table(self) -> str:
        return f"wf_{self.digest}"

    def machine(self, host: str) -> str:
        return f"wf-{self.digest}-{host}"


@dataclass(frozen=True)
class Host:
    """One host as its scenario describes it."""

    name: str
    image: str
    groups: tuple[str, ...] = ()
    internet: bool = True

    def __post_init__(self) -> None:
        if not _HOST_NAME.fullmatch(self.name):
            raise SpecError(f"host name {self.name!r}: use {_HOST_NAME.pattern}")
        if self.image not in IMAGES:
            raise SpecError(f"{self.name}: image {self.image!r} is none of {', '.join(IMAGES)}")
        for group in self.groups:
            if not _GROUP_NAME.fullmatch(group):
                raise SpecError(f"{self.name}: group {group!r}: use {_GROUP_NAME.pattern}")

    def as_record(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Host:
        if unknown := set(record) - {"name", "image", "groups", "internet"}:
            raise SpecError(
                f"host {record.get('name')!r}: unknown key {', '.join(sorted(unknown))}"
            )
        if missing := {"name", "image"} - set(record):
            raise SpecError(f"host {record.get('name')!r}: {', '.join(sorted(missing))} is missing")
        internet = record.get("internet", True)
        if not isinstance(internet, bool):
            raise SpecError(f"{record['name']}: internet {internet!r} is neither true nor false")
        return cls(
            name=str(record["name"]),
            image=str(record["image"]),
            groups=tuple(str(group) for group in record.get("groups", ())),
            internet=internet,
        )


def hosts_from_platforms(text: str) -> list[Host]:
    """Read the `platforms` of a molecule scenario, as JSON."""
    try:
        records = json.loads(text)
    except ValueError as error:
        raise SpecError(f"platforms are no JSON: {error}") from error
    if not isinstance(records, list) or not all(isinstance(item, dict) for item in records):
        raise SpecError("platforms must be a list of hosts")
    return _checked([Host.from_record(record) for record in records])


def host_from_argument(text: str) -> Host:
    """Read `NAME=IMAGE[:GROUP,…][:no-internet]`."""
    name, separator, rest = text.partition("=")
    image, *options = rest.split(":")
    if not separator or len(options) > 2 or (len(options) == 2 and options[1] != "no-internet"):
        raise SpecError(f"host {text!r}: write NAME=IMAGE[:GROUP,GROUP[:no-internet]]")
    groups = tuple(filter(None, options[0].split(","))) if options else ()
    return Host(name=name, image=image, groups=groups, internet=len(options) < 2)


def hosts_from_arguments(texts: list[str]) -> list[Host]:
    return _checked([host_from_argument(text) for text in texts])


def _checked(hosts: list[Host]) -> list[Host]:
    names = [host.name for host in hosts]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SpecError(f"host {', '.join(twice)} is described twice")
    if not 1 <= len(hosts) <= 200:
        raise SpecError(f"{len(hosts)} hosts: a lab has 1 to 200")
    return hosts
