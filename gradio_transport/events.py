# SPDX-License-Identifier: Apache-2.0
"""Decoded messages of a server: one frozen class for each message of the abstract flow.

Names are Gradio's own wire names in CamelCase (``process_generating`` -> `ProcessGenerating`), so you can
grep from the wire to the class. Every event keeps its decoded JSON in ``raw``, so a field that this library
does not know yet is not lost.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

import attrs

from .errors import GradioTransportError


class UnknownOutput(enum.Enum):
    """The type of `UNKNOWN_OUTPUT`; an enum, so it stays one object when pickled or copied."""

    UNKNOWN = "UNKNOWN_OUTPUT"

    def __repr__(self) -> str:
        return "<UNKNOWN_OUTPUT>"

    def __bool__(self) -> Literal[False]:
        return False


UNKNOWN_OUTPUT: Final = UnknownOutput.UNKNOWN
"""A placeholder for an output that a yield lacks, or whose edits could not be applied.

The completion of the call has the value.
"""


@attrs.frozen(kw_only=True)
class Event:
    """The base class of events.

    Attributes:
        event_id: The server's name for the call; None where the protocol has none (2.x, websocket, sse v0).
        raw: The decoded JSON message, or None for events that the library made.
    """

    terminal: ClassVar[bool] = False

    event_id: str | None = None
    raw: Mapping[str, Any] | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class Joined(Event):
    """The server accepted the call."""


@attrs.frozen(kw_only=True)
class SendHash(Event):
    """The server asks for the session hash (websocket of 3.6 to 3.50.2). The adapter replies."""


@attrs.frozen(kw_only=True)
class SendData(Event):
    """The server asks for the input data (websocket, sse v0). The adapter replies."""


@attrs.frozen(kw_only=True)
class Estimation(Event):
    """The place in the queue.

    Attributes:
        rank: 0 is first in line (not running yet).
        queue_size: Calls waiting; from 4.11 on, those of the concurrency group.
        rank_eta: Seconds until this call's result, by the server's estimate; often None.
    """

    rank: int | None = None
    queue_size: int | None = None
    rank_eta: float | None = None


@attrs.frozen(kw_only=True)
class ProcessStarts(Event):
    """The function started to run.

    Attributes:
        eta: Average run time in seconds (4.11+), or None.
    """

    eta: float | None = None


@attrs.frozen
class ProgressUnit:
    """One bar of ``gr.Progress``; any field may be None.

    Attributes:
        index: Steps done.
        length: Steps in all.
        unit: Name of a step, such as ``"steps"``.
        progress: Fraction done, 0 to 1.
        desc: What the app says it is doing.
    """

    index: float | None = None
    length: float | None = None
    unit: str | None = None
    progress: float | None = None
    desc: str | None = None

    @property
    def fraction(self) -> float | None:
        """Fraction done, computed from `index` and `length` if the server omits it."""
        if self.progress is not None:
            return self.progress
        if self.index is None or not self.length:
            return None
        return self.index / self.length


@attrs.frozen(kw_only=True)
class Progress(Event):
    """A ``gr.Progress`` update (3.16+). Servers merge and drop intermediate updates."""

    units: tuple[ProgressUnit, ...] = ()


@attrs.frozen(kw_only=True)
class Log(Event):
    """A message of ``gr.Info``, ``gr.Warning`` and the like (3.36+).

    Attributes:
        message: The text.
        level: ``"info"``, ``"warning"``, later also ``"success"`` and ``"error"``.
        title: Heading (5.2+).
        duration: Seconds to show it (4.37.1+).
        visible: False when the app does not want it shown.
    """

    message: str = ""
    level: str = "info"
    title: str | None = None
    duration: float | None = None
    visible: bool = True


@attrs.frozen(kw_only=True)
class ProcessGenerating(Event):
    """An output of a generator.

    Attributes:
        data: Full output values; edits from the wire are already applied. An output that is missing, or whose
            edits could not be applied, is `UNKNOWN_OUTPUT`; the completion has its value.
        skipped: Frames that were merged into this one because your program read slowly.
    """

    data: list[Any] = attrs.field(factory=list[Any])
    skipped: int = 0
    duration: float | None = None
    render_config: Mapping[str, Any] | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class ProcessStreaming(Event):
    """The outputs of a streaming-input function for one chunk (5.0+). Always full values.

    Attributes:
        time_limit: Seconds left of the allowance, or None.
    """

    data: list[Any] = attrs.field(factory=list[Any])
    time_limit: float | None = None


@attrs.frozen(kw_only=True)
class ProcessCompleted(Event):
    """The end of the call, as the server reports it.

    Attributes:
        success: False when the app's function raised.
        data: Output values; empty on failure.
        error: The `AppError` (or refusal) when `success` is false.
        duration: Seconds the function ran, as the server reports.
        average_duration: Average of the endpoint, in seconds.
        used_cache: ``"full"`` or ``"partial"`` (6.12+) where the result came from ``gr.cache``.
        changed_state_ids: Component ids of the States that changed (4.32+).
        render_config: What ``gr.render`` drew (4.31+).
    """

    terminal: ClassVar[bool] = True

    success: bool = True
    data: list[Any] = attrs.field(factory=list[Any])
    error: GradioTransportError | None = attrs.field(default=None, eq=False)
    duration: float | None = None
    average_duration: float | None = None
    used_cache: str | None = None
    changed_state_ids: tuple[int, ...] = ()
    render_config: Mapping[str, Any] | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class Heartbeat(Event):
    """A keep-alive message (4.0+, about every 15 s)."""


@attrs.frozen(kw_only=True)
class CloseStream(Event):
    """The session's stream ends: no call is pending (4.22+)."""


@attrs.frozen(kw_only=True)
class QueueFullMessage(Event):
    """The queue is full (websocket 3.1.6+, sse v0). Later servers reply to the join with 503."""


@attrs.frozen(kw_only=True)
class ServerStopped(Event):
    """The server shuts down (4.9, repeated until the connection dies)."""


@attrs.frozen(kw_only=True)
class UnexpectedError(Event):
    """The stream failed on the server (4.10+). Without an event id it concerns every pending call.

    Attributes:
        message: The server's text, often only ``"404: Session not found."``.
        session_not_found: The session is unknown there (flagged from 5.38 on).
    """

    message: str = ""
    session_not_found: bool = False


class Achieved(enum.StrEnum):
    """The effect of a cancellation on the server, if its version reports that."""

    DEQUEUED = "dequeued"
    STOPPING = "stopping at next yield"
    RUNS_ON = "runs on"
    NOT_STARTED = "not started"
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class Cancelled(Event):
    """You cancelled the call; no event follows.

    Attributes:
        achieved: The effect on the server.
    """

    terminal: ClassVar[bool] = True

    achieved: Achieved = Achieved.UNKNOWN


@attrs.frozen(kw_only=True)
class Failed(Event):
    """The transport failed or the server refused; `error` has the cause. Iteration raises it."""

    terminal: ClassVar[bool] = True

    error: GradioTransportError = attrs.field(eq=False)


@attrs.frozen(kw_only=True)
class Resubmitted(Event):
    """A ``repeatable`` call lost its stream and is submitted again; its events start over.

    Attributes:
        attempt: Number of the attempt that starts now; the first was 1.
        error: The error that ended the previous attempt.
    """

    attempt: int
    error: GradioTransportError = attrs.field(eq=False)


@attrs.frozen(kw_only=True)
class UnknownMessage(Event):
    """A message of a kind that this library does not know. Not an error: newer servers may send more kinds.

    Attributes:
        msg: The value of its ``msg`` field, as text.
    """

    msg: str = ""


WITH_OUTPUTS = (ProcessGenerating, ProcessStreaming, ProcessCompleted)
"""The events that carry output values."""
