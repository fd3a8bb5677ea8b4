# SPDX-License-Identifier: Apache-2.0
"""Commands for a driver, which the sans-I/O machines return, and the replies that the driver feeds back.

A command names a *channel*, a name unique in its session. The driver feeds the output of a channel back to
the session under the same name, so one session can have any number of open requests, streams and sockets.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlencode

import attrs

from ..errors import Phase
from ..policy import MAX_JSON_DEPTH
from .json import decode_json, encode_json
from .multipart import Multipart

REDIRECTS = (301, 302, 303, 307, 308)


@attrs.frozen
class Request:
    """One HTTP request, ready to send.

    Attributes:
        url: Absolute URL.
        headers: Extra headers of this request; the driver adds credentials, by origin.
        body: Bytes, a form that is read while it is sent, or None.
    """

    method: str
    url: str
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    body: bytes | Multipart | None = attrs.field(default=None, repr=False)

    @classmethod
    def get(cls, url: str, *, accept: str = "application/json") -> Request:
        """Return a GET."""
        return cls("GET", url, {"accept": accept})

    @classmethod
    def post_json(cls, url: str, payload: Any) -> Request:
        """Return a POST with a JSON body.

        Raises:
            LocalProtocolError: See `encode_json`.
        """
        body = encode_json(payload).encode()
        return cls("POST", url, {"accept": "application/json", "content-type": "application/json"}, body)

    @classmethod
    def post_form(cls, url: str, fields: Mapping[str, str]) -> Request:
        """Return a POST with an urlencoded form."""
        body = urlencode(fields).encode()
        return cls("POST", url, {"content-type": "application/x-www-form-urlencoded"}, body)


CODINGS = ("gzip", "deflate")
"""The requested content codings; a server must not use others."""

MAX_CODINGS = 2
"""The most nested codings of one body: a proxy may compress again, and each one multiplies the expansion."""


@attrs.frozen
class Response:
    """A full HTTP reply.

    Attributes:
        url: Its URL, after redirects.
        headers: Names in lower case; of a repeated header the last one.
        set_cookie: The values of all ``Set-Cookie`` headers.
        proxy: The name of a proxy that may have replied in the server's place, or an empty string.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    body: bytes = attrs.field(default=b"", repr=False)
    url: str = ""
    set_cookie: Sequence[str] = ()
    proxy: str = ""

    @property
    def proxy_hint(self) -> str:
        """A sentence for errors, with a leading space; an empty string without such a proxy."""
        return (
            f" It came through the proxy {self.proxy}, which may have replied itself." if self.proxy else ""
        )

    def with_body(self, body: bytes) -> Response:
        """Return a head with its body."""
        return Response(self.status, self.headers, body, self.url, self.set_cookie, self.proxy)

    @property
    def codings(self) -> list[str]:
        """The content codings of the received body, in the order of application."""
        given = self.headers.get("content-encoding")
        if not given:  # as nearly always
            return []
        named = (name.strip().lower() for name in given.split(","))
        return ["gzip" if name == "x-gzip" else name for name in named if name not in ("", "identity")]

    @property
    def unsupported_coding(self) -> str | None:
        """An unrequested content coding that cannot be decoded, or too many codings; else None."""
        codings = self.codings
        if len(codings) > MAX_CODINGS:
            return ", ".join(codings[: MAX_CODINGS + 1])
        return next((name for name in codings if name not in CODINGS), None) if codings else None

    @property
    def text(self) -> str:
        """The body as text; invalid UTF-8 is replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self, max_depth: int = MAX_JSON_DEPTH) -> Any:
        """Return the body as JSON.

        Raises:
            ValueError: See `decode_json`.
        """
        return decode_json(self.body, max_depth)


class Ending(enum.StrEnum):
    """The way in which a stream or socket ended: the most useful clue when a call breaks."""

    CLEAN = "clean"
    """The body was complete, or the socket was closed with a close frame."""
    RESET = "reset"
    """The connection broke, or the last chunk was missing."""
    IDLE = "idle"
    """The client stopped waiting: no data arrived for the idle time."""
    LOCAL = "local"
    """The client closed it."""
    TOO_LARGE = "too large"
    """An event was larger than `Limits` allows."""


@attrs.frozen
class Closed:
    """The end of a channel, as a driver reports it.

    Attributes:
        code: Close code of a websocket (RFC 6455 §7.4), or None.
        reason: Readable reason.
    """

    ending: Ending
    code: int | None = None
    reason: str = ""


@attrs.frozen
class SendRequest:
    """Send one request; feed the full reply back."""

    channel: str
    request: Request
    phase: Phase
    idempotent: bool = False


@attrs.frozen
class OpenStream:
    """Send a request whose body is an event stream; feed its head, then its bytes, then its end.

    Attributes:
        heartbeats: Whether the server sends heartbeats on it, so that silence means a failure.
        or_whole: Whether a success that is not a stream is also an answer, not a refusal.
        idempotent: Whether the request is safe to repeat.
        joined: Whether the calls that it fetches were joined before. Then a repetition joins nothing, but a
            server that has read the first request may have dropped the messages.
    """

    channel: str
    request: Request
    phase: Phase = Phase.STREAM
    heartbeats: bool = True
    or_whole: bool = False
    idempotent: bool = False
    joined: bool = False


@attrs.frozen
class DropStream:
    """Drop the stream now."""

    channel: str


@attrs.frozen
class OpenWebSocket:
    """Open a websocket; feed its texts, then its end.

    A handshake that gets an HTTP status is fed back as a reply.
    """

    channel: str
    url: str
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    phase: Phase = Phase.JOIN
    heartbeats: bool = False


@attrs.frozen
class SendText:
    """Send one text frame."""

    channel: str
    text: str = attrs.field(repr=False)


@attrs.frozen
class DropWebSocket:
    """Drop the socket now, without a close handshake (see protocol: close at once)."""

    channel: str


@attrs.frozen
class WakeAt:
    """Call `wake` when the clock reaches `when` (seconds of the driver's monotonic clock)."""

    channel: str
    when: float


Command: TypeAlias = SendRequest | OpenStream | DropStream | OpenWebSocket | SendText | DropWebSocket | WakeAt


Commands: TypeAlias = Sequence[Command]
