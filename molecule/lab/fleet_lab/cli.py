"""The command line of the lab."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from fleet_lab import images
from fleet_lab.lab import Lab, Record, cache_folder
from fleet_lab.nspawn import Nspawn
from fleet_lab.spec import Host, Identity, SpecError, hosts_from_arguments, hosts_from_platforms
from fleet_lab.system import LabError, elapsed, fail, make_folder, say, write_file

__all__ = ["main"]

CHECKOUT = Path(__file__).resolve().parents[3]

_PROGRAMS = (
    ("mmdebstrap", "mmdebstrap"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("setpriv", "util-linux"),
    ("apt-config", "apt"),
)


def main() -> int:
    arguments = _parser().parse_args()
    # sbin is not in everybody's PATH, and sudo may keep it so.
    os.environ["PATH"] = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"
    try:
        return int(arguments.run(arguments))
    except (LabError, SpecError) as error:
        return fail(str(error))
    except KeyboardInterrupt:
        return fail("interrupted; `down` removes what is there")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="Throw-away hosts on this machine.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = _command(commands, "up", "start a lab, or what is missing of it", _up)
    up.add_argument("hosts", nargs="*", metavar="HOST=IMAGE[:GROUP,…[:no-internet]]")
    up.add_argument("--platforms", metavar="JSON", help="the hosts, as molecule describes them")
    up.add_argument("--inventory", type=Path, help="a folder with group_vars and host_vars")
    up.add_argument("--instance-config", type=Path, help="write molecule's connection facts here")

    _command(commands, "down", "remove a lab and everything of it", _down)
    status = _command(commands, "status", "show a lab", _status)
    status.add_argument("--all", action="store_true", help="every lab of this user")
    ssh = _command(commands, "ssh", "log in to a host, or run a command there", _ssh)
    ssh.add_argument("host")
    ssh.add_argument("command", nargs=argparse.REMAINDER)

    build = commands.add_parser("images", help="build the images that are missing")
    build.add_argument("names", nargs="*", metavar="IMAGE", help="default: all")
    build.add_argument("--prune", action="store_true", help="remove those that no lab uses")
    build.set_defaults(run=_images)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    function: object,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.add_argument("--name", default="default", help="which lab (default: %(default)s)")
    command.set_defaults(run=function)
    return command


def _lab(arguments: argparse.Namespace) -> Lab:
    return Lab(Identity(CHECKOUT, arguments.name), Nspawn(), cache_folder())


def _up(arguments: argparse.Namespace) -> int:
    lab = _lab(arguments)
    before = lab.record()
    wanted = _wanted(arguments, before)
    inventory = arguments.inventory.resolve() if arguments.inventory else before.inventory
    count = f"{len(wanted)} host{'s' if len(wanted) > 1 else ''}"
    if lab.is_up(wanted, inventory):
        say(f"lab {arguments.name}: {count} up, nothing to do")
    else:
        _become_root()
        _refuse_if_impossible(lab)
        make_folder(lab.cache)
        lab.up(wanted, inventory)
        say(f"lab {arguments.name}: {count} up in {elapsed():.1f} s")
    if arguments.instance_config:
        write_file(arguments.instance_config, lab.instances())
    print(f"inventory: {lab.inventory}")
    print(f"ssh:       {Path(sys.argv[0])} ssh --name {arguments.name} {wanted[0].name}")
    return 0


def _wanted(arguments: argparse.Namespace, before: Record) -> list[Host]:
    if arguments.platforms is not None:
        return hosts_from_platforms(arguments.platforms)
    if arguments.hosts:
        return hosts_from_arguments(arguments.hosts)
    if before.members:
        return [member.host for member in before.members.values()]
    raise SpecError(f"lab {arguments.name!r} is not known yet: say which hosts it has")


def _down(arguments: argparse.Namespace) -> int:
    lab = _lab(arguments)
    if lab.exists():
        _become_root()
        lab.down()
        say(f"lab {arguments.name}: removed")
    else:
        say(f"lab {arguments.name}: nothing there")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    lab = _lab(arguments)
    record = lab.record()
    if not record.members:
        print(f"lab {arguments.name}: nothing there")
        return 0
    print(f"lab {arguments.name}: {record.subnet} on {lab.identity.bridge}")
    print(f"inventory: {lab.inventory}")
    for name, member in record.members.items():
        state = "running" if lab.driver.running(lab.place(name)) else "stopped"
        groups = ", ".join(member.host.groups)
        print(f"  {name:12} {state:8} {member.address!s:15} {member.host.image}  {groups}")
    return 0


def _ssh(arguments: argparse.Namespace) -> int:
    lab = _lab(arguments)
    if arguments.host not in lab.record().members:
        raise LabError(f"lab {arguments.name!r} has no host {arguments.host!r}")
    command = [*lab.ssh(arguments.host), *arguments.command]
    os.execvp(command[0], command)


def _images(arguments: argparse.Namespace) -> int:
    recipes = images.recipes()
    if unknown := set(arguments.names) - set(recipes):
        raise SpecError(f"no image {', '.join(sorted(unknown))}; there is {', '.join(recipes)}")
    _become_root()
    folder = cache_folder() / "images"
    if arguments.prune:
        for name in images.prune(folder, _used(cache_folder()), keep_days=0):
            say(f"{name}: removed")
        return 0
    _refuse_if_impossible(None)
    make_folder(folder)
    for name in arguments.names or recipes:
        images.ensure(folder, recipes[name])
        say(f"{name}: {folder / recipes[name].folder}")
    return 0


def _used(cache: Path) -> set[Path]:
    records = [Record.from_json(file.read_text()) for file in cache.glob("labs/*/lab.json")]
    return {member.image for record in records for member in record.members.values()}


def _refuse_if_impossible(lab: Lab | None) -> None:
    reasons = [
        f"{program} is missing: apt-get install {package}"
        for program, package in _PROGRAMS
        if shutil.which(program) is None
    ]
    if not images.KEYRING.exists():
        reasons.append(f"{images.KEYRING} is missing: apt-get install debian-archive-keyring")
    reasons += lab.driver.missing() if lab else []
    if reasons:
        raise LabError("this machine can't run the lab: " + "; ".join(reasons))


def _become_root() -> None:
    """Run this command again through sudo, with what it needs of the environment."""
    if os.geteuid() == 0:
        return
    if shutil.which("sudo") is None:
        raise LabError("namespaces and networks need root, and sudo is missing: run it as root")
    kept = [f"XDG_CACHE_HOME={cache_folder().parent}", f"HOME={Path.home()}"]
    kept += [
        f"{name}={value}"
        for name, value in os.environ.items()
        if name.startswith("PIP_") or name.lower().endswith("_proxy")
    ]
    # Without a terminal nobody could answer sudo's question.
    ask: Sequence[str] = () if sys.stdin.isatty() else ("-n",)
    sys.stdout.flush()
    os.execvp("sudo", ["sudo", *ask, "env", *kept, sys.executable, *sys.argv])
