# SPDX-License-Identifier: Apache-2.0
"""Routing of messages: the call that a message belongs to, and what it changes there."""

from __future__ import annotations

from typing import cast

from .draft import Draft
from .messages import End, Message, read_event
from .model import Outcome, Step
from .state import CallState, SessionState
from .values import WholeValues

MAX_NAME = 100
"""Characters of the name of a message."""

MAX_PARKED = 10_000
"""Messages of a session that wait for the reply to a join, which names their call."""


class MessageRouter:
    """The messages of a timeline on their way to calls and sessions."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._values = WholeValues(keep=draft.keep)

    def route(self, step: Step, name: str, session: SessionState, call: CallState | None) -> None:
        """Find the call of a message, by its channel or its event id."""
        message = read_event(name, cast("str", step.text), self._draft.version, named=call is not None)
        step.name = message.name[:MAX_NAME]
        owner, event_id = call, message.event_id
        if call is None and event_id is not None:
            owner = session.owners.get(event_id)
            if owner is None and session.joining and session.parked_count < MAX_PARKED:
                session.parked.setdefault(event_id, []).append(step)
                session.parked_count += 1
                return
        elif call is None and message.has_output and len(session.active) == 1:
            owner = next(iter(session.active.values()))
        self.take_message(step, message, session, owner)

    def take_parked(self, event_id: str, session: SessionState, call: CallState) -> None:
        """Give a call the messages that came before the reply to its join."""
        for step in session.parked.pop(event_id, ()):
            session.parked_count -= 1
            message = read_event(step.name, cast("str", step.text), self._draft.version, named=False)
            self.take_message(step, message, session, call)

    def release_parked(self, session: SessionState) -> None:
        """Give the session the messages that wait for the reply to a join."""
        for steps in session.parked.values():
            for step in steps:
                self._draft.add(step, session, None)
        session.parked, session.parked_count = {}, 0

    def take_message(
        self, step: Step, message: Message, session: SessionState, call: CallState | None
    ) -> None:
        """Change a call, or its session if the message belongs to no call, by a message."""
        step.event = message.event
        step.message = message.end.message if message.end is not None else message.text
        step.error = message.end.error if message.end is not None else ""
        if message.event == "heartbeat":
            if call is None:
                session.heartbeats += 1
            else:
                call.heartbeats += 1
            if self._draft.keep:
                step.shared = call is None
                session.line.steps.append(step)
            return
        if call is None:
            step.shared = message.event in ("close_stream", "unexpected_error", "server_stopped")
            self._draft.add(step, session, None)
            # The completion of a call that the trace does not know says nothing of those that it knows.
            of_another = message.event == "process_completed" and (
                message.event_id is not None or message.end == End(Outcome.COMPLETED)
            )
            if message.end is not None and message.event != "close_stream" and not of_another:
                self._draft.lose(session, None, message.end, step.end)
            return
        self._values.take(step, message, call)
        self._draft.add(step, session, call)
        if call.ended:
            return
        call.loss = None
        call.completing = message.completing
        if message.phase:
            call.advance(message.phase, step.t)
        if message.end is not None:
            self._draft.end(call, message.end, step.end, step.frame)


__all__ = ["MAX_NAME", "MAX_PARKED", "MessageRouter"]
