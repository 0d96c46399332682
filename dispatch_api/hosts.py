"""Which names this server goes by.

A page of another site can have its own name resolve to this server (DNS rebinding) and then counts as of one origin
with it. Such a request carries that site's name as its Host.
"""

import socket
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from core.settings import Settings


def own_names(settings: Settings) -> frozenset[str]:
    """The names with a dot: of its address, the machine, the allowed origins, its links and the certificate."""
    addresses = (*settings.allowed_origins.split(","), settings.public_url or "")
    origins = {urlsplit(address.strip()).hostname or "" for address in addresses}
    return frozenset({settings.host.lower(), socket.gethostname().lower(), *origins, *_certified(settings.tls_cert)})


def _certified(certificate: Path | None) -> list[str]:
    if certificate is None or not certificate.is_file():
        return []
    found = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in names.get_values_for_type(x509.DNSName)]


def is_own(host: str, names: frozenset[str]) -> bool:
    """Whether a Host header names this server. Addresses and names without a dot cannot be another site's."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        return "." not in name or name in names or f"*.{name.partition('.')[2]}" in names or bool(ip_address(name))
    except ValueError:
        return False
