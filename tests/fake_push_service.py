"""A stand-in for a browser maker's push service, over TLS: it checks whose a push is, and opens it as a browser does.

How an endpoint's name begins chooses its answer: gone (410), unknown (404), quota (429), down (503), denied (403),
large (413), and moved (307, to another endpoint of the same service).
"""

import base64
import json
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.settings import Settings
from dispatch_api.process import tls

ANSWERS = {"gone": 410, "unknown": 404, "quota": 429, "down": 503, "denied": 403, "large": 413, "moved": 307}
POINT = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def bytes_of(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Subscription:
    """One browser's, with the half that only the browser has."""

    endpoint: str
    auth: bytes = b"0123456789abcdef"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def keys(self) -> dict[str, str]:
        return {"p256dh": b64(self.key.public_key().public_bytes(*POINT)), "auth": b64(self.auth)}

    @property
    def target(self) -> dict[str, Any]:
        """As apps tell it to the server."""
        return {"channel": "webpush", "target": self.endpoint, "target_kind": "endpoint", "keys": self.keys}

    def opened(self, body: bytes) -> bytes:
        """What a push holds, by RFC 8291 read from the receiver's side."""
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        theirs, sealed = body[21 : 21 + length], body[21 + length :]
        assert len(sealed) <= size
        shared = self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs))
        info = b"WebPush: info\x00" + self.key.public_key().public_bytes(*POINT) + theirs

        def derive(length: int, salt: bytes, info: bytes, of: bytes) -> bytes:
            return HKDF(hashes.SHA256(), length, salt, info).derive(of)

        secret = derive(32, self.auth, info, shared)
        key = derive(16, salt, b"Content-Encoding: aes128gcm\x00", secret)
        nonce = derive(12, salt, b"Content-Encoding: nonce\x00", secret)
        content = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\x00")
        assert content[-1:] == b"\x02", "the last record says that it is the last"
        return content[:-1]


@dataclass(frozen=True)
class Pushed:
    """A push that was let in."""

    name: str
    content: Any
    headers: dict[str, str]
    claims: dict[str, Any]


class FakePushService:
    """Serves on loopback with a certificate of its own authority; `pushed` were delivered, `attempts` were tried."""

    def __init__(self, folder: Path) -> None:
        assert tls.init(Settings(data_dir=folder), ["localhost", "127.0.0.1"]) == 0
        self.authority = folder / "tls" / "ca.crt"
        self.subscriptions: dict[str, Subscription] = {}
        self.pushed: list[Pushed] = []
        self.attempts: list[str] = []
        self.faults: list[str] = []
        self.is_offline = False
        self.retry_after = ""
        self.came = threading.Condition()
        self._server = self._listener(folder / "tls")
        self.origin = f"https://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _listener(self, certificates: Path) -> ThreadingHTTPServer:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                fake._answer(self)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        class Listener(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass

        made = Listener(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
        made.socket = context.wrap_socket(made.socket, server_side=True, do_handshake_on_connect=False)
        return made

    def subscribe(self, name: str) -> Subscription:
        """What a browser gets when it subscribes."""
        made = self.subscriptions[name] = Subscription(f"{self.origin}/push/{name}")
        return made

    def settings(self, folder: Path) -> dict[str, Any]:
        """A server's settings by which it sends here, with a key of its own."""
        from dispatch_api.webpush import keys

        assert keys.init(Settings(data_dir=folder), "duty@customs.example") == 0
        return {
            "webpush_key": folder.resolve() / "webpush" / "vapid.key",
            "webpush_contact": "mailto:duty@customs.example",
            "webpush_hosts": self.origin.removeprefix("https://"),
            "webpush_private": True,
            "webpush_ca": self.authority,
        }

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        if self.is_offline:
            request.close_connection = True
            return
        name = request.path.rpartition("/")[2]
        self.attempts.append(name)
        status = ANSWERS.get(name.split("-")[0], 201)
        if status == 201:
            try:
                pushed = self._let_in(name, request, body)
            except Exception as error:
                self.faults.append(f"{name}: {error!r}")
                status = 400
            else:
                with self.came:
                    self.pushed.append(pushed)
                    self.came.notify_all()
        self._reply(request, status)

    def _let_in(self, name: str, request: BaseHTTPRequestHandler, body: bytes) -> Pushed:
        headers = {key.lower(): value for key, value in request.headers.items()}
        assert request.command == "POST"
        scheme, _, fields = headers["authorization"].partition(" ")
        assert scheme == "vapid"
        told = dict(part.strip().split("=", 1) for part in fields.split(","))
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes_of(told["k"]))
        claims = jwt.decode(told["t"], key, algorithms=["ES256"], audience=self.origin, options={"require": ["exp"]})
        assert headers["content-encoding"] == "aes128gcm"
        return Pushed(name, json.loads(self.subscriptions[name].opened(body)), headers, claims | {"k": told["k"]})

    def _reply(self, request: BaseHTTPRequestHandler, status: int) -> None:
        request.send_response(status)
        request.send_header("Content-Length", "0")
        if status == 307:
            request.send_header("Location", f"{self.origin}/push/elsewhere")
        if status in {429, 503} and self.retry_after:
            request.send_header("Retry-After", self.retry_after)
        request.end_headers()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
