"""A browser opens the demo's chat over HTTPS, and tabs on two servers talk to each other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from testinfra.host import Host

REPOSITORY = Path(__file__).resolve().parents[3]

testinfra_hosts = ["lb1"]


def test_two_tabs_talk_to_each_other(host: Host, tmp_path: Path) -> None:
    variables = host.ansible.get_variables()
    ca_file = tmp_path / "ca.pem"
    with host.sudo():
        ca = host.file(f"/etc/websockets-fleet/{variables['app_name']}/tls/ca.pem")
        ca_file.write_text(ca.content_string)
    environment = {
        **os.environ,
        "CHAT_URL": f"https://{variables['nginx_domain']}/",
        "CHAT_CONNECT_TO": variables["ansible_host"],
        "CHAT_CA_FILE": str(ca_file),
        "CHAT_SERVERS": str(len(variables["groups"]["app_servers"])),
        "CHAT_PICTURES": str(REPOSITORY / ".build" / "pictures"),
    }
    # Those tests have the settings of the repository, not molecule's.
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/browser"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
