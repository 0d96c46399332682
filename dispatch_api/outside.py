"""E-mail through SMTP and SMS through any HTTP gateway, for alarms that nobody took. Both block.

What leaves the house is the task's number, its priority and a link: the rest is behind the link, for who may see it.
"""

import contextlib
import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import structlog

from core.settings import Settings
from tasks.alert_messages import Channel, Outcome, Owed, Told

log = structlog.get_logger()

TIMEOUT_S = 10
LONGEST_ASKED_S = 3600.0
_REFUSES = {400, 413, 422}
"""What a gateway answers to a message it will never take, such as one to a number that does not exist."""
_DOWN = {401, 403, 404, 405, 407, 429, 502, 503, 504}
"""What it answers when another message would fare no better."""
_BODY = """Niekas neperėmė užduoties signalo. / Nobody has taken the alarm of this task.

#{number} {priority}
{link}
"""


class Sender(Protocol):
    """Who sends the messages of one channel; blocks, raises nothing."""

    def send(self, owed: Owed) -> Told:
        """What became of it."""


def wanted(settings: Settings) -> list[Channel]:
    """The channels that somebody began to set up."""
    named = {Channel.EMAIL: settings.smtp_host, Channel.SMS: settings.sms_url}
    return [channel for channel, where in named.items() if where]


def channels(settings: Settings) -> list[Channel]:
    """The channels that messages can leave by."""
    return [channel for channel in wanted(settings) if not troubles(settings, channel)]


def troubles(settings: Settings, channel: Channel) -> list[str]:
    """What is wrong with the settings of a channel, each as a sentence; empty when nothing is."""
    found = list(_mail_troubles(settings) if channel is Channel.EMAIL else _sms_troubles(settings))
    link = urlsplit(settings.public_url or "")
    if link.scheme not in {"http", "https"} or not link.hostname:
        found.append(
            "OUTRIDER_PUBLIC_URL is to be the address people open Outrider at, such as https://outrider.example."
        )
    return found


def _mail_troubles(settings: Settings) -> Iterator[str]:
    sender = settings.smtp_from or ""
    if not sender.isascii() or not sender.isprintable() or "@" not in sender.strip("@") or " " in sender:
        yield "OUTRIDER_SMTP_FROM is to be the address e-mails come from."
    if bool(settings.smtp_user) != bool(settings.smtp_password):
        yield "OUTRIDER_SMTP_USER and OUTRIDER_SMTP_PASSWORD are set only together."
    if settings.smtp_user and settings.smtp_security == "none" and not _is_here(settings.smtp_host):
        yield "OUTRIDER_SMTP_SECURITY=none would send the password over the network for all to read."
    if settings.smtp_ca and not settings.smtp_ca.is_file():
        yield f"OUTRIDER_SMTP_CA={settings.smtp_ca} is no file."


def _sms_troubles(settings: Settings) -> Iterator[str]:
    url = urlsplit(settings.sms_url or "")
    if url.scheme != "https" and not (url.scheme == "http" and _is_here(url.hostname)):
        yield "OUTRIDER_SMS_URL is to begin with https:// (http:// only on this machine)."
    if settings.sms_method == "GET" and settings.sms_format != "query":
        yield "OUTRIDER_SMS_METHOD=GET goes with OUTRIDER_SMS_FORMAT=query."
    for name in ("{to}", "{text}"):
        if name not in str(settings.sms_fields):
            yield f"OUTRIDER_SMS_FIELDS names no {name}."
    asked = "{secret}" in f"{settings.sms_fields}{settings.sms_headers}"
    if asked != bool(settings.sms_secret):
        yield "OUTRIDER_SMS_SECRET is set, and {secret} used in fields or headers, only together."


def _is_here(host: str | None) -> bool:
    return host in {"localhost", "127.0.0.1", "::1"}


def sender(settings: Settings, channel: Channel) -> Sender:
    """Who sends by this channel, which must be one of `channels`."""
    return Mail(settings) if channel is Channel.EMAIL else Sms(settings)


def link(settings: Settings, owed: Owed) -> str:
    """Where the task is shown to who may see it."""
    return f"{(settings.public_url or '').rstrip('/')}/#task/{owed.task_id}"


class Mail:
    """Sends through the mail server of the settings, each e-mail over a connection of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def send(self, owed: Owed) -> Told:
        """What became of it."""
        try:
            server = self._connected()
        except (smtplib.SMTPException, OSError, ValueError) as error:
            return _failed(Outcome.DOWN, error)
        try:
            server.send_message(self._message(owed))
        except smtplib.SMTPRecipientsRefused as error:
            return _failed(_of_answer(*next(iter(error.recipients.values()))), error)
        except smtplib.SMTPDataError as error:
            return _failed(_of_answer(error.smtp_code, error.smtp_error), error)
        except (smtplib.SMTPNotSupportedError, ValueError) as error:  # an address that cannot be written there
            return _failed(Outcome.REFUSED, error)
        except (smtplib.SMTPException, OSError) as error:
            return _failed(Outcome.DOWN, error)
        finally:
            _quit(server)
        return Told(Outcome.SENT)

    def _connected(self) -> smtplib.SMTP:
        to = self._settings
        assert to.smtp_host  # the channel is configured
        server: smtplib.SMTP
        if to.smtp_security == "tls":
            server = smtplib.SMTP_SSL(to.smtp_host, to.smtp_port, timeout=TIMEOUT_S, context=self._trust())
        else:
            server = smtplib.SMTP(to.smtp_host, to.smtp_port, timeout=TIMEOUT_S)
        try:
            if to.smtp_security == "starttls":
                server.starttls(context=self._trust())
            if to.smtp_user and to.smtp_password:
                server.login(to.smtp_user, to.smtp_password.get_secret_value())
        except BaseException:
            server.close()
            raise
        return server

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._settings.smtp_ca)

    def _message(self, owed: Owed) -> EmailMessage:
        message = EmailMessage()
        sent_from = self._settings.smtp_from or ""
        message["From"], message["To"] = sent_from, owed.address
        message["Subject"] = f"Outrider #{owed.number} {owed.priority}"
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = f"<{owed.id}@{sent_from.rpartition('@')[2]}>"  # a second try is the same e-mail
        message["Auto-Submitted"] = "auto-generated"
        where = link(self._settings, owed)
        message.set_content(_BODY.format(number=owed.number, priority=owed.priority, link=where))
        return message


def _of_answer(code: int, said: bytes | str) -> Outcome:
    """What a server's answer means: "5.7" is about who may send, so somebody can put it right."""
    first = said.decode(errors="replace") if isinstance(said, bytes) else said
    return Outcome.REFUSED if code >= 500 and code != 530 and not first.startswith("5.7.") else Outcome.LATER


def _failed(outcome: Outcome, error: Exception) -> Told:
    log.warning("email_failed", outcome=outcome.value, error=type(error).__name__)  # its text may hold the address
    return Told(outcome)


def _quit(server: smtplib.SMTP) -> None:
    """End a connection: the message is accepted or not by now, whatever the server says to this."""
    with contextlib.suppress(smtplib.SMTPException, OSError):
        server.quit()
    server.close()


class Sms:
    """Sends through the HTTP gateway of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def send(self, owed: Owed) -> Told:
        """What became of it."""
        to = self._settings
        assert to.sms_url  # the channel is configured
        secret = to.sms_secret.get_secret_value() if to.sms_secret else ""
        text = f"Outrider #{owed.number} {owed.priority} {link(to, owed)}"
        number = "".join(sign for sign in owed.address or "" if sign in "+0123456789")
        words = {"{to}": number, "{text}": text, "{id}": str(owed.id), "{secret}": secret}
        fields, headers = _filled(to.sms_fields, words), _filled(to.sms_headers, words)
        try:
            url, body = httpx.URL(to.sms_url), {}
            if to.sms_format == "query":
                url = url.copy_merge_params(fields)  # what the address itself asks for stays
            else:
                body = {"json" if to.sms_format == "json" else "data": fields}
            with httpx.stream(to.sms_method, url, headers=headers, timeout=TIMEOUT_S, **body) as answer:
                return _told(answer)  # what else it says is of no interest
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            log.warning("sms_failed", outcome="down", error=type(error).__name__)
            return Told(Outcome.DOWN)


def _filled(value: Any, words: dict[str, str]) -> Any:
    """The value with the words put in, wherever in it a text names one."""
    if isinstance(value, dict):
        return {name: _filled(inner, words) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, words) for inner in value]
    if isinstance(value, str):
        for name, word in words.items():
            value = value.replace(name, word)
    return value


def _told(answer: httpx.Response) -> Told:
    if answer.is_success:
        return Told(Outcome.SENT)
    code = answer.status_code
    outcome = Outcome.REFUSED if code in _REFUSES else Outcome.DOWN if code in _DOWN else Outcome.LATER
    log.warning("sms_failed", outcome=outcome.value, status=code)
    asked = answer.headers.get("Retry-After", "")
    return Told(outcome, min(float(asked), LONGEST_ASKED_S) if asked.isdecimal() and asked.isascii() else None)
