# Copyright (c) 2026, the websockets.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a client from following a chain of certificates. Private."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["chain_faults"]

# cryptography is imported where it is used: Ansible wants to import every file without it.


def _issued(certificate: Certificate, by: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    try:
        certificate.verify_directly_issued_by(by)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def chain_faults(chain: str, authority: str, now: datetime) -> list[str]:
    """Return what is wrong with a chain (PEM), the server's certificate first.

    Each certificate has to be signed by the one after it, and the last one by one of ``authority``
    (PEM). Where that is empty, the last one's issuer is a public authority, or itself; no public
    authority issues servers' certificates without one in between. Raises ValueError for what is no
    certificate.
    """
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415

    certificates = load_pem_x509_certificates(chain.encode())
    subjects = [certificate.subject.rfc4514_string() for certificate in certificates]
    faults = [
        f"certificate {number} ({subject}) expired at {certificate.not_valid_after_utc}"
        for number, (certificate, subject) in enumerate(
            zip(certificates[1:], subjects[1:], strict=True), 2
        )
        if certificate.not_valid_after_utc <= now
    ]
    faults += [
        f"certificate {number} ({subjects[number - 1]}) is not issued by the one after it"
        f" ({subjects[number]}), but by {one.issuer.rfc4514_string()}"
        for number, (one, following) in enumerate(pairwise(certificates), 1)
        if not _issued(one, following)
    ]
    last = certificates[-1]
    missing = (
        f"the chain ends with {subjects[-1]}, and the certificate of its issuer,"
        f" {last.issuer.rfc4514_string()}, is not in it"
    )
    if authority.strip():
        anchors = load_pem_x509_certificates(authority.encode())
        if last not in anchors and not any(_issued(last, anchor) for anchor in anchors):
            faults.append(f"{missing} nor in certificate_provided_authority")
    elif len(certificates) == 1 and not _issued(last, last):
        faults.append(missing)
    return faults
