"""What graders and clients see of TLS: lb1 has the profile intermediate, lb2 modern."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Fleet

    from .conftest import Door

DOMAIN = "echo.example.test"
LOAD_BALANCERS = ("lb1", "lb2")
PROFILES = {"lb1": "intermediate", "lb2": "modern"}
SITE = ("websockets.fleet.site", "--limit", "load_balancers,localhost")
# Each host gets the profile of the other, and RSA where the profile has it.
SWAPPED = {
    "nginx_tls_profile": "{{ 'modern' if inventory_hostname == 'lb1' else 'intermediate' }}",
    "certificate_key_type": "{{ 'ecdsa' if inventory_hostname == 'lb1' else 'rsa' }}",
    "certificate_days": 90,
}
# What testssl.sh wants for a grade, and nothing else. It counts strong ciphers for less than they
# are then; a full run takes half as long again and gives the same grade.
GRADED = "-p -s -f -S -h -H -I -T -BB -R -C -O -Z -D -A -4 -J"
# What testssl.sh calls a fault. WARN is a question that it could not ask.
FAULTS = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
# The fleet's own authority has no list of what it revokes; a public one has.
OF_THE_AUTHORITY = "cert_revocation"


@pytest.fixture(scope="session")
def authority(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of the fleet's own authority, which signed those of both load balancers."""
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    path.write_text(fleet["lb1"].run("cat /etc/websockets-fleet/echo/tls/ca.pem"))
    return path


def sslyze(address: str, profile: str, authority: Path) -> str:
    """Return what sslyze says of a profile of Mozilla's: 5.7, the newest that it knows."""
    options = [f"--mozilla_config={profile}", f"--certinfo_ca_file={authority}", f"--sni={DOMAIN}"]
    done = subprocess.run(
        ["sslyze", *options, address], capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", LOAD_BALANCERS)
def test_sslyze_passes(fleet: Fleet, authority: Path, name: str) -> None:
    said = sslyze(fleet[name].address, PROFILES[name], authority)
    assert "OK - Compliant." in said, said


def test_sslyze_fails_what_is_not_modern(fleet: Fleet, authority: Path) -> None:
    """Its verdict is no yes to everything."""
    assert "FAILED - Not compliant." in sslyze(fleet["lb1"].address, "modern", authority)


@pytest.fixture
def swapped(fleet: Fleet) -> Iterator[None]:
    """Each load balancer has the profile of the other."""
    run = fleet.play(*SITE, "-e", json.dumps(SWAPPED))
    assert run.code == 0, run.output
    yield
    run = fleet.play(*SITE)
    assert run.code == 0, run.output


@pytest.mark.usefixtures("swapped")
def test_each_debian_passes_with_the_other_profile_and_with_rsa(
    fleet: Fleet, authority: Path
) -> None:
    modern = sslyze(fleet["lb1"].address, "modern", authority)
    assert "OK - Compliant." in modern, modern
    intermediate = sslyze(fleet["lb2"].address, "intermediate", authority)
    assert "OK - Compliant." in intermediate, intermediate
    assert "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" in intermediate
    # 5.7 still had these, 6.0 has not.
    assert "TLS_DHE_" not in intermediate


@pytest.fixture(scope="module")
def graded(fleet: Fleet, authority: Path) -> dict[str, dict[str, tuple[str, str]]]:
    """What testssl.sh found at each load balancer: severity and words, by its name for the test.

    It runs on a host of the lab: Debian 12's, which may be this machine's, gives no grades.
    """
    tester = fleet["app2"]
    commands = [f"cat > /tmp/ca.pem <<'END'\n{authority.read_text()}\nEND"]
    commands += [
        f"timeout 600 testssl --quiet --color 0 --warnings off --nodns none {GRADED}"
        f" --add-ca /tmp/ca.pem --overwrite --jsonfile /tmp/{name}.json"
        f" --ip {fleet[name].address} {DOMAIN}:443 > /tmp/{name}.txt 2>&1 &"
        for name in LOAD_BALANCERS
    ]
    tester.run("\n".join([*commands, "wait"]))
    return {
        name: {
            found["id"]: (found["severity"], found["finding"])
            for found in json.loads(tester.run(f"cat /tmp/{name}.json"))
        }
        for name in LOAD_BALANCERS
    }


@pytest.mark.parametrize("name", LOAD_BALANCERS)
def test_testssl_grades_a_plus(graded: dict[str, dict[str, tuple[str, str]]], name: str) -> None:
    found = graded[name]
    assert found["overall_grade"][1] == "A+", found
    faults = {test for test, (severity, _words) in found.items() if severity in FAULTS}
    assert faults == {OF_THE_AUTHORITY}, found


@pytest.mark.parametrize(("name", "group"), [("lb1", "X25519"), ("lb2", "X25519MLKEM768")])
def test_keys_are_agreed_on_as_well_as_the_host_can(fleet: Fleet, name: str, group: str) -> None:
    """A client with OpenSSL 3.5, which has both, and which prefers what quantum computers can't."""
    shown = fleet["app2"].run(
        f"openssl s_client -connect {fleet[name].address}:443 -servername {DOMAIN} < /dev/null"
        " 2> /dev/null"
    )
    assert f"{group}\n" in shown.replace(", 253 bits", ""), shown


def visit(
    address: str, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[bool, ssl.SSLSession | None]:
    """Ask for a page; return whether the session was resumed, and the one to come back with."""
    with (
        socket.create_connection((address, 443), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=DOMAIN, session=session) as encrypted,
    ):
        encrypted.sendall(f"GET / HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n\r\n".encode())
        while encrypted.recv(4096):
            pass
        return bool(encrypted.session_reused), encrypted.session


@pytest.mark.parametrize(("name", "version"), [("lb1", "1_2"), ("lb1", "1_3"), ("lb2", "1_3")])
def test_a_client_that_comes_back_needs_no_new_keys(fleet: Fleet, name: str, version: str) -> None:
    """Whichever worker takes it."""
    context = fleet.authority(name)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[f"TLSv{version}"]
    reused, session = visit(fleet[name].address, context)
    assert not reused
    for _number in range(6):
        reused, session = visit(fleet[name].address, context, session)
        assert reused


def test_a_client_may_come_back_to_the_other_load_balancer(fleet: Fleet) -> None:
    context = fleet.authority("lb1")
    _reused, session = visit(fleet["lb1"].address, context)
    assert session is not None
    assert visit(fleet["lb2"].address, context, session)[0] is False


def test_modern_is_tls_1_3_alone(fleet: Fleet) -> None:
    """And intermediate is both: the test of resumption visits lb1 by each."""
    context = fleet.authority("lb2")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        visit(fleet["lb2"].address, context)


@pytest.mark.parametrize("offered", [[], ["http/1.1"]])
@pytest.mark.parametrize("name", LOAD_BALANCERS)
def test_websocket_clients_get_http_1_1(fleet: Fleet, name: str, offered: list[str]) -> None:
    context = fleet.authority(name)
    if offered:
        context.set_alpn_protocols(offered)

    async def echo() -> str | None:
        async with fleet.connect(name, context) as connection:
            await connection.send("hello")
            assert await connection.recv() == "hello"
            encrypted: ssl.SSLObject = connection.transport.get_extra_info("ssl_object")
            return encrypted.selected_alpn_protocol()

    assert asyncio.run(echo()) == (offered[0] if offered else None)


@pytest.mark.parametrize("name", LOAD_BALANCERS)
def test_pages_come_by_http_2(fleet: Fleet, name: str) -> None:
    context = fleet.authority(name)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((fleet[name].address, 443), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=DOMAIN) as encrypted,
    ):
        assert encrypted.selected_alpn_protocol() == "h2"


@pytest.mark.parametrize("asked", [None, "other.example.test"])
def test_who_asks_for_another_name_sees_the_first_site_and_does_not_trust_it(
    fleet: Fleet, usual: Door, asked: str | None
) -> None:
    def certificate(context: ssl.SSLContext) -> bytes | None:
        with (
            socket.create_connection((usual.address, 443), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=asked) as encrypted,
        ):
            return encrypted.getpeercert(binary_form=True)

    own = fleet["lb1"].run("cat /etc/websockets-fleet/echo/tls/fullchain.pem")
    assert certificate(usual.context) == ssl.PEM_cert_to_DER_cert(
        own[: own.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"
    )
    if asked:
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            certificate(fleet.authority("lb1"))
