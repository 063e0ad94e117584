"""What clients see of changes that engineers make every week, and that nginx is left alone."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from conftest import Fleet, Run

    from .conftest import Load

LOAD_BALANCERS = ("lb1", "lb2")
LOAD_BALANCERS_ALONE = ("--limit", "load_balancers,localhost")
PROJECT = Path(__file__).parents[1]


def workers(fleet: Fleet) -> dict[str, str]:
    """Return the workers of each nginx: a reload makes others."""
    return {
        name: fleet[name].run(f"pgrep -P {fleet[name].main_pid('nginx.service')}")
        for name in LOAD_BALANCERS
    }


@pytest.fixture(autouse=True)
def no_reload(fleet: Fleet) -> Iterator[None]:
    """No test of this file may reload or restart nginx."""
    before = workers(fleet)
    yield
    assert workers(fleet) == before


def site(fleet: Fleet, *limit: str, **variables: str | int) -> Run:
    """Make the fleet what the inventory says, but for these variables."""
    run = fleet.play("websockets.fleet.site", *limit, "-e", json.dumps(variables))
    assert run.code == 0, run.output
    return run


def test_processes_are_added_and_taken_away(fleet: Fleet, load: Load) -> None:
    with load:
        site(fleet, app_processes=3)
        load.arrives(lambda place: place.process == 3)
        assert load.cuts == []
        site(fleet, app_processes=2)
        load.until(load.well)
    load.assert_all_got_in()
    # None moves to a new process by itself, and nobody is held by it but by chance.
    assert {cut.code for cut in load.cuts} <= {1001}
    assert {cut.place.process for cut in load.cuts} <= {3}


def of_new_clients(load: Load) -> set[tuple[str, str]]:
    """Return load balancers and the certificates that those show who come from now on."""
    began = time.monotonic()

    def shown() -> list[tuple[str, str]]:
        return [
            (shake.place.load_balancer, shake.certificate)
            for shake in load.handshakes
            if shake.place and shake.began > began
        ]

    load.until(lambda: len(shown()) >= 20)
    return set(shown())


def test_a_certificate_is_renewed(fleet: Fleet, load: Load) -> None:
    with load:
        before = of_new_clients(load)
        with fleet.client("lb1") as client:
            ends = ssl.cert_time_to_seconds(client.certificate()["notAfter"])
        # One that is valid for longer than is wanted is replaced.
        days = int((ends - time.time()) / 86400) - 2
        site(fleet, *LOAD_BALANCERS_ALONE, certificate_days=days)
        after = of_new_clients(load)
        load.until(load.well)
    assert len(before) == len(after) == 2
    assert not before & after
    load.assert_all_got_in()
    assert load.cuts == []


def test_another_release_is_deployed(fleet: Fleet, load: Load, tmp_path: Path) -> None:
    source = (PROJECT / "app" / "where.py").read_text()
    # One that this host has never seen, in whichever order tests run.
    release = int(time.time())
    (tmp_path / "where.py").write_text(source.replace("RELEASE = 1", f"RELEASE = {release}"))
    with load:
        site(fleet, app_source=str(tmp_path / "where.py"))
        load.until(load.well)
        clients = load.places()
        assert {place.release for place in clients} == {release}
    load.assert_all_got_in()
    assert {cut.code for cut in load.cuts} == {1001}
    # Who came to a process whose turn was still to come was closed again.
    assert clients.total() <= len(load.cuts) < 2 * clients.total(), load.summary()


def own_certificate(name: str) -> tuple[str, str]:
    """Return a certificate that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    # Clients who trust several tell them apart by it.
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} {now:%H%M%S}")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.public_bytes(Encoding.PEM).decode(), secret.decode()


@pytest.fixture
def own_authority_afterwards(fleet: Fleet) -> Iterator[None]:
    """Let the fleet have a certificate of its own authority again."""
    yield
    site(fleet, *LOAD_BALANCERS_ALONE)


@pytest.mark.usefixtures("own_authority_afterwards")
def test_a_certificate_with_another_key_takes_its_place(fleet: Fleet, load: Load) -> None:
    pem, secret = own_certificate(fleet["lb1"].variables["nginx_domain"])
    load.context.load_verify_locations(cadata=pem)
    with load:
        before = of_new_clients(load)
        site(
            fleet,
            *LOAD_BALANCERS_ALONE,
            certificate_source="provided",
            certificate_provided_certificate=pem,
            certificate_provided_key=secret,
            certificate_provided_authority=pem,
        )
        after = of_new_clients(load)
        load.until(load.well)
    # Two files are replaced one right after the other: who comes exactly in between fails, of the
    # ten a second of each load balancer.
    assert len(load.failed()) <= 4, load.summary()
    assert all(": SSLError" in error for error in load.failed()), load.summary()
    load.assert_in_time()
    assert len({serial for _name, serial in after}) == 1
    assert not before & after
    assert load.cuts == []
