"""Structured logs: one JSON object a line, without secrets and without query strings."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRET_NAMES = re.compile(r"password|token|secret|key|credential|authorization|cookie|pin\b|csrf", re.IGNORECASE)
SECRET_TEXT = re.compile(r"\b(?:od|os|oi|ot)_[A-Za-z0-9_-]{20,}")
"""Keys of devices, sessions, installations and tickets (see core/ids.py) wherever they turn up in a text."""

ROW = re.compile(r"DETAIL:  .*?(?=\nHINT:  |\n\[SQL: |\n\nThe above exception|\n\nDuring handling|\Z)", re.DOTALL)
"""What PostgreSQL adds to an error: the row that failed, with people's names and all."""


def redact(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The entry without the values of secret fields, and without secrets and stored rows within texts."""
    for name, value in entry.items():
        if SECRET_NAMES.search(name):
            entry[name] = "[secret]"
        elif isinstance(value, str):
            entry[name] = ROW.sub("DETAIL:  [hidden]", SECRET_TEXT.sub("[secret]", value))
    return entry


def configure(level: str) -> None:
    """Send our own and the libraries' logs to standard error as JSON lines."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=structlog.processors.JSONRenderer(), foreign_pre_chain=shared)
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)
