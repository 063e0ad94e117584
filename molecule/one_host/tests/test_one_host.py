"""A fleet of one: everything on one machine, and taken away again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Fleet

UNITS = ("echo-one@1.service", "echo-one@2.service")
NAMES = "\\( -name '*echo-one*' -o -name '*websockets-fleet*' -o -name '*websockets_fleet*' \\)"
TRACES = f"find / -xdev -path /proc -prune -o -path /sys -prune -o {NAMES} -print"


def test_echo_through_nginx_over_unix_sockets(fleet: Fleet) -> None:
    for _number in range(4):
        with fleet.client("box") as connection:
            # What the application read from its environment when it was imported.
            assert connection.recv() == "welcome"
            connection.send("hello")
            assert connection.recv() == "hello"


def test_no_port_is_open_but_that_of_nginx_and_ssh(fleet: Fleet) -> None:
    ports = fleet["box"].run("ss -Htln | awk '{print $4}' | sed 's/.*://' | sort -un").split()
    assert ports == ["22", "80", "443"]


def test_only_nginx_and_the_application_reach_the_sockets(fleet: Fleet) -> None:
    box = fleet["box"]
    shown = box.run("stat --format '%a %U %G' /run/echo-one /run/echo-one/1.sock")
    assert shown.splitlines() == ["750 echo-one echo-one", "660 echo-one echo-one"]
    shown = box.run("stat --format '%a %U' /run/echo-one/1.admin.sock")
    assert shown == "600 echo-one"
    for user, allowed in (("www-data", True), ("deploy", False)):
        script = (
            "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/echo-one/1.sock')"
        )
        done = box.host.run(f'runuser -u {user} -- python3 -c "{script}"')
        assert (user, done.rc == 0) == (user, allowed)
        done = box.host.run(
            f'runuser -u {user} -- python3 -c "{script.replace("1.sock", "1.admin.sock")}"'
        )
        assert done.rc != 0


def test_a_name_with_a_dash_has_a_slice_of_its_own(fleet: Fleet) -> None:
    slice_name = fleet["box"].run(f"systemctl show --property=Slice --value {UNITS[0]}")
    assert slice_name == r"echo\x2done.slice"
    assert fleet["box"].host.run("systemctl is-active echo.slice").rc != 0


def test_the_processes_restart_one_by_one_and_the_service_answers(fleet: Fleet) -> None:
    for unit in UNITS:
        fleet["box"].run(f"systemctl restart {unit}")
        with fleet.client("box") as connection:
            # What the application read from its environment when it was imported.
            assert connection.recv() == "welcome"
            connection.send("hello")
            assert connection.recv() == "hello"


def test_a_secret_with_quotes_arrives_and_changes_nothing_twice(fleet: Fleet) -> None:
    box = fleet["box"]
    pid = box.main_pid(UNITS[0])
    environment = box.run(f"tr '\\0' '\\n' < /proc/{pid}/environ").splitlines()
    assert 'DATABASE_PASSWORD=quotes " and \\ back' in environment
    run = fleet.play("websockets.fleet.site")
    assert set(run.changed.values()) == {0}, run.output
    changed = ("-e", '{"app_secrets": {"DATABASE_PASSWORD": "other \\\\ \\"one\\""}}')
    run = fleet.play("websockets.fleet.site", *changed)
    assert run.code == 0, run.output
    pid = box.main_pid(UNITS[0])
    environment = box.run(f"tr '\\0' '\\n' < /proc/{pid}/environ").splitlines()
    assert 'DATABASE_PASSWORD=other \\ "one"' in environment


def test_remove_asks_first(fleet: Fleet) -> None:
    run = fleet.play("websockets.fleet.remove")
    assert run.code != 0
    assert "-e remove_confirm=echo-one" in run.output
    run = fleet.play("websockets.fleet.remove", "-e", "remove_confirm=echo")
    assert run.code != 0
    assert fleet["box"].run(f"systemctl is-active {' '.join(UNITS)}") == "active\nactive"


def test_remove_takes_away_what_was_put_there_and_nothing_else(fleet: Fleet) -> None:
    """Last, as nothing is left after it."""
    box = fleet["box"]
    assert box.run(TRACES) != ""
    before = set(box.run("getent passwd | cut -d: -f1").split())
    confirmed = ("-e", "remove_confirm=echo-one")

    dry = fleet.play("websockets.fleet.remove", "--check", "--diff", *confirmed)
    assert dry.code == 0, dry.output
    assert dry.changed["box"] > 0
    assert box.run(f"systemctl is-active {' '.join(UNITS)}") == "active\nactive"

    run = fleet.play("websockets.fleet.remove", *confirmed)
    assert run.code == 0, run.output
    assert box.run(TRACES) == ""
    assert before - set(box.run("getent passwd | cut -d: -f1").split()) == {"echo-one"}
    assert box.host.run("getent group echo-one").rc != 0
    assert "echo-one" not in box.run("systemctl list-units --all --no-legend --plain")
    assert box.run("systemctl --failed --no-legend --plain") == ""
    # nginx was installed from a package, which others may use by now: it stays, and is whole.
    assert box.run("systemctl is-active nginx") == "active"
    box.run("nginx -t")
    box.run("dpkg --verify nginx nginx-common")

    again = fleet.play("websockets.fleet.remove", *confirmed)
    assert again.code == 0, again.output
    assert set(again.changed.values()) == {0}, again.output
