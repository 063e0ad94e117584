"""What a play with the warn action prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: look | Warn of an end
      websockets.fleet.warn:
        msg: it ends soon
      register: warned
    - name: look | Look at the result
      ansible.builtin.assert:
        that: warned.msg == "it ends soon" and not warned is changed
"""


def test_a_warning_is_one_and_names_the_host(tmp_path: Path) -> None:
    namespace = tmp_path / "ansible_collections" / "websockets"
    namespace.mkdir(parents=True)
    (namespace / "fleet").symlink_to(Path(__file__).resolve().parents[4])
    play = tmp_path / "play.yml"
    play.write_text(PLAY)
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "--check", str(play)],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]: localhost: it ends soon\n" in done.stderr
