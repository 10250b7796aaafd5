"""The certificate of a stub that speaks TLS: the caller's own, or one made for this machine.

A made one is self-signed, for ``localhost`` and the loopback addresses, and good for a year. It is
kept beside the stub's data, its key readable by the owner alone, so that clients that trust it
(``connection_verify``) go on trusting it after a restart.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sync_agent.errors import SettingsError

CERTIFICATE_FILE = "stub-certificate.pem"
KEY_FILE = "stub-key.pem"
VALID_DAYS = 365


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where a certificate (PEM, its chain behind it) and its private key are."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return what a server speaks TLS with: 1.2 or later.

        Raises:
            SettingsError: the files cannot be read, or do not belong together.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"{self.certificate} and {self.key} are no certificate and its key: {error}",
                remedy="name a certificate in PEM and its private key without a password",
            ) from error
        return context


def made_in(folder: Path) -> Certificate:
    """Return the certificate kept in a folder, made anew where there is none or it has expired.

    Raises:
        SettingsError: the folder cannot be written.
    """
    kept = Certificate(folder / CERTIFICATE_FILE, folder / KEY_FILE)
    if _is_valid(kept.certificate) and kept.key.exists():
        return kept
    key = ec.generate_private_key(ec.SECP256R1())
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kept.key.unlink(missing_ok=True)
        with os.fdopen(
            os.open(kept.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
        ) as file:
            file.write(secret)
        kept.certificate.write_bytes(_signed(key).public_bytes(serialization.Encoding.PEM))
    except OSError as error:
        raise SettingsError(
            f"no certificate can be kept in {folder}: {error.strerror}",
            remedy="give --tls-certificate and --tls-key, or a folder that can be written",
        ) from error
    return kept


def _signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sync-agent stub")])
    loopback = ("127.0.0.1", "::1")
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.DNSName("*.localhost")]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in loopback]
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _is_valid(path: Path) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return False
    return certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=1)
