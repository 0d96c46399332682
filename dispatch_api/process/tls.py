"""Certificates of our own for a closed network, and the checks of whichever certificate is used."""

import ipaddress
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.settings import Settings
from dispatch_api.process.console import say

CA_DAYS = 3650
SERVER_DAYS = 825
"""The longest a certificate may live for Apple's tablets to accept it."""
_HOST = re.compile(r"(?=.{1,253}$)(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_BACKDATED = timedelta(hours=1)
"""Tablets' clocks are not exact."""


def init(settings: Settings, names: list[str]) -> int:
    """Write a server certificate for these DNS names and addresses into `tls/` of the data folder; the exit code.

    An authority of our own is made the first time and used again after, so that tablets trust it once.
    """
    wrong = [name for name in names if not _is_name(name)]
    if wrong or not names:
        say(f"Not a host name or address: {', '.join(wrong)}" if wrong else "Name at least one host name or address.")
        return 1
    folder = Path(settings.data_dir).resolve() / "tls"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority_key, authority = own_authority(folder)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _server_certificate(names, key, authority_key, authority)
    write(folder / "server.key", _pem(key))
    write(folder / "server.crt", certificate.public_bytes(_PEM) + authority.public_bytes(_PEM))
    _explain(folder, names, certificate)
    return 0


_PEM = serialization.Encoding.PEM


def problems(cert: Path | None, key: Path | None) -> list[str]:
    """What is wrong with the certificate and key that are set, each as a sentence; empty when nothing is."""
    if cert is None and key is None:
        return []
    if cert is None or key is None:
        return ["OUTRIDER_TLS_CERT and OUTRIDER_TLS_KEY are set only together."]
    try:
        certificate = x509.load_pem_x509_certificate(cert.read_bytes())
    except (OSError, ValueError) as error:
        return [f"OUTRIDER_TLS_CERT={cert} cannot be used: {_reason(error)}."]
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        return [f"OUTRIDER_TLS_KEY={key} cannot be used: {_reason(error)}."]
    found = []
    if private.public_key() != certificate.public_key():
        found.append(f"The key {key} does not belong to the certificate {cert}.")
    if certificate.not_valid_after_utc < datetime.now(UTC):
        found.append(f"The certificate {cert} ended on {certificate.not_valid_after_utc:%Y-%m-%d}: make a new one.")
    if certificate.not_valid_before_utc > datetime.now(UTC):
        found.append(f"The certificate {cert} is valid only from {certificate.not_valid_before_utc:%Y-%m-%d}.")
    if key.stat().st_mode & 0o007:
        found.append(f"The key {key} can be read by every user: chmod 600 {key}")
    return found


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is not PEM, or needs a password"


def _is_name(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return _HOST.fullmatch(name.lower()) is not None
    return True


def subject(name: str) -> x509.Name:
    """A common name alone."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def own_authority(folder: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """The key and certificate of our own authority, made the first time."""
    key_file, file = folder / "ca.key", folder / "ca.crt"
    if key_file.exists() and file.exists():
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key, x509.load_pem_x509_certificate(file.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = subject(f"Outrider authority {now:%Y-%m-%d}")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write(key_file, _pem(key))
    write(file, certificate.public_bytes(_PEM))
    return key, certificate


def _server_certificate(
    names: list[str],
    key: ec.EllipticCurvePrivateKey,
    authority_key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
) -> x509.Certificate:
    now = datetime.now(UTC)
    issuer = authority_key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject(names[0][:64]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(min(now - _BACKDATED + timedelta(days=SERVER_DAYS), authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer), critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """What a key may be used for: to sign certificates, or to speak TLS."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name.lower())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def write(file: Path, content: bytes) -> None:
    """Put the file in place whole, readable by its owner alone from the first moment."""
    new = file.with_suffix(file.suffix + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)
    new.replace(file)


def _explain(folder: Path, names: list[str], certificate: x509.Certificate) -> None:
    say(f"Certificate for {', '.join(names)}, valid to {certificate.not_valid_after_utc:%Y-%m-%d}.")
    say("Set these two and start again:")
    say(f"  OUTRIDER_TLS_CERT={folder / 'server.crt'}")
    say(f"  OUTRIDER_TLS_KEY={folder / 'server.key'}")
    say(f"Each tablet must trust this authority once: {folder / 'ca.crt'}")
    say("  Android: Settings, Security, Encryption & credentials, Install a certificate, CA certificate.")
    say("  iPad: open the file, Settings, Profile Downloaded, Install; then General, About, Certificate Trust.")
    say("  Windows: certutil -addstore Root ca.crt")
    say(f"Keep {folder / 'ca.key'} secret: whoever has it can pretend to be this server.")
