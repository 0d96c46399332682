"""Certificates by which tablets are known where TLS is mutual, from our own authority, as the files ATAK imports."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID

from core.settings import Settings
from dispatch_api.process import tls
from dispatch_api.process.console import say

DAYS = 825
PASSWORD = b"atakatak"
"""What ATAK tries first; the file is as secret as the tablet."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# What old Androids can open.
_SEALED = (
    PrivateFormat.PKCS12.encryption_builder()
    .kdf_rounds(50_000)
    .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
    .hmac_hash(hashes.SHA1())  # noqa: S303 - see above
    .build(PASSWORD)
)


def init(settings: Settings, name: str) -> int:
    """Write `NAME.p12` and `truststore.p12` into `tls/` of the data folder; the exit code."""
    folder = Path(settings.data_dir).resolve() / "tls"
    if not _NAME.fullmatch(name):
        say("A tablet's name has letters, digits, dots, hyphens and underlines, 64 at most.")
        return 1
    if not (folder / "ca.key").exists():
        say("There is no authority of our own yet: make one with `outrider tls-init NAME`.")
        return 1
    authority_key, authority = tls.own_authority(folder)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(tls.subject(name))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(min(now + timedelta(days=DAYS), authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(tls.usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    own, trusted = folder / f"{name}.p12", folder / "truststore.p12"
    tls.write(own, pkcs12.serialize_key_and_certificates(name.encode(), key, certificate, [authority], _SEALED))
    tls.write(trusted, pkcs12.serialize_java_truststore([pkcs12.PKCS12Certificate(authority, b"outrider")], _SEALED))
    say(f"For the tablet {name}, valid to {certificate.not_valid_after_utc:%Y-%m-%d}: {own} and {trusted}")
    say(f"The password of both is {PASSWORD.decode()}. Register the device with this name as `identifier`.")
    return 0
