"""Push targets as they come in: what apps are told to ask with, and what is taken of them."""

from typing import Any

import structlog

from core.errors import Invalid
from core.settings import Settings
from dispatch_api import fcm
from dispatch_api.webpush import codec, keys
from dispatch_api.webpush.endpoints import Allowed
from mobile_contract.session import PushTarget

log = structlog.get_logger()


def config(settings: Settings) -> dict[str, Any]:
    """What each channel is asked for a target with; null for one that is not set up."""
    identity = keys.identity(settings)
    return {
        "fcm": _fcm(settings),
        "webpush": identity and {"public_key": identity.public_key},
    }


def _fcm(settings: Settings) -> dict[str, str] | None:
    if settings.fcm_credentials is None:  # nothing could be sent
        return None
    try:
        return fcm.options(settings)
    except (OSError, ValueError) as error:  # officers are woken by the other channel all the same
        log.error("fcm_web_unusable", error=type(error).__name__)
        return None


def checked(settings: Settings, push: PushTarget | None) -> dict[str, Any] | None:
    """The target as it is kept; raises Invalid for one that could never be sent to, or that we would not call."""
    if push and push.channel == "webpush":
        assert push.keys  # the contract's rule
        if keys.identity(settings) is None:
            raise Invalid.at("push.channel", "not_set_up", "This server sends no pushes to browsers.")
        if Allowed.by(settings).endpoint(push.target) is None:
            raise Invalid.at("push.target", "not_allowed", "This server may not call that push service.")
        try:
            codec.on_curve(push.keys.p256dh)
        except ValueError as error:
            raise Invalid.at("push.keys.p256dh", "invalid", "This is no public key.") from error
    return push.model_dump(exclude_none=True) if push else None
