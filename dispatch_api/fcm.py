"""Firebase Cloud Messaging, for apps and, where that is chosen, for browsers.

Pushes go through Google's own library, which is loaded when the first one is sent.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog

from core.pushes import Outcome, Owed, Told
from core.settings import Settings
from dispatch_api.pushed import COLLAPSE, LONGEST_ASKED_S, PAYLOAD, TIMEOUT_S, TTL

log = structlog.get_logger()

FCM = "https://fcm.googleapis.com"
BROWSERS_HOSTS = ("https://firebaseinstallations.googleapis.com", "https://fcmregistrations.googleapis.com")
"""Written into the library that a browser registers with: it knows no others."""


def options(settings: Settings) -> dict[str, str] | None:
    """What apps ask Firebase with, and browsers if there is a `vapidKey`; None when nothing is set.

    Raises OSError and ValueError for a file of no use.
    """
    if settings.fcm_web is None:
        return None
    found = json.loads(settings.fcm_web.read_text())
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError("no object of texts")
    return found


def browsers_hosts(settings: Settings) -> tuple[str, ...]:
    """The hosts a browser asks to be woken through Firebase; none where that is not set up, or a key of our own is."""
    if settings.webpush_key or not settings.fcm_credentials:
        return ()
    try:
        return BROWSERS_HOSTS if (options(settings) or {}).get("vapidKey") else ()
    except (OSError, ValueError):  # told by troubles()
        return ()


def _project(credentials: Path) -> str:
    found = json.loads(credentials.read_text())
    if not isinstance(found, dict) or not isinstance(found.get("project_id"), str):
        raise ValueError("no service account")
    project: str = found["project_id"]
    return project


def troubles(settings: Settings) -> Iterator[str]:
    """What is wrong with the files that Firebase's settings name, each as a sentence."""
    try:
        options(settings)
    except (OSError, ValueError):
        yield f"OUTRIDER_FCM_WEB={settings.fcm_web} does not hold the options of a Firebase app (JSON)."
    try:
        if settings.fcm_credentials:
            _project(settings.fcm_credentials)
    except (OSError, ValueError):
        yield f"OUTRIDER_FCM_CREDENTIALS={settings.fcm_credentials} does not hold the key of a service account (JSON)."


class Fcm:
    """Sends through the project of a service account; `url` instead of Google's, for a stand-in."""

    def __init__(self, credentials: Path, url: str | None = None, credential: Any = None) -> None:
        self._credentials, self._url, self._credential = credentials, url, credential
        self._app: Any = None

    def send(self, owed: Sequence[Owed]) -> list[Told]:
        """What became of each push; raises nothing: what fails as a whole is to be tried again."""
        from firebase_admin import messaging
        from firebase_admin.exceptions import FirebaseError
        from google.auth.exceptions import GoogleAuthError

        try:
            self._app = self._app or self._connected()
            answers = messaging.send_each([self._message(one) for one in owed], app=self._app).responses
        except (FirebaseError, GoogleAuthError, OSError, ValueError) as error:
            log.error("push_failed", error=type(error).__name__, detail=str(error)[:300])
            return [Told(Outcome.DOWN)] * len(owed)
        return [_told(answer.exception) for answer in answers]

    def _connected(self) -> Any:
        """The library set up: its own retries off, since ours outlive the process and hold up nothing."""
        import firebase_admin
        from firebase_admin import messaging
        from requests.adapters import HTTPAdapter

        project = _project(self._credentials)
        credential = self._credential or firebase_admin.credentials.Certificate(str(self._credentials))
        options = {"projectId": project, "httpTimeout": TIMEOUT_S}
        app = firebase_admin.initialize_app(credential, options, name=f"outrider-{uuid4()}")
        service = messaging._get_messaging_service(app)
        # The library has no setting for either; a later one that names them otherwise is to be noticed at once.
        assert service._fcm_url.startswith(f"{FCM}/")
        service._fcm_url = service._fcm_url.replace(FCM, self._url or FCM)
        service._client.session.mount(self._url or FCM, HTTPAdapter(pool_connections=10, pool_maxsize=100))
        return app

    @staticmethod
    def _message(one: Owed) -> Any:
        from firebase_admin import messaging

        kind, target = one.push["target_kind"], one.push["target"]
        urgency = "high" if one.urgent else "normal"
        headers = {"TTL": str(int(TTL.total_seconds())), "Topic": COLLAPSE, "Urgency": urgency}
        return messaging.Message(
            data=PAYLOAD,
            android=messaging.AndroidConfig(collapse_key=COLLAPSE, ttl=TTL, priority=urgency),
            webpush=messaging.WebpushConfig(headers=headers),
            **{kind: target},
        )


def _told(error: Any) -> Told:
    """What the library's exception means for a push."""
    from firebase_admin import exceptions, messaging

    if error is None:
        return Told(Outcome.SENT)
    if isinstance(error, messaging.UnregisteredError | messaging.SenderIdMismatchError):
        return Told(Outcome.DEAD)
    if isinstance(error, exceptions.InvalidArgumentError):
        log.error("push_refused", detail=str(error)[:300])
        return Told(Outcome.REFUSED)
    if isinstance(error, exceptions.UnauthenticatedError | exceptions.PermissionDeniedError):
        log.error("push_not_allowed", detail=str(error)[:300])  # the service account has no right: somebody must act
    outcome = Outcome.LATER if isinstance(error, messaging.QuotaExceededError) else Outcome.DOWN
    return Told(outcome, _retry_after_s(error))


def _retry_after_s(error: Any) -> float | None:
    response = getattr(error, "http_response", None)
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    return min(float(asked), LONGEST_ASKED_S) if asked.isdecimal() and asked.isascii() else None
