"""Owns the certificates of a bed: authorities, and what they sign for servers and clients."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CLIENT = ("ca.pem", "cert.pem", "key.pem")  # the names that DOCKER_CERT_PATH asks for


class Authority:
    """Writes ca.pem, cert.pem and key.pem of clients into `folder`, and signs for hosts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test bed")])
        authority = _certificate(self._name, self._name, self._key.public_key())
        limits = x509.BasicConstraints(ca=True, path_length=0)
        self._certificate = authority.add_extension(limits, critical=True).sign(self._key, hashes.SHA256())
        self.sign("client", folder)

    def sign(
        self, name: str, folder: Path, *, groups: Sequence[str] = (), also: Sequence[str] = (), days: int = 2
    ) -> None:
        """Write cert.pem and key.pem of `name` (an IP address, or a client's name), and ca.pem.

        `groups` are a client's (Kubernetes reads them as organizations), `also` a server's further names and
        addresses. It ends in so many days; none: it has ended already.
        """
        folder.mkdir(exist_ok=True, parents=True)
        key = ec.generate_private_key(ec.SECP256R1())
        organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _certificate(subject, self._name, key.public_key(), days)
        if names := [_server(text) for text in (*([name] if name[0].isdigit() else []), *also)]:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        pem = serialization.Encoding.PEM
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        authority = self._certificate.public_bytes(pem)
        for file, content in zip(CLIENT, (authority, signed.public_bytes(pem), secret), strict=True):
            (folder / file).write_bytes(content)


def _server(name: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int = 2
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=days, seconds=-1))
    )
