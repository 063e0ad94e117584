# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab does what its users rely on, and leaves nothing behind.

Boots real hosts of labs of its own (their checkout is a temporary folder), beside any other lab.
Run it with: pytest -c molecule/pytest.ini molecule/lab/test_lab.py
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_lab.spec import Identity
from fleet_lab.system import cache_folder

PROGRAM = Path(__file__).with_name("lab")
AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]

FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
MACHINE = Path("/run/websockets-fleet/labs")

# What carries the name of a lab, and of which.
A_LAB = re.compile(r"wf[-_]([0-9a-f]{8})")


class Lab:
    """One lab, by its command line alone."""

    def __init__(self, checkout: Path, name: str, *hosts: str) -> None:
        self.identity = Identity(checkout.resolve(), name)
        self.options = [f"--name={name}", f"--checkout={checkout}"]
        self.hosts = hosts
        self.host_names = [host.partition("=")[0] for host in hosts]
        self.folder = cache_folder() / "labs" / self.identity.folder

    def command(self, verb: str, *arguments: str) -> list[str]:
        return [sys.executable, str(PROGRAM), verb, *self.options, *arguments]

    def run(self, verb: str, *arguments: str) -> str:
        done = subprocess.run(
            self.command(verb, *arguments), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def up(self) -> str:
        return self.run("up", *self.hosts)

    def ssh(self, host: str, command: str) -> str:
        return self.run("ssh", host, command).strip()

    def process(self, host: str) -> int:
        """Give the process id of the host's systemd-nspawn."""
        return int((self.folder / "hosts" / host / "process").read_text().split()[0])


def machine(*labs: Lab) -> list[str]:
    """Everything that labs leave on a machine, without what belongs to other labs."""
    lines = [
        *output("ip", "-o", "link"),
        *output("ip", "-o", "-4", "address"),
        *output("ip", "netns"),
        *output("nft", "list", "tables"),
        *output("find", "/sys/fs/cgroup", "-path", "*websockets-fleet/*"),
        *output("find", "/run/systemd/nspawn", "-mindepth", "1"),
        *Path("/proc/self/mounts").read_text().splitlines(),
    ]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cgroup").read_text() + (process / "cmdline").read_text()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue  # it ended
        # A zombie has ended too: when it goes is up to the machine's init.
        if A_LAB.search(text) and state != "Z":
            lines.append(text)
    ours = {lab.identity.digest for lab in labs}
    # Indexes and lifetimes differ from one look to the next.
    found = [re.sub(r"^\d+: | valid_lft .*", "", line) for line in lines]
    found = [line for line in found if set(A_LAB.findall(line)) <= ours]
    found += [str(lab.folder) for lab in labs if lab.folder.exists()]
    found += [lab.identity.digest for lab in labs if (MACHINE / lab.identity.digest).exists()]
    return sorted(found)


def output(*command: str) -> list[str]:
    done = subprocess.run([*AS_ROOT, *command], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkout")


@pytest.fixture(scope="module")
def labs(checkout: Path) -> Iterator[tuple[Lab, Lab]]:
    """Two labs side by side; removed, they leave the machine as it was."""
    one = Lab(checkout, "one", "a=debian12:x", "b=debian13:x,y", "c=debian12::no-internet")
    two = Lab(checkout, "two", "a=debian13")
    before = machine(one, two)
    alone = not MACHINE.exists()
    forward = FORWARD.read_text()
    subprocess.run([sys.executable, str(PROGRAM), "images"], check=True)
    # What it takes, and not what a busy machine adds to it.
    seconds: list[float] = []
    while len(seconds) < 3 and min(seconds, default=15) >= 15:
        one.run("down")
        start = time.monotonic()
        one.up()
        seconds.append(time.monotonic() - start)
    assert min(seconds) < 15
    two.up()
    yield one, two
    one.run("down")
    two.run("down")
    assert machine(one, two) == before
    if alone and not MACHINE.exists():
        assert FORWARD.read_text() == forward


@pytest.fixture
def one(labs: tuple[Lab, Lab]) -> Lab:
    return labs[0]


@pytest.fixture
def two(labs: tuple[Lab, Lab]) -> Lab:
    return labs[1]


@pytest.mark.parametrize("host", ["a", "b", "c"])
def test_a_host_has_booted_whole(one: Lab, host: str) -> None:
    assert one.ssh(host, "systemctl is-system-running") == "running"
    assert one.ssh(host, "hostname") == host
    assert one.ssh(host, "cat /proc/1/comm") == "systemd"


def test_images_are_the_releases_they_say(one: Lab) -> None:
    assert one.ssh("a", ". /etc/os-release; echo $VERSION_CODENAME") == "bookworm"
    assert one.ssh("b", ". /etc/os-release; echo $VERSION_CODENAME") == "trixie"


def test_only_the_unprivileged_user_logs_in_and_only_by_key(one: Lab) -> None:
    assert one.ssh("a", "id -un; sudo -n id -un").split() == ["deploy", "root"]
    settings = one.ssh("a", "sudo sshd -T").splitlines()
    assert {"permitrootlogin no", "passwordauthentication no"} <= set(settings)


@pytest.mark.parametrize(
    "file", ["/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub", "/etc/hostname"]
)
def test_no_two_hosts_are_the_same(one: Lab, file: str) -> None:
    contents = [one.ssh(host, f"cat {file}") for host in one.host_names]
    assert len(set(contents)) == len(contents)


def test_hosts_of_a_lab_reach_each_other(one: Lab) -> None:
    address = one.ssh("b", "hostname -I").split()[0]
    assert one.ssh("a", f"exec 3<>/dev/tcp/{address}/22; head -c 4 <&3") == "SSH-"


def test_a_host_without_internet_has_no_way_out(one: Lab) -> None:
    assert one.ssh("a", "ip -4 route show default").startswith("default via")
    assert not one.ssh("c", "ip -4 route show default")


def test_a_hosts_processes_are_its_own(one: Lab) -> None:
    """Hosts that share a control group would see each other's services as theirs."""
    one.ssh("a", "sudo systemd-run --quiet --unit=only-here sleep 1000")
    there = one.ssh("a", "systemctl show --property=ControlGroup --value only-here")
    for host in ("b", "c"):
        assert one.ssh(host, f"find /sys/fs/cgroup -path '*{there}' | wc -l") == "0"


def test_the_inventory_works_with_ansible_as_it_is(one: Lab) -> None:
    done = subprocess.run(
        ["ansible", "--inventory", one.folder / "inventory", "x", "--module-name", "ping"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.count('"ping": "pong"') == 2, done.stdout + done.stderr


def test_up_again_changes_nothing_and_is_quick(one: Lab) -> None:
    before = [one.process(host) for host in one.host_names]
    seconds = []
    for _try in range(3):
        start = time.monotonic()
        assert "nothing to do" in one.up()
        seconds.append(time.monotonic() - start)
    assert min(seconds) < 2
    assert [one.process(host) for host in one.host_names] == before


def test_a_host_that_was_killed_comes_back_with_its_files(one: Lab, two: Lab) -> None:
    one.ssh("a", "sudo sh -c 'echo kept > /root/file'")
    others = [one.process("b"), one.process("c"), two.process("a")]
    kill(one.process("a"))
    assert "a: started" in one.run("heal")
    assert one.ssh("a", "sudo cat /root/file") == "kept"
    assert one.ssh("a", "systemctl is-system-running") == "running"
    assert [one.process("b"), one.process("c"), two.process("a")] == others


def test_other_hosts_keep_their_connections_when_one_dies(one: Lab) -> None:
    with subprocess.Popen(
        one.command("ssh", "b", "cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as session:
        assert session.stdin is not None
        assert session.stdout is not None
        kill(one.process("a"))
        one.run("heal")
        print("still there", file=session.stdin, flush=True)
        assert session.stdout.readline() == "still there\n"
        session.stdin.close()


def test_another_description_replaces_what_differs(two: Lab) -> None:
    changed = two.run("up", "a=debian12", "new=debian13")
    assert "a: removed" in changed
    assert two.ssh("a", ". /etc/os-release; echo $VERSION_CODENAME") == "bookworm"
    two.up()
    assert "new" not in two.run("status")
    assert two.ssh("a", ". /etc/os-release; echo $VERSION_CODENAME") == "trixie"


def test_down_is_complete_beside_another_lab_and_may_be_repeated(checkout: Path, one: Lab) -> None:
    lab = Lab(checkout, "third", "a=debian13", "b=debian12")
    before = machine(lab)
    lab.up()
    # Whoever is connected hears of it: a shared connection must not outlive its host.
    session = subprocess.Popen(lab.command("ssh", "b", "sleep", "1000"), stdin=subprocess.PIPE)
    assert "removed" in lab.run("down")
    assert session.wait(20) != 0
    assert "nothing there" in lab.run("down")
    assert machine(lab) == before
    assert "nothing to do" in one.up()


@pytest.mark.parametrize("seconds", [0.15, 0.25, 0.35, 0.5, 0.8, 1.2])
def test_a_killed_up_leaves_nothing_that_down_does_not_find(checkout: Path, seconds: float) -> None:
    lab = Lab(checkout, "killed", "a=debian12", "b=debian13")
    before = machine(lab)
    with subprocess.Popen(lab.command("up", *lab.hosts), stdout=subprocess.DEVNULL) as program:
        time.sleep(seconds)
        kill(program.pid)
    lab.run("down")
    assert machine(lab) == before


def test_up_goes_on_where_a_killed_up_was(checkout: Path) -> None:
    lab = Lab(checkout, "killed", "a=debian12", "b=debian13")
    with subprocess.Popen(lab.command("up", *lab.hosts), stdout=subprocess.DEVNULL) as program:
        time.sleep(0.4)
        kill(program.pid)
    lab.up()
    assert lab.ssh("a", "hostname") == "a"
    lab.run("down")


def test_a_lab_whose_folder_was_deleted_is_found(checkout: Path) -> None:
    lab = Lab(checkout, "lost", "a=debian12")
    before = machine(lab)
    lab.up()
    subprocess.run([*AS_ROOT, "rm", "-rf", lab.folder], check=True)
    assert "a: stopped" in lab.run("down")
    assert machine(lab) == before


def test_a_killed_builder_leaves_neither_processes_nor_mounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), "images", "debian13"], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        for line in program.stdout:
            if "extracting archives" in line:
                break
        kill(program.pid)
    time.sleep(0.5)
    assert not output("pgrep", "-f", f"mmdebstrap.*{tmp_path}/")
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    subprocess.run([*AS_ROOT, "rm", "-rf", tmp_path / "websockets-fleet"], check=True)


def test_a_machine_that_lacks_a_program_is_told_which_package_has_it(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(checkout, "never", "a=debian12")
    before = machine(lab)
    with monkeypatch.context() as context:
        context.setenv("PATH", "/nowhere")
        done = subprocess.run(
            lab.command("up", *lab.hosts), capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert "mmdebstrap is missing: apt-get install mmdebstrap" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert machine(lab) == before


def kill(process: int) -> None:
    subprocess.run([*AS_ROOT, "kill", f"-{signal.SIGKILL.value}", str(process)], check=True)
