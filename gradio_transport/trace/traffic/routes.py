# SPDX-License-Identifier: Apache-2.0
"""The routes of Gradio apps of every version (docs/wire.md)."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from ...protocol.urls import origin

_LONGEST_QUERY = 8192
"""Characters of a query that is read. Those of Gradio have some hundred."""

_MOST_PARAMETERS = 64


class Route(enum.StrEnum):
    """The purpose of a request."""

    PAGE = "page"
    CONFIG = "config"
    INFO = "info"
    LOGIN = "login"
    UPLOAD = "upload"
    FILE = "file"
    HEARTBEAT = "heartbeat"
    COMPONENT = "component_server"
    JOIN = "join"
    """``POST /queue/join`` (4.9+)."""
    STREAM = "stream"
    """``GET /queue/data`` (4.9+)."""
    JOIN_STREAM = "join stream"
    """``GET /queue/join`` (4.0 to 4.8)."""
    DATA = "data"
    """``POST /queue/data`` (4.0 to 4.8)."""
    SOCKET = "socket"
    """The websocket ``/queue/join`` (3.1.5 to 3.50)."""
    PUSH = "push"
    """``POST /api/queue/push`` (2.2.10 to 3.1.4)."""
    STATUS = "status"
    """``POST /api/queue/status``, as `PUSH`."""
    DIRECT = "direct"
    """``POST /api/NAME`` and ``/run/NAME``."""
    CALL = "call"
    CALL_V2 = "call_v2"
    CALL_STREAM = "call stream"
    """``GET /call/NAME/EVENT_ID``, and ``/call/v2/...``."""
    INPUT = "input"
    """``POST /stream/EVENT_ID`` (5.0+)."""
    INPUT_END = "input end"
    CANCEL = "cancel"
    RESET = "reset"
    OTHER = "other"
    """Scripts, themes, translations, ...: no part of a call."""


@attrs.frozen
class Target:
    """A request's route, and what its URL says.

    Attributes:
        name: Name of the endpoint, or the session hash of a heartbeat, where the path has one.
        event_id: Event id in the path.
        query: Parameters of the query; of a repeated one the last value.
    """

    route: Route
    name: str = ""
    event_id: str = ""
    query: Mapping[str, str] = attrs.field(factory=dict[str, str])


_EXACT: Mapping[tuple[str, str], Route] = MappingProxyType(
    {
        ("GET", ""): Route.PAGE,
        ("GET", "config"): Route.CONFIG,
        ("GET", "info"): Route.INFO,
        ("POST", "login"): Route.LOGIN,
        ("POST", "upload"): Route.UPLOAD,
        ("POST", "component_server"): Route.COMPONENT,
        ("POST", "queue/join"): Route.JOIN,
        ("GET", "queue/data"): Route.STREAM,
        ("GET", "queue/join"): Route.JOIN_STREAM,
        ("POST", "queue/data"): Route.DATA,
        ("POST", "api/queue/push"): Route.PUSH,
        ("POST", "api/queue/status"): Route.STATUS,
        ("POST", "cancel"): Route.CANCEL,
        ("POST", "reset"): Route.RESET,
    }
)

_FORMS: tuple[tuple[str, re.Pattern[str], Route], ...] = (
    ("GET", re.compile(r"file[=/].*", re.DOTALL), Route.FILE),
    ("GET", re.compile(r"stream/[^/]+/[^/]+/[^/]+/[^/]+"), Route.FILE),
    ("GET", re.compile(r"heartbeat/(?P<name>[^/]+)"), Route.HEARTBEAT),
    ("GET", re.compile(r"call/(?:v2/)?(?P<name>[^/]+)/(?P<event>[^/]+)"), Route.CALL_STREAM),
    ("POST", re.compile(r"call/v2/(?P<name>[^/]+)"), Route.CALL_V2),
    ("POST", re.compile(r"call/(?P<name>[^/]+)"), Route.CALL),
    ("POST", re.compile(r"(?:api|run)/(?P<name>.+)", re.DOTALL), Route.DIRECT),
    ("POST", re.compile(r"stream/(?P<event>[^/]+)/close"), Route.INPUT_END),
    ("POST", re.compile(r"stream/(?P<event>[^/]+)"), Route.INPUT),
)


def find_target(method: str, path: str, query: str = "", *, prefix: str = "/gradio_api") -> Target:
    """Return what a request is for.

    Args:
        method: Of the request.
        path: Path below the app's base, with a slash at its beginning, as it was sent.
        query: Query of the URL.
        prefix: Prefix of API routes, which a path may have.
    """
    short = path.removeprefix(prefix) if prefix and path.startswith(f"{prefix}/") else path
    short = short.strip("/") if not short.startswith("/file") else short.lstrip("/")
    parameters = _parameters(query)
    route = _EXACT.get((method, short))
    if route is not None:
        return Target(route, query=parameters)
    for wanted, form, route in _FORMS:
        found = form.fullmatch(short) if method == wanted else None
        if found is not None:
            groups = found.groupdict()
            name, event_id = unquote(groups.get("name") or ""), unquote(groups.get("event") or "")
            return Target(route, name, event_id, parameters)
    return Target(Route.OTHER, query=parameters)


def path_below(url: str, bases: tuple[str, ...]) -> tuple[str, str] | None:
    """Return the path of a URL below the first base that it is below, and its query; None for no such base.

    A URL without scheme and host is taken as one below the base.
    """
    try:
        parts = urlsplit(url)
        if not parts.netloc:
            return f"/{parts.path.lstrip('/')}", parts.query
        own = origin(url)
        for base in bases:
            root = urlsplit(base).path.rstrip("/")
            below = parts.path == root or parts.path.startswith(f"{root}/")
            if below and own == origin(base):
                return parts.path[len(root) :] or "/", parts.query
    except Exception:  # noqa: BLE001 - no URL at all: the errors of `origin` are of several kinds
        return None
    return None


def _parameters(query: str) -> Mapping[str, str]:
    if not query or len(query) > _LONGEST_QUERY or query.count("&") >= _MOST_PARAMETERS:
        return {}
    return dict(parse_qsl(query, keep_blank_values=True))


__all__ = ["Route", "Target", "find_target", "path_below"]
