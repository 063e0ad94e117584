"""A secret reaches the processes and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Fleet

UNITS = ("echo@1.service", "echo@2.service")
# In pieces, so that no command line that looks for it holds it.
FIRST = ("first-", "Kq7vXw2m")
CHANGED = ("changed-", "Zt4bRp9c")


def test_a_changed_secret_rolls_the_processes_and_shows_nowhere(
    fleet: Fleet, tmp_path: Path
) -> None:
    server = fleet["app1"]
    before = [server.main_pid(unit) for unit in UNITS]
    values = tmp_path / "secrets.json"
    values.write_text(json.dumps({"app_secrets": {"TOKEN": "".join(CHANGED)}}))
    run = fleet.play("websockets.fleet.site", "-vvv", "--diff", "-e", f"@{values}")
    assert run.code == 0, run.output
    assert "(secret content, changed)" in run.output
    for secret in (FIRST, CHANGED):
        assert "".join(secret) not in run.output

    after = [server.main_pid(unit) for unit in UNITS]
    assert 0 not in after
    assert not set(before) & set(after)
    for pid in after:
        environment = server.run(f"tr '\\0' '\\n' < /proc/{pid}/environ").splitlines()
        assert f"TOKEN={''.join(CHANGED)}" in environment

    assert server.run("stat -c '%a %U' /etc/echo/secrets") == "400 root"
    # As anybody on the host.
    anybody = "setpriv --reuid=nobody --regid=nogroup --clear-groups"
    for first, second in (FIRST, CHANGED):
        pattern = f"{first}[{second[0]}]{second[1:]}"
        places = "/etc /opt /run /tmp /var/log /var/lib/systemd"
        for command in (
            "journalctl --no-pager --output=export",
            f"{anybody} ps -eww -o args",
            f"{anybody} systemctl show 'echo@*.service' echo.slice echo.target",
            f"{anybody} systemctl cat 'echo@*.service'",
            f"{anybody} grep -rsa '' {places}",
            f"{anybody} sh -c 'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null'",
        ):
            # Whether it prints anything at all, and in how many lines the secret is.
            count = f"awk '/{pattern}/ {{ hits++ }} END {{ print (NR > 0), hits + 0 }}'"
            assert (command, server.run(f"{{ {command} || true; }} | {count}")) == (command, "1 0")
