"""Own certificates, judged by a real TLS handshake, and the sentences about wrong ones."""

import os
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.settings import Settings
from dispatch_api.process import tls

NAMES = ["outrider.customs.example", "localhost", "127.0.0.1", "::1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The `tls` folder after `tls-init`."""
    assert tls.init(Settings(data_dir=tmp_path), NAMES) == 0
    return tmp_path / "tls"


def handshake(folder: Path, name: str, trusted: Path) -> str:
    """The protocol version a client that trusts only `trusted` agrees on with a server called `name`."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.crt", folder / "server.key")
    client = ssl.create_default_context(cafile=str(trusted))
    near, far = socket.socketpair()

    def serve() -> None:
        with far:
            try:
                server.wrap_socket(far, server_side=True).close()
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with near, client.wrap_socket(near, server_hostname=name) as wrapped:
            return wrapped.version() or ""
    finally:
        thread.join()


@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_trusts_the_authority_accepts_each_name(folder: Path, name: str) -> None:
    assert handshake(folder, name, folder / "ca.crt") == "TLSv1.3"


def test_another_name_is_refused(folder: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"doesn't match|not valid for"):
        handshake(folder, "elsewhere.example", folder / "ca.crt")


def test_files_are_private_and_the_authority_stays(folder: Path, tmp_path: Path) -> None:
    authority, server = (folder / "ca.crt").read_bytes(), (folder / "server.crt").read_bytes()
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert tls.init(Settings(data_dir=tmp_path), ["localhost"]) == 0
    assert (folder / "ca.crt").read_bytes() == authority
    assert (folder / "server.crt").read_bytes() != server
    assert handshake(folder, "localhost", folder / "ca.crt")


def test_lifetimes(folder: Path) -> None:
    server = x509.load_pem_x509_certificate((folder / "server.crt").read_bytes())
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    assert server.not_valid_after_utc - server.not_valid_before_utc == timedelta(days=825)
    assert authority.not_valid_after_utc - datetime.now(UTC) > timedelta(days=3649)


@pytest.mark.parametrize("names", [[], ["no spaces please"], ["-x.example"], ["a" * 64], ["ok.example", "b_d"]])
def test_names_that_are_none(tmp_path: Path, names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert tls.init(Settings(data_dir=tmp_path), names) == 1
    assert "host name" in capsys.readouterr().out
    assert not (tmp_path / "tls").exists()


def test_sound_files_have_no_problems(folder: Path) -> None:
    assert tls.problems(folder / "server.crt", folder / "server.key") == []
    assert tls.problems(None, None) == []


def test_problems_are_sentences(folder: Path, tmp_path: Path) -> None:
    cert, key = folder / "server.crt", folder / "server.key"
    assert "only together" in tls.problems(cert, None)[0]
    assert "No such file" in tls.problems(tmp_path / "none", key)[0]
    assert "not PEM" in tls.problems(cert, cert)[0]
    assert "does not belong" in tls.problems(cert, folder / "ca.key")[0]
    key.chmod(0o644)
    assert "chmod 600" in tls.problems(cert, key)[0]


def test_a_certificate_that_has_ended(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    began = datetime(2020, 1, 1, tzinfo=UTC)
    ended = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, began, began + timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    (tmp_path / "c").write_bytes(ended)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with os.fdopen(os.open(tmp_path / "k", os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(pem)
    assert "ended on 2020-01-02" in tls.problems(tmp_path / "c", tmp_path / "k")[0]
