# SPDX-License-Identifier: Apache-2.0
"""Typed errors for HTTP replies that refuse a request (docs/wire.md §5.1, §12, §14)."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any, cast

from ..errors import (
    EXCERPT_CHARACTERS,
    AppError,
    AuthenticationRequired,
    EndpointNotFound,
    GradioTransportError,
    InvalidPayload,
    Phase,
    QueueFull,
    QuotaExceeded,
    RateLimited,
    RemoteProtocolError,
    ServerRefused,
    SessionNotFound,
    ValidationFailed,
    excerpt,
    list_texts,
)
from .access import LOGIN_ELSEWHERE, access_advice, redirect_target, wants_app_login, wants_login
from .commands import Response
from .quota import is_quota_exceeded, quota_wait
from .reach import TEMPORARY, is_queue_full
from .retry_after import retry_after
from .web_page import readable_text


def refusal(response: Response, phase: Phase, *, what: str = "The server") -> GradioTransportError:
    """Return the error for a reply that is not a success.

    Args:
        response: The reply.
        phase: The phase of the request.
        what: The refusing server or request, for the message.
    """
    if response.proxy:
        what = f"{what}, or the proxy {response.proxy} in front of it,"
    detail = _detail(response)
    context: dict[str, Any] = {"phase": phase, "status": response.status, "body": excerpt(response.body)}
    # First, because a validator uses the status of a schema error: only the body distinguishes them.
    if response.status == 422:
        return _unprocessable_error(detail, context)
    text = detail if isinstance(detail, str) and detail else excerpt(readable_text(response))
    text = text or "no reason given"
    says = f"{what} answered: {text}"
    sentence = says if says.endswith((".", "!", "?")) else f"{says}."
    match response.status:
        case 401 | 403:
            return AuthenticationRequired(f"{sentence} {access_advice(response)}", **context)
        case 429:
            wait = retry_after(response.headers.get("retry-after"), _server_time(response))
            return RateLimited(f"Too many requests. {says}", retry_after=wait, **context)
        case 503 if is_queue_full(response):
            return QueueFull(f"The app's queue is full. {says}", **context)
        case 404 if "session not found" in text.lower():
            return SessionNotFound(says, **context)
        case 404 | 405:
            return EndpointNotFound(
                f"{sentence} The app may have changed, or may be of another version.", **context
            )
        case 400 | 413:
            return InvalidPayload(says, **context)
        case status if wants_login(response):
            advice = "Pass auth=('user', 'password')." if wants_app_login(response) else LOGIN_ELSEWHERE
            return AuthenticationRequired(
                f"{what} redirects to {excerpt(redirect_target(response) or '')!r}. {advice}", **context
            )
        case status if status < 300:
            return RemoteProtocolError(f"{what} sent an unexpected reply: {text}", **context)
        case status if status < 400:
            target = excerpt(redirect_target(response) or "")
            return RemoteProtocolError(
                f"{what} redirects endlessly or elsewhere: {target!r}. {LOGIN_ELSEWHERE}", **context
            )
        case status:
            return ServerRefused(says, retryable=status in TEMPORARY, **context)


def _server_time(response: Response) -> float:
    """Return the server's current time, to which a ``Retry-After`` date is relative."""
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _detail(response: Response) -> Any:
    try:
        value = response.json()
    except ValueError:
        return None
    if not isinstance(value, dict):
        return value
    reply = cast("dict[str, Any]", value)
    detail = reply.get("detail", reply.get("error"))
    if isinstance(detail, dict):  # 5.36+: {"error": "Not authenticated", "auth_message": ...}
        return cast("dict[str, Any]", detail).get("error")
    return detail


def _unprocessable_error(detail: Any, context: dict[str, Any]) -> GradioTransportError:
    """Return the error for a 422: a validator's reply (5.45+) or a schema error, which are both lists."""
    items = (
        [cast("dict[str, Any]", item) for item in cast("list[Any]", detail) if isinstance(item, dict)]
        if isinstance(detail, list)
        else []
    )
    if any(item.get("__type__") == "validate" or "is_valid" in item for item in items):
        problems = {
            str(item.get("parameter_name") or f"argument {place}"): str(item.get("message") or "invalid")
            for place, item in enumerate(items, 1)
            if item.get("is_valid") is False
        }
        texts = [f"{name}: {problem}" for name, problem in problems.items()]
        listed = list_texts(texts, separator="; ", longest=EXCERPT_CHARACTERS)
        return ValidationFailed(f"The app refused the arguments: {listed}.", problems=problems, **context)
    if items:
        texts = [f"{_place_of(item)}: {item.get('msg', 'invalid')}" for item in items]
        listed = list_texts(texts, separator="; ", longest=EXCERPT_CHARACTERS)
        return InvalidPayload(f"The server refused the form of the request: {listed}.", **context)
    return InvalidPayload(f"The server refused the request: {context['body']}.", **context)


def _place_of(item: Mapping[str, Any]) -> str:
    place = item.get("loc")
    return ".".join(map(str, cast("list[Any]", place))) if isinstance(place, list) else "request"


def app_error(output: Mapping[str, Any], *, quoted: bool, title: str | None = None) -> AppError:
    """Return the `AppError` of an error object (docs/wire.md §14.1).

    Args:
        output: ``{"error": text | null, "duration"?, "visible"?, "title"?}``.
        quoted: Whether the server sends the repr of a ``gr.Error``, quotes included (3.1.7 to 5.1).
        title: Heading at message level, used if the object has none.
    """
    text, duration = output.get("error", ""), output.get("duration")
    own_title = output.get("title")
    hidden = text is None
    message = text if isinstance(text, str) else ""
    if quoted:
        message = _unquote(message)
    if hidden:
        message = "The app's function raised an error, which the app hides (show_error is off)."
    elif message.strip() in ("", "None"):  # Python's text for an exception without arguments, or with None
        message = "The call failed: the server sent an error without a text."
    context: dict[str, Any] = {
        "title": own_title if isinstance(own_title, str) else title,
        "duration": _seconds(duration),
        "visible": output.get("visible") is not False,
        "phase": Phase.COMPLETE,
    }
    if is_quota_exceeded(message, context["title"]):
        return QuotaExceeded(message, retry_after=quota_wait(message), hidden=hidden, **context)
    return AppError(message, hidden=hidden, **context)


def _seconds(value: Any) -> float | None:
    # NaN, Infinity and integers beyond float range are not valid times.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= sys.float_info.max else None


_ESCAPES: Mapping[str, str] = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", '"': '"'}

_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.?))", re.DOTALL)


def _unquote(text: str) -> str:
    """Return the text of a ``repr``; any other text unchanged.

    Why not `ast.literal_eval`: its tree takes many times the memory of a text that a server chooses.
    """
    quote, inside = text[:1], text[1:-1]
    if len(text) < 2 or quote not in "'\"" or text[-1] != quote:
        return text
    bare = _ESCAPE.sub("", inside)
    if quote in bare or "\n" in bare:  # several literals, or none
        return text
    try:
        return _ESCAPE.sub(_unescape, inside)
    except (KeyError, ValueError):  # no `repr` has such an escape
        return text


def _unescape(found: re.Match[str]) -> str:
    number = found[1] or found[2] or found[3]
    return chr(int(number, 16)) if number else _ESCAPES[found[4]]
