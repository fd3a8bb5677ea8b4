# SPDX-License-Identifier: Apache-2.0
"""The state of calls and sessions while their timeline is built."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import attrs

from ...protocol.diff import DiffDecoder
from .messages import End
from .model import CallTimeline, SessionTimeline, Span, Step, StepKind

MAX_SHARERS = 16
"""Most calls that share a step of their session's stream. With more at once it is the session's alone."""


@attrs.define(eq=False)
class Loss:
    """The reason why calls are over, unless more messages arrive for them."""

    t: float
    frame: int
    end: End


@attrs.define(eq=False)
class CallState:
    """A call while it is built."""

    line: CallTimeline
    session: SessionState
    values: DiffDecoder | None
    last: float
    phase: str
    phase_start: float
    heartbeats: int = 0
    seen_heartbeats: int = 0
    ended: bool = False
    loss: Loss | None = None
    completing: bool = False
    texts: list[str] = attrs.field(factory=list[str])

    def take_heartbeats(self) -> int:
        """Return the heartbeats since the last time, of the call and its session."""
        heartbeats = self.heartbeats + self.session.heartbeats - self.seen_heartbeats
        self.heartbeats, self.seen_heartbeats = 0, self.session.heartbeats
        return heartbeats

    def to_phase(self, phase: str, t: float) -> None:
        """End the phase of the call, and begin another one; an empty name begins none."""
        if phase == self.phase or not self.phase:
            return
        if t > self.phase_start:
            self.line.phases.append(Span(self.phase, self.phase_start, t))
        self.phase, self.phase_start = phase, t

    def advance(self, phase: str, t: float) -> None:
        """Begin a phase, if the call is not further on."""
        order = ("connect", "join", "queue", "run", "stream")
        if self.phase in order and order.index(phase) > order.index(self.phase):
            self.to_phase(phase, t)


@attrs.define(eq=False)
class SessionState:
    """A session while it is built."""

    line: SessionTimeline
    calls: dict[str, CallState] = attrs.field(factory=dict[str, "CallState"])
    active: dict[str, CallState] = attrs.field(factory=dict[str, "CallState"])
    joined: dict[str, CallState] = attrs.field(factory=dict[str, "CallState"])
    owners: dict[str, CallState] = attrs.field(factory=dict[str, "CallState"])
    joining: int = 0
    parked: dict[str, list[Step]] = attrs.field(factory=dict[str, "list[Step]"])
    parked_count: int = 0
    latest: CallState | None = None
    last_ended: CallState | None = None
    loss: Loss | None = None
    heartbeats: int = 0
    ended: deque[CallState] = attrs.field(factory=deque["CallState"])

    def sharers(self, step: Step) -> Sequence[CallState]:
        """Return the calls that a step of the session's stream belongs to."""
        ends = step.kind is StepKind.END or step.event == "close_stream"
        # A call that was not accepted yet does not wait on a stream that ends now.
        active = self.joined if ends and self.last_ended is not None else self.active
        if active:
            return list(active.values()) if len(active) <= MAX_SHARERS else ()
        latest = self.last_ended if ends and self.last_ended is not None else self.latest
        return () if latest is None else (latest,)


__all__ = ["CallState", "Loss", "SessionState"]
