"""Wrong input: the error says what is wrong and what would be right, and nothing has changed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Fleet

pytestmark = pytest.mark.usefixtures("untouched")

SITE = "websockets.fleet.site"
NAME_SHAPE = "it must be a lower-case letter, then up to 30 lower-case letters, digits and dashes"
PROCESSES_SHAPE = "it must be auto or 1 to 1024"
COMPRESSION_SHAPE = "it must be disabled or {window_bits: 9 to 15, memory_level: 1 to 9}"
APP_ALONE = ("--limit", "app1,localhost")

# A run tells all faults in the values of variables at once, so each of these is one run.
VALUES: list[tuple[dict[str, Any], list[str]]] = [
    (
        {
            "app_name": "Chat",
            "app_command": ["python", "server.py"],
            "app_processes": 0,
            "app_compression": {"window_bits": 12, "memory_level": 5, "level": 9},
            "app_env": {"PORT": "1", "RETRIES": ["3"]},
            "app_close_code": 1000,
            "app_proceses": 4,
        },
        [
            f"app_name is 'Chat': {NAME_SHAPE}",
            (
                "app_handler is 'echo:handler' and app_command is ['python', 'server.py']:"
                " set exactly one of them"
            ),
            f"app_processes is 0: {PROCESSES_SHAPE}",
            f"app_compression has the unknown key 'level': {COMPRESSION_SHAPE}",
            "app_env has PORT, which the collection sets by itself",
            "app_env.RETRIES is no string: quote its value",
            "app_close_code is 1000: it must be 1001 or 1012",
            "app_proceses is no variable of this collection: did you mean app_processes?",
        ],
    ),
    (
        {
            "app_name": "a_b",
            "app_handler": "",
            "app_processes": -1,
            "app_compression": {"window_bits": 16, "memory_level": "high"},
            "app_source": "/no/such/folder",
            "app_listen": "unix_socket",
        },
        [
            f"app_name is 'a_b': {NAME_SHAPE}",
            "app_handler and app_command are both empty: set exactly one of them",
            f"app_processes is -1: {PROCESSES_SHAPE}",
            f"app_compression.window_bits is 16: {COMPRESSION_SHAPE}",
            f"app_compression.memory_level is 'high': {COMPRESSION_SHAPE}",
            "app_source is '/no/such/folder': that does not exist on the controller",
            (
                "app_listen is 'unix_socket' on app1, and lb1 can't reach its sockets:"
                " a fleet with unix sockets is one host, in both groups"
            ),
        ],
    ),
    (
        {
            "app_name": "a" * 32,
            "app_processes": "many",
            "app_compression": "on",
            "app_handler": "echo.handler",
            "app_bind": "app1",
            "app_port": 80,
        },
        [
            f"app_name is '{'a' * 32}': {NAME_SHAPE}",
            f"app_processes is 'many': {PROCESSES_SHAPE}",
            f"app_compression is 'on': {COMPRESSION_SHAPE}",
            "app_handler is 'echo.handler': it must be module:callable, like chat:handler",
            "app_bind is 'app1': it must be an IP address of the host",
            "app_port is 80: it must be a whole number, 1024 to 65535 (TCP port)",
        ],
    ),
    (
        {"app_name": "../x", "app_processes": 1.5, "app_listen": "tcp", "app_port": "1.5"},
        [
            f"app_name is '../x': {NAME_SHAPE}",
            f"app_processes is 1.5: {PROCESSES_SHAPE}",
            "app_listen is 'tcp': it must be shared_port or port_per_process or unix_socket",
            "app_port is '1.5': it must be a whole number, 1024 to 65535 (TCP port)",
        ],
    ),
    (
        {"app_name": "nginx", "app_secrets": "TOKEN=in-one-string"},
        [
            "app_name is 'nginx': that belongs to the system; choose another name",
            "app_secrets must be a dictionary of strings",
        ],
    ),
]


# Files by what is in them, the rest by kind, mode, owner and target; what runs by its process.
STATE = r"""
cd /
set -- etc/echo etc/nginx etc/systemd/system etc/sysctl.d etc/websockets-fleet
for path in "$@"; do [ -e "$path" ] && set -- "$@" "$path"; shift; done
find "$@" -printf '%p %y %m %u:%g %l\n' | sort
find "$@" etc/passwd etc/group -type f -exec sha256sum {} + | sort -k 2
find opt run/echo -maxdepth 3 -printf '%p %y %m %u:%g %l\n' 2>&1 | sort
sysctl -n net.core.somaxconn net.ipv4.ip_local_port_range net.ipv4.ip_local_reserved_ports
systemctl show --property=Id,MainPID,NRestarts 'echo@*.service' nginx.service
"""


def states(fleet: Fleet) -> dict[str, list[str]]:
    """Return what a run could change on each host, one line a thing."""
    return {name: fleet[name].run(STATE).splitlines() for name in ("app1", "lb1")}


@pytest.fixture(scope="module")
def before(fleet: Fleet) -> dict[str, list[str]]:
    """The hosts before the first run that is refused."""
    return states(fleet)


@pytest.fixture
def untouched(fleet: Fleet, before: dict[str, list[str]]) -> Iterator[None]:
    """Whatever the test does, no host has changed after it and the service still answers."""
    yield
    after = states(fleet)
    for name, lines in before.items():
        assert after[name] == lines
    with fleet.client("lb1") as connection:
        connection.send("still here")
        assert connection.recv(timeout=5) == "still here"


def refusal(fleet: Fleet, host: str, *arguments: str, playbook: str = SITE) -> str:
    """Run a playbook that must be refused on a host; return its output, in one line."""
    run = fleet.play(playbook, *arguments)
    assert run.code != 0, run.output
    assert f"fatal: [{host}]" in run.output, run.output
    assert set(run.changed.values()) == {0}, run.output
    # Half a screen from the error on, not pages of variables that are well.
    assert len(run.output.partition("[ERROR]")[2].splitlines()) < 50, run.output
    return " ".join(run.output.split())


def extra(variables: dict[str, Any]) -> tuple[str, str]:
    """Return the arguments that set variables on the command line."""
    return "-e", json.dumps(variables)


@pytest.mark.parametrize(
    ("variables", "messages"), VALUES, ids=["-".join(values) for values, _messages in VALUES]
)
def test_values_that_can_not_be(
    fleet: Fleet, variables: dict[str, Any], messages: list[str]
) -> None:
    output = refusal(fleet, "app1", *extra(variables))
    assert [message for message in messages if message not in output] == [], output
    assert "in-one-string" not in output


@pytest.fixture
def old_python(fleet: Fleet) -> Iterator[str]:
    """A real interpreter that says that it is 3.10."""
    path = "/usr/local/bin/python3.10"
    code = "import sys; sys.version_info = (3, 10, 9); exec(sys.argv[-1])"
    script = f"""#!/bin/sh\nexec /usr/bin/python3 -c '{code}' "$@"\n"""
    fleet["app1"].run(f"printf %s {shlex.quote(script)} > {path} && chmod 755 {path}")
    yield path
    fleet["app1"].run(f"rm {path}")


def test_what_the_host_can_not_have(fleet: Fleet, old_python: str) -> None:
    other = fleet["lb1"].address
    variables = {"app_name": "ssl", "app_python": old_python, "app_bind": other}
    output = refusal(fleet, "app1", *extra(variables))
    assert "app_name 'ssl' is taken on this host, by /etc/ssl; choose another app_name" in output
    assert f"app_python '{old_python}' is Python 3.10.9; it must be Python 3.11 or later" in output
    assert f"app_bind '{other}' is not an address of this host" in output


@pytest.fixture
def squatter(fleet: Fleet) -> Iterator[int]:
    """Another program that listens on port 8999; its process id."""
    server = fleet["app1"]
    server.run(
        "systemd-run --quiet --unit=squatter --property=User=nobody --working-directory=/usr/share"
        f" python3 -m http.server --bind {server.address} 8999"
        " && timeout 10 sh -c 'until ss -Htln sport = :8999 | grep -q .; do sleep 0.1; done'"
    )
    yield server.main_pid("squatter.service")
    server.run("systemctl stop squatter.service")


def test_what_others_have(fleet: Fleet, squatter: int) -> None:
    variables = {"app_name": "systemd-network", "app_python": "/opt/no/python3", "app_port": 8999}
    output = refusal(fleet, "app1", *extra(variables))
    assert "app_name 'systemd-network' is taken on this host, by the account" in output
    assert (
        "app_python '/opt/no/python3' does not run: No such file or directory;"
        " it must be Python 3.11 or later"
    ) in output
    assert (
        f"port 8999 of {fleet['app1'].address} is taken by python3 (pid {squatter}) of the account"
        " nobody; free it or choose another app_port (it is 8999)"
    ) in output


@pytest.mark.parametrize(
    ("variables", "messages"),
    [
        pytest.param(
            {"nginx_domain": ""},
            ["nginx_domain is not set for lb1; set it to the name that clients connect to"],
            id="nginx_domain",
        ),
        pytest.param(
            {"nginx_read_timeout": 15, "nginx_static_root": "/no/such/folder"},
            [
                (
                    "nginx_read_timeout is 15 s and nginx_ping_interval is 20 s: nginx ends a"
                    " connection that is silent for nginx_read_timeout"
                ),
                "nginx_static_root is /no/such/folder: it must be a folder on the controller",
            ],
            id="nginx_read_timeout-nginx_static_root",
        ),
        pytest.param(
            {"app_ping_interval": 2, "app_open_timeout": 30, "nginx_read_timeout": 30},
            [
                (
                    "nginx_read_timeout is 30 s and nginx_open_timeout is 30 s: nginx waits for the"
                    " answer to a handshake as long as nginx_read_timeout, so nginx_open_timeout"
                    " (0 to 600; app_open_timeout in site.yml) must be less"
                )
            ],
            id="nginx_read_timeout-app_open_timeout",
        ),
        pytest.param(
            {"app_ping_interval": 2, "app_ping_timeout": 30.5, "nginx_read_timeout": 31},
            [
                (
                    "nginx_read_timeout is 31 s and nginx_ping_timeout is 31 s: while the"
                    " application waits for the answer to a ping the connection is silent, so"
                    " nginx_ping_timeout (0 to 3600; app_ping_timeout in site.yml) must be less"
                )
            ],
            id="nginx_read_timeout-app_ping_timeout",
        ),
        pytest.param(
            {
                "certificate_source": "provided",
                "certificate_provided_certificate": "/no/such/file",
            },
            [
                (
                    "certificate_source is provided: certificate_provided_certificate and"
                    " certificate_provided_key must be a file on the controller, or text (PEM)"
                )
            ],
            id="certificate_source",
        ),
    ],
)
def test_what_a_load_balancer_can_not_do(
    fleet: Fleet, variables: dict[str, Any], messages: list[str]
) -> None:
    output = refusal(fleet, "lb1", *extra(variables))
    assert [message for message in messages if message not in output] == [], output


def test_a_kernel_setting_that_can_not_be(fleet: Fleet) -> None:
    output = refusal(fleet, "app1", *extra({"kernel_port_range": [60000, 50000]}))
    assert "kernel_port_range is [60000, 50000]: it must be two ports, 1024 to 65535" in output


def test_a_port_of_nginx_that_another_program_has(fleet: Fleet) -> None:
    server = fleet["lb1"]
    server.run(
        "systemd-run --quiet --unit=squatter --working-directory=/usr/share"
        " python3 -m http.server 8443"
        " && timeout 10 sh -c 'until ss -Htln sport = :8443 | grep -q .; do sleep 0.1; done'"
    )
    try:
        pid = server.main_pid("squatter.service")
        output = refusal(fleet, "lb1", *extra({"nginx_https_port": 8443}))
        assert f"port 8443 is taken by python3 (pid {pid}): free it" in output
    finally:
        server.run("systemctl stop squatter.service")


@pytest.mark.parametrize(
    ("groups", "variables", "message"),
    [
        pytest.param(
            {"app_servers": ["app1"], "load_balancers": ["lb1"]},
            {},
            "app_name is not set for app1; set it for all hosts, in group_vars/all.yml",
            id="no app_name",
        ),
        pytest.param(
            {"load_balancers": ["lb1"]},
            {"app_name": "echo"},
            "The inventory has no host in app_servers. The groups app_servers and load_balancers"
            " are needed; a host may be in both.",
            id="no app_servers",
        ),
        pytest.param(
            {"app_servers": ["app1"], "load_balancers": []},
            {"app_name": "echo"},
            "The inventory has no host in load_balancers.",
            id="no load_balancers",
        ),
        pytest.param(
            {"ungrouped": ["app1", "lb1"]},
            {"app_name": "echo"},
            "The inventory has no host in app_servers and load_balancers.",
            id="hosts in no group",
        ),
    ],
)
def test_inventories_that_lack_something(
    fleet: Fleet,
    tmp_path: Path,
    groups: dict[str, list[str]],
    variables: dict[str, Any],
    message: str,
) -> None:
    hosts = {
        name: {
            key: value
            for key, value in fleet[name].variables.items()
            if key.startswith("ansible_") and isinstance(value, str | int)
        }
        for name in ("app1", "lb1")
    }
    inventory = tmp_path / "hosts.json"
    members = {
        group: {"hosts": {name: hosts[name] for name in names}} for group, names in groups.items()
    }
    inventory.write_text(json.dumps({"all": {"children": members, "vars": variables}}))
    done = subprocess.run(
        ["ansible-playbook", "-i", str(inventory), SITE],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"},
    )
    assert done.returncode != 0, done.stdout
    assert message in " ".join((done.stdout + done.stderr).split()), done.stdout + done.stderr


def test_a_module_that_is_not_in_the_release(fleet: Fleet) -> None:
    """The release is there already: the launcher refuses its configuration."""
    output = refusal(fleet, "app1", *APP_ALONE, *extra({"app_handler": "chat:handler"}))
    assert (
        "/etc/echo/server.toml was refused, nothing was written: server.toml: handler: cannot"
        " import chat: ModuleNotFoundError: No module named 'chat'"
    ) in output


def test_a_handler_that_is_no_coroutine_function(fleet: Fleet) -> None:
    output = refusal(fleet, "app1", *APP_ALONE, *extra({"app_handler": "json:dumps"}))
    assert "handler: json:dumps is not async, write it as async def" in output


def test_a_handler_that_does_not_import(fleet: Fleet, tmp_path: Path) -> None:
    """The last line of the traceback, and the application's own line; no release is left."""
    source = tmp_path / "feed.py"
    source.write_text("import json\n\nSETTINGS = json.loads('{]')\n")
    variables = {"app_handler": "feed:handler", "app_source": str(source)}
    output = refusal(fleet, "app1", *APP_ALONE, *extra(variables))
    assert "app_handler: the import check failed: stdin: handler: cannot import feed:" in output
    assert "json.decoder.JSONDecodeError: Expecting property name enclosed in" in output
    assert "(app/feed.py:3)" in output


def test_a_requirement_that_no_index_has(fleet: Fleet) -> None:
    requirement = "websockets-fleet-has-no-such-requirement==1"
    output = refusal(fleet, "app1", *APP_ALONE, *extra({"app_requirements": [requirement]}))
    assert "installing the application failed:" in output
    assert f"No matching distribution found for {requirement}" in output


@pytest.mark.parametrize("confirmation", [(), ("-e", "remove_confirm=yes")], ids=["none", "yes"])
def test_a_removal_that_nobody_confirmed(fleet: Fleet, confirmation: tuple[str, ...]) -> None:
    output = refusal(fleet, "app1", *confirmation, playbook="websockets.fleet.remove")
    assert "This takes echo off every host" in output
    assert "-e remove_confirm=echo" in output
