# SPDX-License-Identifier: Apache-2.0
"""A timeline under construction: its calls and sessions, their steps, and how they end."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ...protocol.frames import Frame
from .messages import End, version_of
from .model import CallTimeline, Outcome, SessionTimeline, Step, StepKind, Timeline
from .state import CallState, Loss, SessionState
from .updates import Change, Update
from .values import edit_decoder

MAX_ENDED = 100
"""Calls of a session that have ended, of which a timeline that keeps no steps still knows."""

MAX_SESSIONS = 1000
"""Sessions that a timeline that keeps no steps knows."""


class Draft:
    """A timeline under construction.

    Args:
        meta: The known values of the meta line.
        keep: Whether steps are kept in the timeline.

    Attributes:
        timeline: The timeline so far.
        keep: As given.
        version: The Gradio version of the trace.
        number: Number of the present frame, from 0; -1 before the first.
        updates: The changes by the present frame.
        sessions: The sessions, by number.
    """

    def __init__(self, meta: Mapping[str, Any], *, keep: bool) -> None:
        self.timeline = Timeline(meta=dict(meta))
        self.keep = keep
        self.version = version_of(self.timeline.meta)
        self.number = -1
        self.updates: list[Update] = []
        self.sessions: dict[int, SessionState] = {}
        self._calls = 0

    def add_meta(self, values: Mapping[str, Any]) -> None:
        """Store the values of a meta line."""
        self.timeline.meta = {**self.timeline.meta, **values}
        self.version = version_of(self.timeline.meta)

    def begin_frame(self, frame: Frame) -> None:
        """Count a frame, whose changes follow."""
        self.number += 1
        self.updates = []
        self.timeline.frames = self.number + 1
        if not self.number:
            self.timeline.start = frame.t
        self.timeline.end = max(self.timeline.end, frame.t)

    def finish(self) -> Timeline:
        """Return the timeline, with its steps in order."""
        for session in self.sessions.values():
            session.line.steps.sort(key=_frame)
        self.settle()
        for line in self.timeline.calls:
            if not _is_sorted(line.steps):
                line.steps.sort(key=_frame)
        return self.timeline

    def settle(self) -> list[Update]:
        """Return which calls end with the trace, after `finish` or in its place where no steps are kept."""
        self.updates = []
        for session in self.sessions.values():
            for call in list(session.active.values()):
                self._settle(call)
        return self.updates

    # --- sessions and calls --------------------------------------------------------------------------

    def open_session(self, frame: Frame) -> None:
        """Begin a session."""
        payload = frame.payload
        line = SessionTimeline(
            number=frame.session,
            adapter=str(payload.get("adapter") or ""),
            source=str(payload.get("source") or ""),
            session_hash=str(payload.get("session_hash") or ""),
            start=frame.t,
            frame=self.number,
            timeouts=_mapping(payload.get("timeouts")),
            limits=_mapping(payload.get("limits")),
        )
        session = self.sessions[frame.session] = SessionState(line)
        if self.keep:
            self.timeline.sessions.append(line)
        else:
            self._forget_old_sessions()
        step = self.step(frame, StepKind.LOCAL, "session")
        step.message = line.adapter
        self.add(step, session, None)

    def session(self, frame: Frame) -> SessionState:
        """Return the session of a frame."""
        session = self.sessions.get(frame.session)
        if session is None:  # a trace that begins in the middle
            line = SessionTimeline(frame.session, start=frame.t)
            self.timeline.sessions.append(line)
            session = self.sessions[frame.session] = SessionState(line)
        return session

    def open_call(self, frame: Frame, session: SessionState, *, refused: bool = False) -> CallState:
        """Begin a call, and return it. A refused one belongs to no session."""
        payload = frame.payload
        name = payload.get("endpoint")
        number = name if isinstance(name, int) else payload.get("fn_index")
        event_id = payload.get("event_id")
        self._calls += 1
        line = CallTimeline(
            number=self._calls,
            session=frame.session,
            key="" if refused else frame.channel,
            endpoint=name if isinstance(name, str) and name else None,
            fn_index=number if isinstance(number, int) else None,
            arguments=payload.get("data"),
            adapter=session.line.adapter,
            start=frame.t,
            frame=self.number,
            end=frame.t,
            event_id=str(event_id) if event_id else None,
            late=payload.get("late") is True,
        )
        if self.keep:
            self.timeline.calls.append(line)
        values = edit_decoder(session.line.adapter, self.version)
        call = CallState(line, session, values, frame.t, "join", frame.t, seen_heartbeats=session.heartbeats)
        self.updates.append(Update(Change.CALL, None, (line,), session.line))
        if not refused:
            session.calls[frame.channel] = session.active[frame.channel] = session.latest = call
        if line.event_id is not None:
            session.owners[line.event_id] = session.joined[line.key] = call
            call.phase = "queue"
        return call

    def _settle(self, call: CallState) -> None:
        """Give a call that nothing ended the outcome that stands at the end of the trace."""
        loss = call.loss or call.session.loss
        if call.completing:
            self.end(call, End(Outcome.COMPLETED), call.last, None)
        elif loss is not None:
            self.end(call, loss.end, loss.t, loss.frame)
        else:
            call.line.end = self.timeline.end
            call.line.quiet_heartbeats = call.take_heartbeats()
            call.to_phase("", self.timeline.end)

    def end(self, call: CallState, end: End, t: float, frame: int | None) -> None:
        """End a call, unless it has ended.

        Args:
            call: The call.
            end: How it ends.
            t: When.
            frame: Number of the frame that ends it, None if it is not known.
        """
        line = call.line
        if call.ended:
            return
        call.ended = True
        line.outcome, line.error, line.message = end.outcome, end.error, end.message
        line.error_phase = end.phase
        line.end, line.end_frame = t, frame
        if call.texts:
            line.data = ["".join(call.texts)]
        call.to_phase("", t)
        call.session.last_ended = call
        call.session.active.pop(line.key, None)
        call.session.joined.pop(line.key, None)
        call.values = None
        if not self.keep:
            self._forget_old_calls(call)
        self.updates.append(Update(Change.DONE, None, (line,), call.session.line))

    def lose(
        self, session: SessionState, call: CallState | None, end: End, t: float, *, final: bool = True
    ) -> None:
        """Note why a call, or all calls of a session, are over.

        Args:
            session: The session.
            call: The call; None for all that were accepted.
            end: How they ended.
            t: When.
            final: Whether nothing that comes later can change that.
        """
        loss = Loss(t, self.number, end)
        if call is not None:
            call.loss = None if call.ended else loss
            if final:
                self.end(call, end, t, self.number)
        elif session.active:
            session.loss = loss
            for one in list(session.joined.values()) if final else ():
                self.end(one, end, t, self.number)

    @staticmethod
    def _forget_old_calls(call: CallState) -> None:
        """Forget the calls that ended long ago: a live view has no end, and little still comes for them."""
        session = call.session
        session.ended.append(call)
        while len(session.ended) > MAX_ENDED:
            old = session.ended.popleft()
            session.calls.pop(old.line.key, None)
            if old.line.event_id is not None and session.owners.get(old.line.event_id) is old:
                del session.owners[old.line.event_id]

    def _forget_old_sessions(self) -> None:
        while len(self.sessions) > MAX_SESSIONS:
            number = next(iter(self.sessions))
            if self.sessions[number].active:
                break
            del self.sessions[number]

    # --- steps ---------------------------------------------------------------------------------------

    def step(self, frame: Frame, kind: StepKind, name: str) -> Step:
        """Return a step of the present frame, which is not added yet."""
        return Step(frame.t, kind, name, self.number, frame.channel, frame.direction)

    def add(self, step: Step, session: SessionState, call: CallState | None) -> None:
        """Add a step to its call, or to its session and the calls that need it."""
        if call is not None:
            self._add_to_call(step, call)
            self.updates.append(Update(Change.STEP, step, (call.line,), session.line))
            return
        calls: Sequence[CallState] = ()
        if step.shared:
            calls = session.sharers(step)
            for one in calls:
                self._add_to_call(step, one, shared=True)
        if self.keep:
            session.line.steps.append(step)
        lines = [one.line for one in calls]
        self.updates.append(Update(Change.STEP, step, lines, session.line))

    def _add_to_call(self, step: Step, call: CallState, *, shared: bool = False) -> None:
        gap, heartbeats = max(step.t - call.last, 0.0), call.take_heartbeats()
        # A shared step has one gap, and the calls may have waited for different times.
        step.gap = min(step.gap, gap) if shared and step.gap else gap
        step.heartbeats = max(step.heartbeats, heartbeats)
        call.last = max(call.last, step.end)
        if self.keep:
            call.line.steps.append(step)

    def add_beside(self, step: Step, steps: list[Step]) -> None:
        """Add a step that belongs to no session, to the discovery or the other steps of the timeline."""
        if self.keep:
            steps.append(step)
        self.updates.append(Update(Change.STEP, step))


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _frame(step: Step) -> int:
    return step.frame


def _is_sorted(steps: Sequence[Step]) -> bool:
    return all(left.frame <= right.frame for left, right in itertools.pairwise(steps))


__all__ = ["MAX_ENDED", "MAX_SESSIONS", "Draft"]
