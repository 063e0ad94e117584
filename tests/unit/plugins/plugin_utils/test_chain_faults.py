"""Which chains of certificates are refused before they reach a load balancer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ansible_collections.websockets.fleet.plugins.plugin_utils._chain_faults import chain_faults

NOW = datetime(2026, 11, 20, tzinfo=UTC)


class Certificate:
    """A certificate with its key; without an issuer it is its own."""

    def __init__(self, name: str, issuer: Certificate | None = None, days: int = 90) -> None:
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
            .sign(by.key, hashes.SHA256())
        )
        self.pem = made.public_bytes(Encoding.PEM).decode()


def pem(certificates: list[Certificate]) -> str:
    return "".join(one.pem for one in certificates)


ROOT = Certificate("root")
MIDDLE = Certificate("middle", ROOT)
LEAF = Certificate("leaf", MIDDLE)
# The same name, another key: only the signature tells.
IMPOSTOR = Certificate("middle", ROOT)
EXPIRED = Certificate("old", ROOT, days=-1)


@pytest.mark.parametrize(
    ("chain", "authority"),
    [
        pytest.param([LEAF, MIDDLE], [], id="public authority"),
        pytest.param([LEAF, MIDDLE, ROOT], [], id="with the root"),
        pytest.param([LEAF, MIDDLE], [ROOT], id="own authority"),
        pytest.param([LEAF, MIDDLE, ROOT], [ROOT], id="own authority, with the root"),
        pytest.param([LEAF], [MIDDLE], id="an authority that is not a root"),
        pytest.param([LEAF, MIDDLE], [IMPOSTOR, ROOT], id="one of several"),
        pytest.param([ROOT], [], id="its own issuer"),
    ],
)
def test_a_chain_that_clients_can_follow(
    chain: list[Certificate], authority: list[Certificate]
) -> None:
    assert chain_faults(pem(chain), pem(authority), NOW) == []


@pytest.mark.parametrize(
    ("chain", "authority", "fault"),
    [
        pytest.param(
            [LEAF],
            [],
            "the chain ends with CN=leaf, and the certificate of its issuer, CN=middle, is not"
            " in it",
            id="alone",
        ),
        pytest.param(
            [LEAF],
            [ROOT],
            "the chain ends with CN=leaf, and the certificate of its issuer, CN=middle, is not"
            " in it nor in certificate_provided_authority",
            id="without the one in between",
        ),
        pytest.param(
            [LEAF, ROOT],
            [],
            "certificate 1 (CN=leaf) is not issued by the one after it (CN=root), but by CN=middle",
            id="a gap",
        ),
        pytest.param(
            [LEAF, IMPOSTOR],
            [],
            "certificate 1 (CN=leaf) is not issued by the one after it (CN=middle), but by"
            " CN=middle",
            id="a name alone",
        ),
        pytest.param(
            [Certificate("young", EXPIRED), EXPIRED],
            [],
            "certificate 2 (CN=old) expired at 2026-11-19 00:00:00+00:00",
            id="expired",
        ),
    ],
)
def test_a_chain_that_they_cannot(
    chain: list[Certificate], authority: list[Certificate], fault: str
) -> None:
    assert chain_faults(pem(chain), pem(authority), NOW) == [fault]


def test_what_is_no_certificate() -> None:
    with pytest.raises(ValueError, match="PEM"):
        chain_faults("-----BEGIN nothing", "", NOW)
