# SPDX-License-Identifier: Apache-2.0
"""Typed errors for replies of a chat endpoint that refuse a request.

The API reference has ``{"error": {"message", "type", "param", "code"}}``.  Servers that follow it also write
``{"error": "text"}``, ``{"object": "error", "message", ...}`` and ``{"detail": ...}``, put the HTTP status
into ``code``, and send any of these inside a stream that began with status 200.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import attrs

from gradio_transport.adapter import (
    AuthenticationRequired,
    EndpointNotFound,
    GradioTransportError,
    InvalidPayload,
    Phase,
    RateLimited,
    RemoteProtocolError,
    Response,
    ServerRefused,
    excerpt,
    refusal,
)

_STATUSES: Mapping[str, int] = {
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "insufficient_quota": 429,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "context_length_exceeded": 400,
    "exceed_context_size_error": 400,
    "invalid_request_error": 400,
}
"""The status for a word in ``code`` or ``type``, if there is no other status."""

_CONTEXT = re.compile(
    r"context_length_exceeded|exceed_context_size|(maximum|available) context|context (length|size|window)",
    re.I,
)


@attrs.frozen
class _ErrorFields:
    """A parsed error object.

    Attributes:
        words: Code and type, if they are words.
    """

    text: str
    status: int | None
    words: tuple[str, ...]


def is_error(message: Mapping[str, Any]) -> bool:
    """Return whether a message of a stream is an error object."""
    return bool(message.get("error")) or message.get("object") == "error"


def refusal_error(response: Response, phase: Phase, *, model: str) -> GradioTransportError:
    """Return the error for a reply that is not a success."""
    try:
        value = response.json()
    except ValueError:
        value = None
    said = _parse_error(value)
    text = said.text or excerpt(response.body) or "no reason given"
    error = _error(attrs.evolve(said, text=text, status=response.status), model, response.url)
    error.phase, error.status, error.body = phase, response.status, excerpt(response.body)
    if isinstance(error, RateLimited):
        error.retry_after = getattr(refusal(response, phase), "retry_after", None)
    return error


def stream_error(value: Any, *, model: str) -> GradioTransportError:
    """Return the error for an error object in a stream, or in a reply with a success status."""
    said = _parse_error(value)
    error = _error(attrs.evolve(said, text=said.text or excerpt(value)), model, "")
    error.phase, error.may_have_run = Phase.STREAM, True
    return error


def _parse_error(value: Any) -> _ErrorFields:
    if not isinstance(value, dict):
        return _ErrorFields("", None, ())
    outer = cast("dict[str, Any]", value)
    inner = outer.get("error") or outer.get("detail") or outer
    if not isinstance(inner, dict):
        return _ErrorFields(inner if isinstance(inner, str) else excerpt(cast("object", inner)), None, ())
    said = cast("dict[str, Any]", inner)
    message = said.get("message") or said.get("msg") or ""
    words = tuple(word for word in (said.get("code"), said.get("type")) if isinstance(word, str))
    return _ErrorFields(
        message if isinstance(message, str) else excerpt(message), _status(said.get("code")), words
    )


def _status(code: Any) -> int | None:
    """Return the HTTP status that some servers put into ``code``."""
    text = str(code) if isinstance(code, int | str) else ""
    return int(text) if re.fullmatch("[45][0-9][0-9]", text) else None


def _error(said: _ErrorFields, model: str, url: str) -> GradioTransportError:
    status = said.status or next((_STATUSES[word] for word in said.words if word in _STATUSES), 500)
    says = f"The server replied: {said.text.rstrip('.')}."
    if status < 500 and _CONTEXT.search(" ".join((*said.words, said.text))):
        return InvalidPayload(
            f"The conversation is longer than the context of the model {model!r}. {says} Send less of the "
            "history, or smaller files."
        )
    match status:
        case 401:
            return AuthenticationRequired(f"{says} Pass the server's key as token=.")
        case 403:
            return AuthenticationRequired(f"{says} The token does not permit this.")
        case 404 | 405 if "model" in said.text.lower() or "model_not_found" in said.words:
            return EndpointNotFound(f"The server has no model {model!r}. {says}")
        case 404 | 405:
            return EndpointNotFound(
                f"There is no chat endpoint at {url or 'this address'}. {says} Check the URL: it usually "
                "ends in /v1."
            )
        case 429 if "insufficient_quota" in said.words:
            return RateLimited(f"The quota is used up; waiting does not help. {says}", retryable=False)
        case 429:
            return RateLimited(f"Too many requests. {says}")
        case _ if 300 <= status < 400:
            return RemoteProtocolError(f"The server redirects, and a chat does not follow redirects. {says}")
        case _ if status < 300:
            return RemoteProtocolError(f"This is not a reply of a chat endpoint. {says} Check the URL.")
        case 400 | 413 | 415 | 422:
            return InvalidPayload(says)
        case _:
            return ServerRefused(says, retryable=status in (502, 503, 504))
