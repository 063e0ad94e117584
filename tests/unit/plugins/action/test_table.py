"""What a play with the table action prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: status | Show the processes
      websockets.fleet.table:
        title: chat
        columns:
          - {key: host, title: HOST}
          - {key: pid, title: PID, align: right}
        rows: [{host: app1, pid: 123}, {host: app2}]
      register: shown
    - name: status | Look at the result
      ansible.builtin.assert:
        that: shown.lines[-1] == "app2    -" and not shown is changed
    - name: status | Refuse a key that no column shows
      websockets.fleet.table:
        columns: [{key: host, title: HOST}]
        rows: [{hots: app1}]
"""


def test_the_default_callback_leaves_the_table_readable(tmp_path: Path) -> None:
    namespace = tmp_path / "ansible_collections" / "websockets"
    namespace.mkdir(parents=True)
    (namespace / "fleet").symlink_to(Path(__file__).resolve().parents[4])
    play = tmp_path / "play.yml"
    play.write_text(PLAY)
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(tmp_path),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
    }
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "--check", str(play)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    table = "\nchat\nHOST  PID\n----  ---\napp1  123\napp2    -\nok: [localhost]\n"
    assert table in done.stdout, done.stdout + done.stderr
    assert "row 1 has the key 'hots', columns has host" in done.stdout + done.stderr
