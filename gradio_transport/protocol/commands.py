# SPDX-License-Identifier: Apache-2.0
"""What a driver must do: the outputs of the sans-I/O machines, and the replies it feeds back.

A command names a *channel*, a name unique in its session.  The driver feeds whatever a channel produces back
to the session under the same name, so one session can have any number of requests, streams and sockets open.
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
    """One HTTP request, ready to be sent.

    Attributes:
        url: Absolute URL.
        headers: Extra headers of this request; credentials are added by the driver, by origin.
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
"""The content codings that are asked for, and so all that a server may use."""

MAX_CODINGS = 2
"""Codings of one body, one over the other: a proxy may pack again. Each multiplies what a byte unpacks to."""


@attrs.frozen
class Response:
    """A whole HTTP reply.

    Attributes:
        url: Where it came from, after redirects.
        headers: Names in lower case; of a repeated header the last one.
        set_cookie: The values of all ``Set-Cookie`` headers.
        proxy: The name of a proxy that may have replied in the server's place, or an empty text.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    body: bytes = attrs.field(default=b"", repr=False)
    url: str = ""
    set_cookie: Sequence[str] = ()
    proxy: str = ""

    @property
    def proxy_hint(self) -> str:
        """A sentence for errors, with a blank before it; an empty text where there is no such proxy."""
        return (
            f" It came through the proxy {self.proxy}, which may have replied itself." if self.proxy else ""
        )

    def with_body(self, body: bytes) -> Response:
        """Return a head with the body that came after it."""
        return Response(self.status, self.headers, body, self.url, self.set_cookie, self.proxy)

    @property
    def codings(self) -> list[str]:
        """The content codings of the body as it came, in the order of their use."""
        given = self.headers.get("content-encoding")
        if not given:  # as nearly always
            return []
        named = (name.strip().lower() for name in given.split(","))
        return ["gzip" if name == "x-gzip" else name for name in named if name not in ("", "identity")]

    @property
    def unsupported_coding(self) -> str | None:
        """A content coding that was not requested and cannot be decoded, or more than are; else None."""
        codings = self.codings
        if len(codings) > MAX_CODINGS:
            return ", ".join(codings[: MAX_CODINGS + 1])
        return next((name for name in codings if name not in CODINGS), None) if codings else None

    @property
    def text(self) -> str:
        """The body as text; bytes that are no UTF-8 are replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self, max_depth: int = MAX_JSON_DEPTH) -> Any:
        """Return the body as JSON.

        Raises:
            ValueError: See `decode_json`.
        """
        return decode_json(self.body, max_depth)


class Ending(enum.StrEnum):
    """How a stream or socket ended: the most useful clue when a call breaks."""

    CLEAN = "clean"
    """The body was complete, or the socket was closed with a close frame."""
    RESET = "reset"
    """The connection broke, or the last chunk was missing."""
    IDLE = "idle"
    """We gave up: nothing came for the idle time."""
    LOCAL = "local"
    """We closed it ourselves."""
    TOO_LARGE = "too large"
    """An event was larger than `Limits` allows."""


@attrs.frozen
class Closed:
    """The end of a channel, as a driver reports it.

    Attributes:
        code: Close code of a websocket (RFC 6455 §7.4), or None.
        reason: Text for people.
    """

    ending: Ending
    code: int | None = None
    reason: str = ""


@attrs.frozen
class SendRequest:
    """Send one request; feed the whole reply back."""

    channel: str
    request: Request
    phase: Phase
    idempotent: bool = False


@attrs.frozen
class OpenStream:
    """Send a request whose body is an event stream; feed its head, then its bytes, then its end.

    Attributes:
        heartbeats: Whether the server beats on it, so that silence means trouble.
        or_whole: Whether a success that is no stream is an answer too, and not a refusal that is known by its
            head.
        idempotent: Whether the request is safe by itself, so that it may be made again.
        joined: Whether the calls that it fetches were joined before. It then joins nothing when it is made
            again, but a server that has taken it may have dropped what it had to say.
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

    A handshake that is answered with an HTTP status is fed back as a reply.
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
    """Drop the socket now, without a polite goodbye (see protocol: close at once)."""

    channel: str


@attrs.frozen
class WakeAt:
    """Call `wake` when the clock reaches `when` (seconds of the driver's monotonic clock)."""

    channel: str
    when: float


Command: TypeAlias = SendRequest | OpenStream | DropStream | OpenWebSocket | SendText | DropWebSocket | WakeAt


Commands: TypeAlias = Sequence[Command]
