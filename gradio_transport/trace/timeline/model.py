# SPDX-License-Identifier: Apache-2.0
"""The data of a timeline: calls with their requests, events, silences, phases and outcome.

`timeline` and `TimelineBuilder` create them.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

from ...protocol.frames import Direction
from ...protocol.json import decode_json

DEFAULT_SILENCE = 2.0
"""Seconds without data after which a silence is marked."""

UNKNOWN_REQUEST = "?"
"""Name of a request that the trace lacks, although it has the reply."""


class StepKind(enum.StrEnum):
    """The kind of a step."""

    LOCAL = "local"
    """The caller or the clock: ``call``, ``fetch``, ``send``, ``finish``, ``cancel``, ``wake``, ``error``,
    ``refused``, ``session``."""
    REQUEST = "request"
    """A request with its reply, or the handshake of a websocket. A stream has its bytes in `Step.stream`."""
    EVENT = "event"
    """A message of the server: of an event stream, a websocket, or in the reply to a poll."""
    SENT = "sent"
    """A text that was sent on a websocket."""
    END = "end"
    """The end of a stream or websocket."""


class Outcome(enum.StrEnum):
    """The outcome of a call."""

    COMPLETED = "completed"
    FAILED = "failed"
    """The app raised, the server refused, or the connection broke."""
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"
    """The client ended it, for example because a deadline expired."""
    REFUSED = "refused"
    """The client rejected it before anything was sent."""
    UNFINISHED = "unfinished"
    """The trace ends before the call."""


@attrs.define
class Stream:
    """The bytes of an event stream, a websocket or a downloaded file.

    Attributes:
        size: Bytes received.
        events: Events received.
        last: When the last byte came; None before the first.
        end: When it ended; None while it is open.
        ending: ``"clean"``, ``"reset"``, ``"idle"``, ``"local"`` (closed by the client) or ``"too large"``.
        code: Close code of a websocket.
        reason: Text of the end.
        cut: Bytes of an event that was not complete when the stream ended.
        end_frame: Number of the frame of the end.
        is_socket: Whether it is a websocket.
    """

    size: int = 0
    events: int = 0
    last: float | None = None
    end: float | None = None
    ending: str = ""
    code: int | None = None
    reason: str = ""
    cut: int = 0
    end_frame: int | None = None
    is_socket: bool = False


@attrs.define(eq=False)
class Step:
    """One step of a trace.

    Attributes:
        t: When it began, in seconds of the trace.
        kind: What it is.
        name: Its name on the wire: ``"POST"``, ``"process_generating"``, ``"COMPLETE"``, ``"cancel"``,
            ``"clean"``.
        frame: Number of its frame. For an event: the frame that completed it.
        channel: The channel of its frames.
        direction: Which way it went.
        event: For events of every generation, the name that sse_v3 has for it (``"process_completed"``), or
            an empty string if it is none of these.
        text: The body of a request, or a message, as it was sent.
        given: The caller's data, for a local step.
        size: Bytes of the body or message.
        gap: Seconds since the step before it in its call, counted from its reply.
        heartbeats: Heartbeats in the gap, which are not separate steps.
        url: Of a request.
        attempt: Which try of the request this is, from 1.
        phase: Which phase the library sent a request in, such as ``"join"``.
        reply_frame: Number of the frame of the reply, or of the failure.
        status: HTTP status of the reply; 101 for an accepted websocket.
        reply_body: Body of the reply.
        reply_size: Bytes of the body of the reply; None for a stream.
        seconds: Seconds until the reply, its head, or the failure; of an event the seconds from its first
            byte to its last.
        retried: Whether the library sent the request again after this try.
        error: Type of the error of a request that got no reply, or of a call that the client ended.
        message: Text of that error, or of the error in an event.
        stream: The stream that a request opened. Its end is a step too, with the same object.
        files: Name and size of uploaded files.
        data: The whole output values of an event, with edits applied. None if there are none, if an edit does
            not apply, or if keeping them all would take too much memory (see `kept`).
        before: The values before an edit.
        edited: Whether the wire carried edits and not whole values.
        kept: False if `data` was left out to save memory or time; `value` has what the wire brought.
        shared: Whether it belongs to the whole session, such as its event stream. It is then a step of the
            session too.
        derived: Whether it was read from a reply, which is a separate step: the status of a poll, for
            example.
        closed_here: Whether the client closed the stream, for the end of one.
    """

    t: float
    kind: StepKind
    name: str
    frame: int
    channel: str = ""
    direction: Direction = Direction.IN
    event: str = ""
    text: str | bytes | None = attrs.field(default=None, repr=False)
    given: Any = attrs.field(default=None, repr=False)
    size: int | None = None
    gap: float = 0.0
    heartbeats: int = 0
    url: str = ""
    attempt: int = 1
    phase: str = ""
    reply_frame: int | None = None
    status: int | None = None
    reply_body: bytes | None = attrs.field(default=None, repr=False)
    reply_size: int | None = None
    seconds: float | None = None
    retried: bool = False
    error: str = ""
    message: str = ""
    stream: Stream | None = None
    files: Sequence[Mapping[str, Any]] = ()
    data: list[Any] | None = attrs.field(default=None, repr=False)
    before: list[Any] | None = attrs.field(default=None, repr=False)
    edited: bool = False
    kept: bool = True
    shared: bool = False
    derived: bool = False
    closed_here: bool = False

    @property
    def value(self) -> Any:
        """The sent, received or given data: JSON, or text if it is not JSON. Decoded at each access."""
        return self.given if self.text is None else decode_body(self.text)

    @property
    def reply(self) -> Any:
        """The body of the reply: decoded JSON, or the text if it is not JSON. Decoded at each access."""
        return decode_body(self.reply_body)

    @property
    def end(self) -> float:
        """When it was over: the time of the reply, or `t`."""
        return self.t + (self.seconds or 0.0)

    def ends_silence(self, threshold: float) -> bool:
        """Return whether nothing came for so many seconds before it, although something could have."""
        waited = self.kind is StepKind.LOCAL and self.name in ("fetch", "wake")
        return self.gap >= threshold and not waited

    @property
    def target(self) -> str:
        """Path and query of its URL, which may be hostile text."""
        return url_target(self.url)

    @property
    def failed(self) -> bool:
        """Whether it is a request that was refused or got no reply."""
        return bool(self.error) or (self.status is not None and self.status >= 400)

    @property
    def frames(self) -> list[int]:
        """Numbers of its frames, without those of a stream's bytes."""
        return [self.frame] if self.reply_frame is None else [self.frame, self.reply_frame]


@attrs.frozen
class Span:
    """A phase of a call: ``connect``, ``join``, ``queue``, ``run``, ``stream``."""

    name: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start


@attrs.frozen
class Silence:
    """A time in which nothing came for a call.

    Attributes:
        start: When it began.
        seconds: Its length.
        heartbeats: Heartbeats that came nevertheless.
        before: Index of the step that ended it; the number of steps if none did.
    """

    start: float
    seconds: float
    heartbeats: int
    before: int


@attrs.define(eq=False)
class CallTimeline:
    """A call in time.

    Attributes:
        number: Its number in the trace, from 1.
        session: Number of its session.
        key: Its key in the session.
        endpoint: Name of the endpoint, such as ``"/predict"``; None if it has none.
        fn_index: Number of the endpoint.
        arguments: The values that were given.
        adapter: Name of the adapter.
        start: When it was made.
        end: When it ended, or the trace did.
        outcome: How it ended.
        error: Type of the error.
        message: Text of the error.
        error_phase: Phase of the error, such as ``"join"``.
        event_id: The server's name for it.
        steps: What happened, in time. Those of the session's stream are here too while the call needs it.
        phases: Its phases, in time.
        data: The output values, whole: the final ones, or the last that came.
        frame: Number of the frame that made it.
        end_frame: Number of the frame that ended it.
        late: Whether its stream was not opened before `fetch`.
        quiet_heartbeats: Heartbeats after the last step.
    """

    number: int
    session: int
    key: str
    endpoint: str | None
    fn_index: int | None
    arguments: Any = attrs.field(repr=False)
    adapter: str
    start: float
    frame: int
    end: float = 0.0
    outcome: Outcome = Outcome.UNFINISHED
    error: str = ""
    message: str = ""
    error_phase: str = ""
    event_id: str | None = None
    steps: list[Step] = attrs.field(factory=list[Step], repr=False)
    phases: list[Span] = attrs.field(factory=list[Span], repr=False)
    data: list[Any] | None = attrs.field(default=None, repr=False)
    end_frame: int | None = None
    late: bool = False
    quiet_heartbeats: int = 0

    @property
    def seconds(self) -> float:
        """Its duration."""
        return self.end - self.start

    @property
    def display_name(self) -> str:
        """The name of the endpoint, or its number."""
        return self.endpoint or f"fn_index {self.fn_index}"

    @property
    def title(self) -> str:
        """A title to print."""
        if not self.session:
            return f"refused call, {self.display_name}"
        return f"call {self.key} of session {self.session}, {self.display_name}"

    @property
    def events(self) -> list[Step]:
        """The messages of the server."""
        return [step for step in self.steps if step.kind is StepKind.EVENT]

    @property
    def requests(self) -> list[Step]:
        """The requests, each try for itself."""
        return [step for step in self.steps if step.kind is StepKind.REQUEST]

    def silences(self, threshold: float = DEFAULT_SILENCE) -> Iterator[Silence]:
        """Yield the times in which nothing came for the call, heartbeats aside."""
        for place, step in enumerate(self.steps):
            if place and step.ends_silence(threshold):
                yield Silence(step.t - step.gap, step.gap, step.heartbeats, place)
        if self.outcome is Outcome.UNFINISHED and self.steps:
            last = self.steps[-1].end
            if self.end - last >= threshold:
                yield Silence(last, self.end - last, self.quiet_heartbeats, len(self.steps))


@attrs.define(eq=False)
class SessionTimeline:
    """A session.

    Attributes:
        number: Its number in the trace.
        adapter: Name of the adapter.
        source: URL of the app.
        session_hash: As in the trace: an alias, if the trace is redacted.
        start: When it was opened.
        frame: Number of its frame.
        steps: What belongs to no single call: the shared stream, and messages that name no call of it.
        timeouts: The timeouts in force, if the trace has them.
        limits: The limits in force, if the trace has them.
    """

    number: int
    adapter: str = ""
    source: str = ""
    session_hash: str = ""
    start: float = 0.0
    frame: int | None = None
    steps: list[Step] = attrs.field(factory=list[Step], repr=False)
    timeouts: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    limits: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


@attrs.define(eq=False)
class Timeline:
    """A whole trace in time.

    Attributes:
        meta: The values of the meta lines.
        discovery: The requests of the discoveries, with their logins.
        sessions: The sessions, in the order of their start.
        calls: The calls, in the order of their start.
        others: What belongs to no session: uploads, downloads, heartbeats, renewed logins. `Step.channel` is
            ``"upload"``, ``"file"``, ``"heartbeat"``, ``"login"``, ``"component_server"``, ``"app_id"`` ...
        frames: Number of frames.
        start: Time of the first frame.
        end: Time of the last frame.
        truncated: Whether the file ends within a line.
    """

    meta: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    discovery: list[Step] = attrs.field(factory=list[Step], repr=False)
    sessions: list[SessionTimeline] = attrs.field(factory=list[SessionTimeline], repr=False)
    calls: list[CallTimeline] = attrs.field(factory=list[CallTimeline], repr=False)
    others: list[Step] = attrs.field(factory=list[Step], repr=False)
    frames: int = 0
    start: float = 0.0
    end: float = 0.0
    truncated: bool = False

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start

    @property
    def adapters(self) -> list[str]:
        """The names of the adapters, each once."""
        return list(dict.fromkeys(session.adapter for session in self.sessions if session.adapter))


def decode_body(body: str | bytes | None) -> Any:
    """Return a body as JSON, as text if it is not JSON, or None if there is none."""
    if not body:
        return None
    try:
        return decode_json(body)
    except ValueError:
        return body if isinstance(body, str) else body.decode("utf-8", "replace")


def url_target(url: str) -> str:
    """Return path and query of a URL of a trace, or the whole text if it is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return parts.path + (f"?{parts.query}" if parts.query else "")


__all__ = [
    "DEFAULT_SILENCE", "UNKNOWN_REQUEST", "CallTimeline", "Outcome", "SessionTimeline", "Silence", "Span",
    "Step", "StepKind", "Stream", "Timeline", "decode_body", "url_target",
]  # fmt: skip
