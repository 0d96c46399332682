"""A stand-in for Google's token endpoint, FCM's messages:send and what browsers register with, for the real libraries.

How a target's name begins chooses its answer: gone (404), foreign (403), quota (429), down (503), bad (400), and
denied (403, which is the service account's fault).
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.credentials import Credentials

FAILURES = {
    "gone": (404, "NOT_FOUND", "UNREGISTERED"),
    "foreign": (403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
    "quota": (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"),
    "down": (503, "UNAVAILABLE", "UNAVAILABLE"),
    "bad": (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    "denied": (403, "PERMISSION_DENIED", "PERMISSION_DENIED"),
}


class Known(Credentials):  # type: ignore[misc]
    """Credentials that need no network."""

    def get_credential(self) -> "Known":
        return self

    def refresh(self, _: Any) -> None:
        self.token = "local"


class FakeGoogle:
    """Serves on loopback; `messages` were delivered, `attempts` are all targets that were tried.

    `registered` are the subscriptions of browsers that asked for it.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.attempts: list[str] = []
        self.registered: list[dict[str, str]] = []
        self.token_requests = 0
        self.is_offline = False
        self.retry_after = ""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                fake._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Listener(ThreadingHTTPServer):
            request_queue_size = 128

        self._server = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        if self.is_offline:
            request.close_connection = True
            return
        if request.path == "/token":
            self.token_requests += 1
            self._reply(request, 200, {"access_token": "local", "expires_in": 3600, "token_type": "Bearer"})
            return
        assert request.headers["Authorization"] == "Bearer local"
        message = json.loads(body)["message"]
        target = message.get("fid") or message["token"]
        self.attempts.append(target)
        if failure := FAILURES.get(target.split("-")[0]):
            code, status, reason = failure
            detail = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": reason}
            error = {"code": code, "status": status, "message": reason.lower(), "details": [detail]}
            self._reply(request, code, {"error": error})
            return
        self.messages.append(message)
        self._reply(request, 200, {"name": f"projects/outrider-test/messages/{len(self.messages)}"})

    def _reply(self, request: BaseHTTPRequestHandler, code: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        request.send_response(code)
        request.send_header("Content-Length", str(len(data)))
        if code in {429, 503} and self.retry_after:
            request.send_header("Retry-After", self.retry_after)
        request.end_headers()
        request.wfile.write(data)

    def service_account(self, file: Path) -> Path:
        """A throw-away service account whose token endpoint is this server."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        kind = serialization.PrivateFormat.PKCS8
        pem = key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()
        account = {
            "type": "service_account", "project_id": "outrider-test", "private_key_id": "1", "private_key": pem,
            "client_email": "push@outrider-test.invalid", "client_id": "1", "token_uri": f"{self.url}/token",
        }  # fmt: skip
        file.write_text(json.dumps(account))
        return file

    def for_browsers(
        self, method: str, url: str, headers: dict[str, str], content: bytes
    ) -> tuple[int, dict[str, Any]]:
        """What the two hosts answer that a browser registers with, whose names are written into Google's library."""
        if url.endswith("/installations"):
            fid = json.loads(content)["fid"]
            token = {"token": f"of {fid}", "expiresIn": "604800s"}
            return 200, {"fid": fid, "refreshToken": "r", "authToken": token}
        fid = headers["x-goog-firebase-installations-auth"].removeprefix("FIS of ")
        assert method == "POST"
        assert url.endswith("/registrations")
        self.registered.append(json.loads(content)["web"] | {"fid": fid, "key": headers["x-goog-api-key"]})
        return 200, {"name": f"projects/outrider-test/registrations/{fid}"}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
