"""What clients see while certificates are ordered and renewed, and what an engineer is told."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

if TYPE_CHECKING:
    from conftest import Client, Fleet

LOAD_BALANCERS = ("lb1", "lb2")
NAME = "echo.example.test"
UNIT = "echo-certificate.service"
ACME = "/etc/websockets-fleet/echo/acme"
CHALLENGES = "/var/lib/websockets-fleet/echo/acme/challenges/.well-known/acme-challenge"


@pytest.fixture(scope="module")
def clients(fleet: Fleet) -> ssl.SSLContext:
    """What clients trust: the authority's root, which it makes when it starts, and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(
        cadata=fleet["app1"].run(
            "python3 -c \"import ssl, urllib.request as u; print(u.urlopen('https://127.0.0.1:15000"
            "/roots/0', context=ssl._create_unverified_context()).read().decode())\""
        )
    )
    return context


def served(fleet: Fleet, load_balancer: str) -> x509.Certificate:
    """Return the certificate that a new client gets, whoever issued it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    address = (fleet[load_balancer].address, 443)
    with (
        socket.create_connection(address, timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as secured,
    ):
        der = secured.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


def ask(fleet: Fleet, load_balancer: str, token: str) -> tuple[int, str]:
    """Ask a load balancer for the answer to a challenge, as the authority does."""
    connection = http.client.HTTPConnection(fleet[load_balancer].address, timeout=20)
    path = f"/.well-known/acme-challenge/{token}"
    connection.request("GET", path, headers={"Host": NAME})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body.strip()


def workers(fleet: Fleet, load_balancer: str) -> str:
    """Return the process ids of nginx's workers."""
    return fleet[load_balancer].run("pgrep --parent $(systemctl show -P MainPID nginx) | sort")


@contextmanager
def due(fleet: Fleet, load_balancer: str) -> Iterator[None]:
    """Make a certificate that has 100 days one to be renewed."""
    fleet[load_balancer].run(f"sed -i '1i renew_before_expiry = 900 days' {ACME}/renewal/echo.conf")
    try:
        yield
    finally:
        fleet[load_balancer].run(f"sed -i '/^renew_before_expiry/d' {ACME}/renewal/echo.conf")


def row(fleet: Fleet, load_balancer: str) -> str:
    """Return what status.yml says of a load balancer's certificate."""
    run = fleet.play("websockets.fleet.status")
    assert run.code == 0, run.output
    (line,) = re.findall(rf"(?m)^{load_balancer}  +{NAME} .*$", run.output)
    return str(line)


def echoes(client: Client, text: str) -> None:
    client.send(text)
    assert client.recv() == text


@pytest.mark.parametrize("load_balancer", LOAD_BALANCERS)
def test_a_client_verifies_the_certificate_of_each_load_balancer(
    fleet: Fleet, clients: ssl.SSLContext, load_balancer: str
) -> None:
    with fleet.client(load_balancer, clients) as client:
        echoes(client, "hello")
    assert isinstance(served(fleet, load_balancer).public_key(), EllipticCurvePublicKey)


@pytest.mark.parametrize("load_balancer", LOAD_BALANCERS)
def test_nobody_but_root_and_nginx_reads_keys(fleet: Fleet, load_balancer: str) -> None:
    readable = fleet[load_balancer].run(
        "find /etc/websockets-fleet /var/lib/websockets-fleet -name '*key*' -type f -perm /o=r;"
        f" stat -c '%U %G %a' /etc/websockets-fleet/echo/tls/privkey.pem {ACME}"
    )
    assert readable.splitlines() == ["root www-data 640", "root root 700"]


@pytest.mark.parametrize("load_balancer", LOAD_BALANCERS)
def test_the_authority_may_ask_any_load_balancer(fleet: Fleet, load_balancer: str) -> None:
    holder = fleet["lb1"]
    holder.run(f"mkdir -p {CHALLENGES} && echo answer > {CHALLENGES}/of-lb1")
    try:
        assert ask(fleet, load_balancer, "of-lb1") == (200, "answer")
    finally:
        holder.run(f"rm {CHALLENGES}/of-lb1")
    # None has it: they don't send each other round.
    assert ask(fleet, load_balancer, "of-lb1")[0] == 404


def test_a_renewal_on_the_host_reloads_nothing_and_ends_nothing(
    fleet: Fleet, clients: ssl.SSLContext
) -> None:
    for load_balancer in LOAD_BALANCERS:
        before = served(fleet, load_balancer).serial_number
        with fleet.client(load_balancer, clients) as client, due(fleet, load_balancer):
            running = workers(fleet, load_balancer)
            fleet[load_balancer].run(f"systemctl start {UNIT}")
            renewed = served(fleet, load_balancer).serial_number
            assert renewed != before
            assert workers(fleet, load_balancer) == running
            echoes(client, "still here")
        # Not due any more: nothing is ordered.
        fleet[load_balancer].run(f"systemctl start {UNIT}")
        assert served(fleet, load_balancer).serial_number == renewed


def test_a_renewal_works_while_the_other_load_balancer_is_down(fleet: Fleet) -> None:
    before = served(fleet, "lb1").serial_number
    fleet["lb2"].run("systemctl stop nginx")
    try:
        with due(fleet, "lb1"):
            fleet["lb1"].run(f"systemctl start {UNIT}")
        assert ask(fleet, "lb1", "of-nobody")[0] in {404, 502, 504}
    finally:
        fleet["lb2"].run("systemctl start nginx")
    assert served(fleet, "lb1").serial_number != before


def test_the_timer_will_start_it(fleet: Fleet) -> None:
    for load_balancer in LOAD_BALANCERS:
        timer = fleet[load_balancer].run(
            "systemctl is-enabled echo-certificate.timer;"
            " systemctl show -P NextElapseUSecRealtime -P Unit echo-certificate.timer"
        )
        assert re.fullmatch(rf"enabled\n{UNIT}\n\w+ \d+-.*|enabled\n\w+ \d+-.*\n{UNIT}", timer)


def test_a_renewal_that_fails_leaves_the_certificate_and_shows(
    fleet: Fleet, clients: ssl.SSLContext
) -> None:
    before = served(fleet, "lb1").serial_number
    assert re.search(r" acme +Pebble.* (99|100) +ok \d{4}-\d\d-\d\d", row(fleet, "lb1"))
    fleet["app1"].run("systemctl stop acme.socket acme.service")
    try:
        with due(fleet, "lb1"):
            assert fleet["lb1"].host.run(f"systemctl start {UNIT}").rc != 0
        assert fleet["lb1"].run(f"systemctl is-failed {UNIT}") == "failed"
        assert "FAILED (exit-code) " in row(fleet, "lb1")
        assert served(fleet, "lb1").serial_number == before
        with fleet.client("lb1", clients) as client:
            echoes(client, "hello")
        # What is served is good: a run goes on, and says it.
        run = fleet.play("websockets.fleet.site")
        assert run.code == 0, run.output
        said = " ".join(run.output.split())
        assert "[WARNING]: lb1: the last renewal of the certificate for echo.example" in said
    finally:
        fleet["app1"].run("systemctl start acme.socket")
    fleet["lb1"].run(f"systemctl start {UNIT}")
    assert " ok " in row(fleet, "lb1")


def test_another_kind_of_key_and_another_source_cut_nobody(fleet: Fleet) -> None:
    """The longest way round: RSA, then an authority of the fleet's own, then ACME again."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with fleet.client("lb1", context, ping_interval=None) as client:
        run = fleet.play("websockets.fleet.site", "-e", "certificate_key_type=rsa")
        assert run.code == 0, run.output
        for load_balancer in LOAD_BALANCERS:
            key = served(fleet, load_balancer).public_key()
            assert isinstance(key, RSAPublicKey)
            assert key.key_size == 2048
        echoes(client, "an RSA key now")

        run = fleet.play("websockets.fleet.site", "-e", "certificate_source=self_signed")
        assert run.code == 0, run.output
        for load_balancer in LOAD_BALANCERS:
            certificate = served(fleet, load_balancer)
            assert "echo fleet authority" in certificate.issuer.rfc4514_string()
            assert isinstance(certificate.public_key(), EllipticCurvePublicKey)
            left = fleet[load_balancer].run(
                f"ls -d {ACME} /etc/systemd/system/echo-certificate.* 2> /dev/null;"
                " systemctl list-units --all --no-legend 'echo-certificate.*'"
            )
            assert left == ""
        echoes(client, "an authority of the fleet's own")

        run = fleet.play("websockets.fleet.site")
        assert run.code == 0, run.output
        for load_balancer in LOAD_BALANCERS:
            assert "Pebble" in served(fleet, load_balancer).issuer.rfc4514_string()
        echoes(client, "ACME again")


def test_removal_leaves_no_account_and_no_timer(fleet: Fleet) -> None:
    run = fleet.play(
        "websockets.fleet.remove", "--limit", "load_balancers", "-e", "remove_confirm=echo"
    )
    assert run.code == 0, run.output
    for load_balancer in LOAD_BALANCERS:
        left = fleet[load_balancer].run(
            "ls -d /etc/websockets-fleet /var/lib/websockets-fleet 2> /dev/null;"
            " systemctl list-unit-files --no-legend 'echo-*';"
            " systemctl list-units --all --no-legend 'echo-*'"
        )
        assert left == ""
