"""One table from what went wrong to its status, and one shape for every error: RFC 9457 problem documents."""

import json
from http import HTTPStatus
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from core import errors as e

log = structlog.get_logger()

STATUS: dict[type[e.OutriderError], int] = {
    e.Malformed: 400,
    e.NotSignedIn: 401,
    e.BadCredentials: 401,
    e.BadDeviceKey: 401,
    e.NotAllowed: 403,
    e.Csrf: 403,
    e.NotFound: 404,
    e.Conflict: 409,
    e.TooLarge: 413,
    e.MediaType: 415,
    e.Invalid: 422,
    e.TooMany: 429,
    e.Overloaded: 503,
}
FRAMEWORK: dict[int, type[e.OutriderError]] = {400: e.Malformed, 404: e.NotFound, 413: e.TooLarge, 415: e.MediaType}
OVERLOAD_STATES = ("53", "57", "55P03", "40P01", "40001", "08")
"""SQLSTATE classes that mean: not now (no disk, no connection, shutting down, lock or statement timeout)."""

GONE = (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What the driver raises when the database is gone; the last when it went in mid-statement."""


def status_of(error: e.OutriderError) -> int:
    """The HTTP status of an error: that of its nearest listed class."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def document(error: e.OutriderError) -> dict[str, Any]:
    """The problem document of an error."""
    status = status_of(error)
    body = {"type": f"urn:outrider:{error.code}", "title": error.title, "status": status, "code": error.code}
    body["detail"] = str(error)
    if isinstance(error, e.Invalid) and error.errors:
        body["errors"] = [{"field": f.field, "code": f.code, "detail": f.detail} for f in error.errors]
    return body | {k: v for k, v in error.extra.items() if v is not None}


def problem(error: e.OutriderError) -> Response:
    """The response that carries an error."""
    body = document(error)
    headers = {"Cache-Control": "no-store"}
    if "retry_after_s" in body:
        headers["Retry-After"] = str(body["retry_after_s"])
    if status_of(error) == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, e.TooLarge):
        headers["Connection"] = "close"  # the rest of the body is not worth reading
    return JSONResponse(body, body["status"], headers, media_type="application/problem+json")


def _field(location: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in location if part not in {"body", "query", "path", "header"})


def invalid(error: RequestValidationError) -> e.OutriderError:
    """A refused request without its values: they may hold secrets."""
    faults = error.errors()
    if any(f["type"] == "json_invalid" for f in faults):
        return e.Malformed("The body is not JSON.")
    listed = [e.FieldError(_field(f["loc"]), str(f["type"]), str(f["msg"])) for f in faults[:50]]
    return e.Invalid("Some fields are not acceptable.", listed)


def from_database(error: Exception) -> e.OutriderError | None:
    """The refusal a database failure amounts to, or None when it is a fault of ours."""
    if isinstance(error, PoolTimeout | InterfaceError | ConnectionError | TimeoutError):
        return e.Overloaded()
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = str(getattr(cause, "sqlstate", "") or getattr(cause, "pgcode", "") or "")
    driver = getattr(cause, "__cause__", None) or cause
    if state.startswith(OVERLOAD_STATES) or isinstance(driver, GONE):
        return e.Overloaded()
    if isinstance(error, OperationalError):
        return e.Overloaded()
    return None


async def _answer(request: Request, error: Exception) -> Response:
    if isinstance(error, e.OutriderError):
        return problem(error)
    if isinstance(error, RequestValidationError):
        return problem(invalid(error))
    if isinstance(error, HTTPException):
        kind = FRAMEWORK.get(error.status_code)
        if kind:
            return problem(kind())
        body = {"type": "about:blank", "title": HTTPStatus(error.status_code).phrase, "status": error.status_code}
        body |= {"code": HTTPStatus(error.status_code).name.lower(), "detail": str(error.detail)}
        return JSONResponse(body, error.status_code, error.headers, media_type="application/problem+json")
    if refusal := from_database(error):
        log.warning("database_refused", error=type(error).__name__, path=request.url.path)
        return problem(refusal)
    log.error("unexpected", path=request.url.path, exc_info=error)
    return server_fault()


def server_fault() -> Response:
    """A 500 that tells nothing but that it is logged."""
    body = {"type": "urn:outrider:fault", "title": "Server fault", "status": 500, "code": "fault"}
    body["detail"] = "Something went wrong here; it is logged."
    return Response(json.dumps(body), 500, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""
    for kind in (e.OutriderError, RequestValidationError, HTTPException, PoolTimeout, DBAPIError, OSError, Exception):
        app.add_exception_handler(kind, _answer)
