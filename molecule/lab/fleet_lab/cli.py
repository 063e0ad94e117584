# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the lab."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from fleet_lab import images, preflight
from fleet_lab.lab import Lab
from fleet_lab.nspawn import Nspawn
from fleet_lab.record import Record, Wanted
from fleet_lab.spec import Identity, SpecError, hosts_from_arguments, hosts_from_platforms
from fleet_lab.system import LabError, cache_folder, elapsed, make_folder, say

__all__ = ["main"]

CHECKOUT = Path(__file__).resolve().parents[3]


def main() -> int:
    arguments = _parser().parse_args()
    # sbin is not in everybody's PATH.
    os.environ["PATH"] = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"
    os.umask(0o022)  # files of the hosts are made with it
    try:
        return int(arguments.function(arguments))
    except (LabError, SpecError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        return _fail("interrupted; `up` goes on from here, `down` removes what is there")


def _fail(text: str) -> int:
    print(f"lab: {text}", file=sys.stderr, flush=True)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab", description="Throw-away Debian hosts on this machine, for tests and the demo."
    )
    of_a_lab = argparse.ArgumentParser(add_help=False)
    of_a_lab.add_argument(
        "--name", default="default", help="which lab of this checkout (default: %(default)s)"
    )
    of_a_lab.add_argument(
        "--checkout", type=Path, default=CHECKOUT, help="the labs of another checkout"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    text = "start a lab, or what is missing of it"
    up = commands.add_parser("up", help=text, description=text, parents=[of_a_lab])
    up.add_argument("hosts", nargs="*", metavar="HOST=IMAGE[:GROUP,GROUP[:no-internet]]")
    up.add_argument("--platforms", metavar="JSON", help="the hosts, as molecule describes them")
    up.add_argument("--variables", type=Path, help="a folder with group_vars and host_vars")
    up.add_argument("--instance-config", type=Path, help="write molecule's facts into this file")
    up.set_defaults(function=_up)

    text = "start again what died of a lab, if there is such a lab"
    heal = commands.add_parser("heal", help=text, description=text, parents=[of_a_lab])
    heal.set_defaults(function=_heal)

    text = "remove a lab and everything of it"
    down = commands.add_parser("down", help=text, description=text, parents=[of_a_lab])
    down.set_defaults(function=_down)

    text = "show a lab"
    status = commands.add_parser("status", help=text, description=text, parents=[of_a_lab])
    status.add_argument("--all", action="store_true", help="every lab of this user")
    status.set_defaults(function=_status)

    text = "log in to a host, or run a command there"
    ssh = commands.add_parser("ssh", help=text, description=text, parents=[of_a_lab])
    ssh.add_argument("host")
    ssh.add_argument("command", nargs=argparse.REMAINDER)
    ssh.set_defaults(function=_ssh)

    text = "build the images that are missing"
    build = commands.add_parser("images", help=text, description=text)
    build.add_argument("names", nargs="*", metavar="IMAGE", help="default: all")
    build.add_argument("--prune", action="store_true", help="remove those that no lab uses")
    build.set_defaults(function=_images)
    return parser


def _lab(arguments: argparse.Namespace) -> Lab:
    identity = Identity(arguments.checkout.resolve(), arguments.name)
    return Lab(identity, Nspawn(), cache_folder())


def _up(arguments: argparse.Namespace) -> int:
    lab = _lab(arguments)
    if arguments.platforms is not None:
        hosts = hosts_from_platforms(arguments.platforms)
    else:
        hosts = hosts_from_arguments(arguments.hosts) if arguments.hosts else []
    wanted = lab.wanted(hosts)
    if not wanted.hosts:
        raise SpecError(f"lab {arguments.name!r} is not known yet: say which hosts it has")
    return _make(
        lab,
        Wanted(
            wanted.hosts,
            variables=_absolute(arguments.variables) or wanted.variables,
            instance_config=_absolute(arguments.instance_config) or wanted.instance_config,
        ),
    )


def _absolute(path: Path | None) -> Path | None:
    return path.resolve() if path else None


def _heal(arguments: argparse.Namespace) -> int:
    lab = _lab(arguments)
    wanted = lab.wanted(())
    if not wanted.hosts:
        say(f"lab {arguments.name}: nothing there")
        return 0
    return _make(lab, wanted)


def _make(lab: Lab, wanted: Wanted) -> int:
    name = lab.identity.name
    count = f"{len(wanted.hosts)} host{'s' if len(wanted.hosts) > 1 else ''}"
    if lab.is_up(wanted):
        say(f"lab {name}: {count} up, nothing to do")
    else:
        preflight.become_root()
        lab.up(wanted)
        say(f"lab {name}: {count} up in {elapsed():.1f} s")
    lab.write_instance_config()
    print(f"inventory: {lab.inventory}")
    print(f"login:     {sys.argv[0]} ssh --name {name} {wanted.hosts[0].name}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    lab = _lab(arguments)
    if lab.exists():
        preflight.become_root()
        lab.down()
        say(f"lab {arguments.name}: removed")
    else:
        say(f"lab {arguments.name}: nothing there")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    if arguments.all:
        labs = [
            Lab(Identity(record.checkout, record.name), Nspawn(), cache_folder())
            for record in _records()
        ]
    else:
        labs = [_lab(arguments)]
    for lab in labs:
        print(_described(lab))
    return 0


def _described(lab: Lab) -> str:
    record = lab.record()
    if not record.members:
        return f"lab {record.name}: nothing there"
    lines = [
        f"lab {record.name} of {record.checkout}: {record.subnet} on {lab.identity.bridge}",
        f"  inventory: {lab.inventory}",
    ]
    for name, member in record.members.items():
        state = "running" if lab.running(name) else "stopped"
        groups = ", ".join(member.host.groups)
        lines.append(f"  {name:12} {state}  {member.address!s:15}  {member.host.image}  {groups}")
    return "\n".join(lines)


def _ssh(arguments: argparse.Namespace) -> int:
    lab = _lab(arguments)
    if arguments.host not in lab.record().members:
        raise SpecError(f"lab {arguments.name!r} has no host {arguments.host!r}")
    command = [*lab.ssh(arguments.host), *arguments.command]
    os.execvp(command[0], command)


def _images(arguments: argparse.Namespace) -> int:
    recipes = images.recipes()
    if unknown := set(arguments.names) - set(recipes):
        raise SpecError(f"no image {', '.join(sorted(unknown))}; there is {', '.join(recipes)}")
    folder = cache_folder() / "images"
    wanted = [recipes[name] for name in arguments.names or recipes]
    missing = [recipe for recipe in wanted if not images.path(folder, recipe).is_dir()]
    if missing or arguments.prune:
        preflight.become_root()
        make_folder(folder)
    if missing:
        preflight.check(preflight.programs())
    for name, root in images.ensure(folder, wanted).items():
        say(f"{name}: {root}")
    used = {member.image for record in _records() for member in record.members.values()}
    keep_days = images.JUST_WANTED_DAYS if arguments.prune else images.UNUSED_DAYS
    if missing or arguments.prune:
        for name in images.prune(folder, used, keep_days):
            say(f"{name}: removed, no lab uses it")
    return 0


def _records() -> list[Record]:
    files = sorted(cache_folder().glob("labs/*/lab.json"))
    return [Record.from_json(file.read_text()) for file in files]
