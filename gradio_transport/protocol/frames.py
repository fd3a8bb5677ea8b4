# SPDX-License-Identifier: Apache-2.0
"""Inputs and outputs of the state machines, as frames.

A driver makes one `Frame` for each input and output of a machine, and passes it to the taps. A list of frames
is therefore the complete record of a call. Traces, replay, the notes on errors and the conformance suite use
it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs

from .known_secrets import KnownSecrets


class Direction(enum.StrEnum):
    """The direction of a frame."""

    OUT = "out"
    """From the client to the server."""
    IN = "in"
    """From the server to the client."""
    LOCAL = "local"
    """From the caller or the clock to the machine: never on the wire, but needed for a replay."""


class Kind(enum.StrEnum):
    """The kind of a frame."""

    SESSION = "session"  # local: adapter, session_hash, source; engine, timeouts, limits
    CALL = "call"  # local: endpoint, data
    REFUSED = "refused"  # local: endpoint, error, message of a call that sent no request
    CANCEL = "cancel"  # local
    FETCH = "fetch"  # local: open the stream of a call that was joined without one
    SEND = "send"  # local: data, the next chunk of a streaming input
    FINISH = "finish"  # local: the end of a streaming input
    WAKE = "wake"  # local: the clock reached a WakeAt
    REQUEST = "request"  # out: method, url, headers, body; stream: true when the reply is a stream
    RESPONSE = "response"  # in: status, headers, body
    RESPONSE_HEAD = "response-head"  # in: status, headers of a stream
    CHUNK = "chunk"  # in: bytes of a stream
    STREAM_CLOSE = "stream-close"  # out: the client dropped it
    END = "end"  # in: the end of a stream or socket
    ERROR = "error"  # in: a request failed without a reply; local: the client ended a call or the discovery
    WS_OPEN = "ws-open"  # out: url, headers
    WS_ACCEPT = "ws-accept"  # in
    WS_TEXT = "ws-text"  # in and out
    WS_CLOSE = "ws-close"  # out: the client dropped it


@attrs.frozen
class Frame:
    """One input or output of a state machine.

    Attributes:
        t: Seconds of the driver's monotonic clock; a trace file starts at 0 with its first frame.
        channel: The channel of the command it belongs to, in the session named by `session`.
        session: Number of the session in its transport; 0 without a machine: discovery, uploads, downloads,
            heartbeats.
        payload: The data of the kind; text and bytes unchanged. ``attempt`` marks retries by the library:
            each attempt after the first, and the outcome of each except the last.
        secrets: The caller's secrets, for taps that write frames where others can read them.
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
        """Whether it belongs to a retry that the session does not see."""
        return "attempt" in self.payload


Tap: TypeAlias = Callable[[Frame], None]
"""Called with every frame, from the thread or task that made it. It must be quick and must not raise.

A tap that writes a file may have an attribute ``path``, which notes of errors then name.
"""
