"""Owns the engine key of a target: what the proxies of its hosts show each other, made anew from the lineage's key.

Knows nothing of HAProxy or of hosts. What it returns is a secret: it goes into 0600 files only.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

DOMAIN = "infctl"  # whom the certificate names: MODEL.infctl for every model, so that the name asked for says which


def door_pem(key: bytes, target: str) -> bytes:
    """Return a private key (Ed25519) and its own certificate, as PEM: the same bytes from the same lineage key.

    The seed is HMAC-SHA256(key, "engine-key/TARGET"). Ed25519 signatures are deterministic (RFC 8032), and serial
    number and dates are fixed, so that nobody has to keep or send around what every run can make.
    """
    from cryptography import x509  # noqa: PLC0415  # 60 ms, and few plans change a proxy
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    seed = hmac.new(key, f"engine-key/{target}".encode(), hashlib.sha256).digest()
    private = Ed25519PrivateKey.from_private_bytes(seed)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, DOMAIN)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))  # no host's clock is that wrong
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(f"*.{DOMAIN}")]), critical=False)
        .sign(private, None)
    )
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(
        Encoding.PEM
    )
