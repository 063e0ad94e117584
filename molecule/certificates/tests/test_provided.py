"""What is refused, and what is warned of, where the certificate is the user's own."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from conftest import Fleet, Run

NOW = datetime.now(UTC)
# What Ansible, molecule and the collection write on the controller. Next to it are the hosts'.
WRITTEN = (
    os.environ.get("ANSIBLE_HOME", Path.home() / ".ansible"),
    Path(__file__).resolve().parents[3] / ".build",
    tempfile.gettempdir(),
)


class Certificate:
    """A certificate with its key; without an issuer it is its own."""

    def __init__(self, name: str, issuer: Certificate | None = None, days: float = 10) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        by = issuer or self
        made = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(by.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=100))
            .not_valid_after(NOW + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(by.key, hashes.SHA256())
        )
        self.pem = made.public_bytes(Encoding.PEM).decode()
        self.secret = self.key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ).decode()


ROOT = Certificate("root.example.test")
MIDDLE = Certificate("middle.example.test", ROOT)


def provide(fleet: Fleet, chain: list[Certificate], secret: str) -> Run:
    variables = {
        "certificate_source": "provided",
        "certificate_provided_certificate": "".join(one.pem for one in chain),
        "certificate_provided_key": secret,
        "certificate_provided_authority": ROOT.pem,
    }
    return fleet.play("websockets.fleet.site", "--diff", "-e", json.dumps(variables))


def holders(secret: str) -> str:
    """Return the controller's files that have a line of a key."""
    search = ["grep", "--recursive", "--files-with-matches", "--no-messages", "--fixed-strings"]
    done = subprocess.run(
        [*search, secret, *WRITTEN], stdout=subprocess.PIPE, text=True, timeout=300, check=False
    )
    return done.stdout


def test_what_does_not_fit_is_refused_before_anything_changes(fleet: Fleet) -> None:
    look = "find /etc/nginx /etc/websockets-fleet -type f -exec sha256sum {} + | sort"
    before = fleet["lb1"].run(look)
    wrong = Certificate("other.example.test", MIDDLE, days=-1)
    run = provide(fleet, [wrong], ROOT.secret)
    assert run.code != 0
    assert not any(run.changed.values()), run.output
    said = " ".join(run.output.split())
    for fault in (
        "its key is not certificate_provided_key",
        "does not cover DNS:echo.example.test",
        "it expired at ",
        "the certificate of its issuer, CN=middle.example.test, is not in it",
    ):
        assert fault in said
    assert fleet["lb1"].run(look) == before


def test_what_ends_soon_is_warned_of_and_served(fleet: Fleet) -> None:
    fitting = Certificate("echo.example.test", MIDDLE, days=10)
    run = provide(fleet, [fitting, MIDDLE], fitting.secret)
    assert run.code == 0, run.output
    said = " ".join(run.output.split())
    assert re.search(
        r"\[WARNING\]: lb2: the certificate for echo\.example\.test ends at \S+, in less than 21"
        r" days: provide a new one",
        said,
    )
    secret = fitting.secret.splitlines()[2]
    assert secret not in run.output
    assert holders(secret) == ""
    for name in ("lb1", "lb2"):
        left = fleet[name].run(f"grep -rlsF {secret} /etc /home /root /tmp")
        assert left == "/etc/websockets-fleet/echo/tls/privkey.pem"
    run = fleet.play("websockets.fleet.status", "-e", "certificate_source=provided")
    assert run.code == 0, run.output
    assert (
        "[WARNING]: lb2: the certificate for echo.example.test has 9 days left: provide a new one"
    ) in " ".join(run.output.split())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ROOT.pem)
    with fleet.client("lb2", context) as client:
        client.send("hello")
        assert client.recv() == "hello"
