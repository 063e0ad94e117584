#!/usr/bin/python
# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open a WebSocket connection, ask, and close it in good order."""

from __future__ import annotations

DOCUMENTATION = r"""
module: websocket_probe
short_description: Open a WebSocket connection, ask, and close it in good order
version_added: 0.1.0
description:
  - Does what a client does. It connects, checks the certificate, does the WebSocket handshake,
    sends a ping and, when asked to, a message, then closes the connection with a close frame and
    waits for the one of the server.
  - It reports how long each of these steps took, what was negotiated and what the certificate says.
  - It fails with one sentence when any of them is not as it should be.
  - It runs where the task runs. Delegate it to the controller to probe as a client does, run it on
    a load balancer to probe one server behind it.
  - A proxy of the environment (E(HTTPS_PROXY) and the like) is not used.
options:
  url:
    description:
      - C(ws://) or C(wss://) URL. Its host is the name that the certificate must cover, and that
        the C(Host) header holds.
    type: str
    required: true
  connect_to:
    description:
      - Where to connect to in place of the host in O(url), an address or a name, with C(:port)
        where the port differs too.
      - O(url) alone still says which name the certificate must cover. C(curl) has this as
        C(--connect-to).
    type: str
  unix_socket:
    description: Path of a unix socket to connect to in place of the host in O(url).
    type: path
  validate_certs:
    description:
      - Whether the certificate must be valid and cover the host in O(url).
      - When it is not checked, RV(tls.certificate) is null, as Python shows no unverified one.
    type: bool
    default: true
  ca_file:
    description:
      - PEM file with the only authorities to trust, on the machine where the module runs.
      - Without it and O(ca_content), those of the system are trusted.
    type: path
  ca_content:
    description: The same as O(ca_file), as text.
    type: str
  origin:
    description: Value of the C(Origin) header, which browsers send.
    type: str
  subprotocols:
    description: Subprotocols to offer, best first. The one that the server took is returned.
    type: list
    elements: str
    default: []
  headers:
    description:
      - More headers of the handshake, for instance C(Authorization).
      - Give the task C(no_log) when a value is secret.
    type: dict
    default: {}
  compression:
    description: Whether to offer the extension permessage-deflate.
    type: bool
    default: true
  send:
    description: Text to send as one message. Without it there is a ping and no message.
    type: str
  expect:
    description:
      - Text that the first message from the server must be. The default is O(send), an echo.
      - Without O(send), it is what the server must send by itself.
    type: str
  match:
    description:
      - How that first message is compared with O(expect).
      - With V(any) it must come and may be anything.
    type: str
    choices: [exact, contains, any]
    default: exact
  timeout:
    description: Seconds for the whole probe, 3600 at most.
    type: float
    default: 10
  close_code:
    description: Close code to send.
    type: int
    default: 1000
requirements:
  - websockets (Python library, at least 13.0)
attributes:
  check_mode:
    description: Changes nothing, so it does the same in check mode.
    support: full
  diff_mode:
    description: Has nothing to show.
    support: none
author:
  - websockets.fleet contributors (@websockets-fleet)
"""

EXAMPLES = r"""
- name: Ask for an echo, as a client on the Internet does
  websockets.fleet.websocket_probe:
    url: wss://echo.example.com/
    send: hello
  delegate_to: localhost

- name: Probe each load balancer by its address, with the name and the authority of the fleet
  websockets.fleet.websocket_probe:
    url: wss://chat.example.com/
    connect_to: "{{ ansible_host }}"
    ca_file: /etc/ssl/fleet-ca.pem
    send: '{"echo": "hello"}'
  delegate_to: localhost

- name: Probe one process through its unix socket
  websockets.fleet.websocket_probe:
    url: ws://localhost/
    unix_socket: /run/chat/1.sock

- name: See that a foreign page is refused
  websockets.fleet.websocket_probe:
    url: wss://chat.example.com/
    origin: https://evil.example
  register: foreign
  failed_when: foreign.status != 403
  delegate_to: localhost
"""

RETURN = r"""
latency_ms:
  description:
    - Milliseconds of each step that was done, out of C(lookup), C(connect), C(tls), C(handshake),
      C(ping), C(message) and C(close), and of all in C(total).
  returned: always
  type: dict
  sample: {lookup: 0.4, connect: 0.2, tls: 4.1, handshake: 1.3, ping: 0.3, close: 0.4, total: 6.7}
status:
  description: HTTP status of the answer to the handshake. It is 101 when the handshake succeeded.
  returned: always
  type: int
  sample: 101
server:
  description: C(Server) header of that answer.
  returned: always
  type: str
  sample: nginx
subprotocol:
  description: The subprotocol that the server took.
  returned: always
  type: str
  sample: chat.v1
extensions:
  description: The extensions that the server took, with their parameters.
  returned: always
  type: list
  elements: str
  sample: ["permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"]
answer:
  description: The first message from the server, when it is a text and one was waited for.
  returned: always
  type: str
  sample: hello
close_code_sent:
  description: The close code that the probe sent.
  returned: always
  type: int
  sample: 1000
close_code_received:
  description: The close code that the server sent.
  returned: always
  type: int
  sample: 1000
close_reason_received:
  description: The text beside that close code.
  returned: always
  type: str
  sample: ''
tls:
  description: The encryption, null for a C(ws://) URL.
  returned: always
  type: dict
  contains:
    version:
      description: Version of the protocol.
      type: str
      sample: TLSv1.3
    cipher:
      description: Name of the cipher suite.
      type: str
      sample: TLS_AES_256_GCM_SHA384
    sha256:
      description: Fingerprint of the certificate.
      type: str
    certificate:
      description: What the certificate says, null when O(validate_certs) is false.
      type: dict
      contains:
        subject:
          description: Parts of the name of its owner.
          type: dict
          sample: {commonName: chat.example.com}
        issuer:
          description: Parts of the name of its issuer.
          type: dict
          sample: {commonName: Example CA}
        serial_number:
          description: Serial number, in hexadecimal digits.
          type: str
        subject_alt_names:
          description: The names and addresses that it covers.
          type: list
          elements: str
          sample: ["DNS:chat.example.com", "IP:192.0.2.7"]
        not_before:
          description: Begin of its validity, UTC.
          type: str
          sample: '2026-11-20T00:00:00Z'
        not_after:
          description: End of its validity, UTC.
          type: str
          sample: '2027-02-18T00:00:00Z'
        days_left:
          description: Whole days until then.
          type: int
          sample: 89
stage:
  description: The step that failed, named as in RV(latency_ms).
  returned: failure
  type: str
  sample: handshake
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.websockets.fleet.plugins.module_utils._websocket_probe import (
    IMPORT_ERROR,
    OptionError,
    ProbeError,
    Request,
    probe,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "connect_to": {"type": "str"},
            "unix_socket": {"type": "path"},
            "validate_certs": {"type": "bool", "default": True},
            "ca_file": {"type": "path"},
            "ca_content": {"type": "str"},
            "origin": {"type": "str"},
            "subprotocols": {"type": "list", "elements": "str", "default": []},
            "headers": {"type": "dict", "default": {}},
            "compression": {"type": "bool", "default": True},
            "send": {"type": "str"},
            "expect": {"type": "str"},
            "match": {
                "type": "str",
                "choices": ["exact", "contains", "any"],
                "default": "exact",
            },
            "timeout": {"type": "float", "default": 10},
            "close_code": {"type": "int", "default": 1000},
        },
        supports_check_mode=True,
    )
    if IMPORT_ERROR is not None:
        module.fail_json(
            msg=missing_required_lib("websockets >= 13.0"),
            exception=IMPORT_ERROR,
        )
    try:
        facts = probe(Request(**module.params))
    except OptionError as error:
        module.fail_json(msg=str(error))
    except ProbeError as error:
        module.fail_json(msg=str(error), stage=error.stage, **error.facts)
    module.exit_json(changed=False, **facts)


if __name__ == "__main__":
    main()
