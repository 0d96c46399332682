"""What can go wrong, in plain words; `dispatch_api/errors.py` turns each into a problem document."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """One field that was refused: where, a stable code, and a sentence."""

    field: str
    code: str
    detail: str


class OutriderError(Exception):
    """Something Outrider refuses to do."""

    code = "error"
    title = "Error"

    def __init__(self, detail: str = "", **extra: object) -> None:
        super().__init__(detail or (type(self).__doc__ or "").strip())
        self.extra = extra


class Malformed(OutriderError):
    """The request cannot be read."""

    code, title = "malformed", "Malformed request"


class Invalid(OutriderError):
    """A field of the request is not acceptable."""

    code, title = "invalid", "Invalid field"

    def __init__(self, detail: str, errors: list[FieldError] | None = None) -> None:
        super().__init__(detail)
        self.errors = errors or []

    @classmethod
    def at(cls, field: str, code: str, detail: str) -> "Invalid":
        """The error for one field."""
        return cls(detail, [FieldError(field, code, detail)])


class NotSignedIn(OutriderError):
    """Sign in first."""

    code, title = "not_signed_in", "Not signed in"


class BadCredentials(OutriderError):
    """Login or password is wrong."""

    code, title = "bad_credentials", "Wrong credentials"


class BadDeviceKey(OutriderError):
    """The device key is unknown or revoked."""

    code, title = "bad_device_key", "Unknown device key"


class InstallRevoked(NotSignedIn):
    """This installation was shut out: what it stored is to be wiped."""

    code, title = "install_revoked", "Installation revoked"


class PinLocked(BadCredentials):
    """Too many wrong PINs: sign in with the password and set a new one."""

    code, title = "pin_locked", "PIN locked"


class CodeNeeded(BadCredentials):
    """The code of the second factor is needed too."""

    code, title = "code_needed", "Code needed"


class CodeUnset(BadCredentials):
    """This role needs a second factor: set one up first."""

    code, title = "code_unset", "Second factor needed"


class BadCode(BadCredentials):
    """This code is wrong, or was used before."""

    code, title = "bad_code", "Wrong code"


class NotAllowed(OutriderError):
    """Your role does not have this."""

    code, title = "not_allowed", "Not allowed"


class FourEyes(NotAllowed):
    """Another administrator decides: not who proposed it, and not who would gain by it."""

    code, title = "four_eyes", "For another administrator"


class OwnHandover(NotAllowed):
    """Another dispatcher confirms a hand-over: not who gave it."""

    code, title = "own_handover", "For another dispatcher"


class Csrf(OutriderError):
    """The request did not come from a page of Outrider."""

    code, title = "csrf", "Cross-site request refused"


class NotFound(OutriderError):
    """There is no such thing, or it is not yours to see."""

    code, title = "not_found", "Not found"


class Conflict(OutriderError):
    """The request conflicts with what is stored."""

    code, title = "conflict", "Conflict"


class VersionConflict(Conflict):
    """Somebody changed it first."""

    code, title = "version_conflict", "Changed meanwhile"


class IdReused(Conflict):
    """This id was used before for another request."""

    code, title = "id_reused", "Id used before"


class LastAdministrators(Conflict):
    """Two people stay administrators while four eyes are asked for: make another first, or disable this one."""

    code, title = "last_administrators", "Two administrators stay"


class TransitionNotAllowed(Conflict):
    """The state does not allow this step."""

    code, title = "transition_not_allowed", "Step not allowed"


class WindowOverlap(Conflict):
    """The unit has another task in this window."""

    code, title = "window_overlap", "Windows overlap"


class FormRequired(Conflict):
    """The task cannot be completed or closed without a stop form."""

    code, title = "form_required", "Stop form required"


class PieceOutOfOrder(Conflict):
    """A piece of the file is missing before this one."""

    code, title = "piece_out_of_order", "Piece out of order"


class HashMismatch(Conflict):
    """What arrived is not what was sent: send it again."""

    code, title = "hash_mismatch", "Damaged on the way"


class TooLarge(OutriderError):
    """The request is larger than allowed."""

    code, title = "too_large", "Too large"


class MediaType(OutriderError):
    """This content type is not accepted here."""

    code, title = "media_type", "Unsupported media type"


class TooMany(OutriderError):
    """Too many tries: wait."""

    code, title = "too_many", "Too many requests"

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)


class Overloaded(OutriderError):
    """Outrider cannot take this now; nothing was stored."""

    code, title = "overloaded", "Overloaded"

    def __init__(self, detail: str = "", retry_after_s: int = 2) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)
