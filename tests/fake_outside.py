"""A mail server and an SMS gateway on loopback, for the real libraries to talk to.

How an address or a number begins chooses the answer: `gone`/+1 is refused for good, `busy`/+2 for now.
"""

import json
import socketserver
import ssl
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit


class FakeMail:
    """Speaks SMTP, after STARTTLS when a certificate is given; `taken` are the e-mails it accepted."""

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self.taken: list[EmailMessage] = []
        self.attempts = 0
        self.logins: list[str] = []
        self.is_down = False
        self.trust: ssl.SSLContext | None = None
        if certificate:
            self.trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.trust.load_cert_chain(*certificate)
        fake = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                fake._talk(self)

        class Listener(socketserver.ThreadingTCPServer):
            allow_reuse_address = daemon_threads = True

        self._server = Listener(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _talk(self, line: Any) -> None:
        self.attempts += 1
        if self.is_down:
            return
        stream, is_safe = line.request, self.trust is None
        read, say = line.rfile, line.wfile
        say.write(b"220 here\r\n")
        while words := read.readline():
            verb = words.split()[0].upper() if words.split() else b""
            if verb == b"EHLO":
                say.write(b"250-here\r\n250 AUTH PLAIN\r\n" if is_safe else b"250-here\r\n250 STARTTLS\r\n")
            elif verb == b"STARTTLS" and self.trust:
                say.write(b"220 go\r\n")
                stream = self.trust.wrap_socket(stream, server_side=True)
                read, say, is_safe = stream.makefile("rb"), stream.makefile("wb", 0), True
            elif not is_safe:
                say.write(b"530 5.7.0 STARTTLS first\r\n")
            elif verb == b"AUTH":
                self.logins.append(words.split()[2].decode())
                say.write(b"235 welcome\r\n")
            elif verb == b"RCPT":
                to = words.partition(b"<")[2]
                refusal = b"550 5.1.1 no such" if to.startswith(b"gone") else b"450 4.2.1 later"
                say.write((refusal if to.startswith((b"gone", b"busy")) else b"250 ok") + b"\r\n")
            elif verb == b"DATA":
                say.write(b"354 go on\r\n")
                raw = b"".join(iter(read.readline, b".\r\n"))
                self.taken.append(message_from_bytes(raw, policy=policy.default))  # type: ignore[arg-type]
                say.write(b"250 taken\r\n")
            elif verb == b"QUIT":
                say.write(b"221 bye\r\n")
                return
            else:
                say.write(b"250 ok\r\n")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class FakeGateway:
    """Takes SMS over HTTP; `taken` are the fields of those it accepted, `headers` those of the last."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}
        self.attempts = 0
        self.status = 202
        self.retry_after = ""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                fake._answer(self)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/sms"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        self.attempts += 1
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0)).decode()
        if request.command == "GET":
            fields: dict[str, Any] = dict(parse_qsl(urlsplit(request.path).query))
        else:
            is_json = request.headers["Content-Type"] == "application/json"
            fields = json.loads(body) if is_json else dict(parse_qsl(body))
        status = self.status
        if status == 202:
            status = {"+1": 422, "+2": 500}.get(str(fields["to"])[:2], status)
        if status == 202:
            self.taken.append(fields)
            self.headers = {name.lower(): value for name, value in request.headers.items()}
        request.send_response(status)
        if self.retry_after and status != 202:
            request.send_header("Retry-After", self.retry_after)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
