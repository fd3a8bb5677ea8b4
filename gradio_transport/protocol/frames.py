# SPDX-License-Identifier: Apache-2.0
"""What crossed the line between the machines and the world, either way.

A driver makes one `Frame` for each thing that enters a machine or leaves it, at one line each, and hands it
to the taps.  A list of frames is therefore the whole life of a call: traces, replay, the notes on errors and
the conformance suite are all made of it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs

from .known_secrets import KnownSecrets


class Direction(enum.StrEnum):
    """Which way a frame went."""

    OUT = "out"
    """From us to the server."""
    IN = "in"
    """From the server to us."""
    LOCAL = "local"
    """From our caller, or our clock, to the machine: never on the wire, needed to replay."""


class Kind(enum.StrEnum):
    """What a frame is."""

    SESSION = "session"  # local: adapter, session_hash, source; engine, timeouts, limits
    CALL = "call"  # local: endpoint, data
    REFUSED = "refused"  # local: endpoint, error, message of a call of which no request was sent
    CANCEL = "cancel"  # local
    FETCH = "fetch"  # local: open the stream of a call that was joined without one
    SEND = "send"  # local: data, the next chunk of a streaming input
    FINISH = "finish"  # local: the end of a streaming input
    WAKE = "wake"  # local: the clock reached a WakeAt
    REQUEST = "request"  # out: method, url, headers, body; stream: true when the reply is a stream
    RESPONSE = "response"  # in: status, headers, body
    RESPONSE_HEAD = "response-head"  # in: status, headers of a stream
    CHUNK = "chunk"  # in: bytes of a stream
    STREAM_CLOSE = "stream-close"  # out: we dropped it
    END = "end"  # in: how a stream or socket ended
    ERROR = "error"  # in: a request failed without a reply; local: this side ended a call or the discovery
    WS_OPEN = "ws-open"  # out: url, headers
    WS_ACCEPT = "ws-accept"  # in
    WS_TEXT = "ws-text"  # in and out
    WS_CLOSE = "ws-close"  # out: we dropped it


@attrs.frozen
class Frame:
    """One thing that crossed the line.

    Attributes:
        t: Seconds of the driver's monotonic clock; a trace file counts from its first frame.
        channel: The channel of the command it belongs to, in the session named by `session`.
        session: Number of the session in its transport; 0 for what belongs to no machine: discovery, uploads,
            downloads, heartbeats.
        payload: What the kind needs; text as it is, bytes as they are. ``attempt`` marks the tries that the
            library made on its own: each after the first, and what came of each but the last.
        secrets: What the caller gave as secrets, for taps that write frames where others can read them.
    """

    t: float
    direction: Direction
    kind: Kind
    channel: str
    payload: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    session: int = 0
    secrets: KnownSecrets | None = attrs.field(default=None, repr=False, eq=False)

    @property
    def retried(self) -> bool:
        """Whether it belongs to a try that its session did not see, which gets one reply to a request."""
        return "attempt" in self.payload


Tap: TypeAlias = Callable[[Frame], None]
"""Called with every frame, from whatever thread or task made it; must be quick and must not raise.

A tap that writes a file may have an attribute ``path``: notes of errors then say where the trace is.
"""
