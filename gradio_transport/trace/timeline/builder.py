# SPDX-License-Identifier: Apache-2.0
"""Building of a timeline from frames, in one pass and in linear time.

It uses no adapter: `requests` pairs requests and replies by channel, `streams` finds the events in streams,
`routing` gives messages to the call of their channel or event id, and `messages` decodes them. `draft` has
the calls and sessions so far.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...protocol.frames import Direction, Frame, Kind
from ...protocol.messages import event_id_of
from ..replay.discoveries import DISCOVERY_CHANNELS
from .draft import Draft
from .messages import End, failure, read_reply, refusal_of
from .model import UNKNOWN_REQUEST, Outcome, SessionTimeline, Step, StepKind, Timeline, decode_body
from .requests import Requests
from .routing import MessageRouter
from .state import CallState, SessionState
from .streams import Streams
from .updates import Change, Update

REFUSED = "refused"
"""Kind of the frame of a call that was refused before anything of it was sent. It belongs to no session."""


class TimelineBuilder:
    """A builder that makes a timeline from frames, one by one.

    Args:
        meta: The known values of the meta line; see `add_meta`.
        keep: Whether steps are kept in the timeline. Turn off for a trace without end, whose steps are taken
            from the updates as they come.

    Attributes:
        timeline: The timeline so far. `finish` completes it.
    """

    def __init__(self, meta: Mapping[str, Any] | None = None, *, keep: bool = True) -> None:
        self._draft = Draft(meta or {}, keep=keep)
        self._requests = Requests(self._draft)
        self._router = MessageRouter(self._draft)
        self._streams = Streams(self._draft, self._router)
        self._in_discovery = True
        self.timeline = self._draft.timeline

    def add_meta(self, values: Mapping[str, Any]) -> None:
        """Store the values of a meta line."""
        self._draft.add_meta(values)

    def feed(self, frame: Frame) -> list[Update]:
        """Process the next frame, and return its changes."""
        self._draft.begin_frame(frame)
        if frame.kind is Kind.SESSION:
            self._draft.open_session(frame)
            self._in_discovery = False
        elif frame.session:
            self._feed_session(frame)
        else:
            self._feed_beside(frame)
        return self._draft.updates

    def finish(self) -> Timeline:
        """Return the timeline; calls that have not ended are as they stand at the last frame."""
        self._draft.updates = []
        for session in self._draft.sessions.values():
            self._router.release_parked(session)
        return self._draft.finish()

    def settle(self) -> list[Update]:
        """Return which calls end with the trace, after `finish` or in its place where no steps are kept."""
        return self._draft.settle()

    # --- frames of sessions --------------------------------------------------------------------------

    def _feed_session(self, frame: Frame) -> None:
        session = self._draft.session(frame)
        if frame.kind is Kind.CALL:
            self._draft.add(self._local_step(frame), session, self._draft.open_call(frame, session))
            return
        key = frame.channel.partition(".")[0] if frame.channel[:1].isdigit() else ""
        call = session.calls.get(key)
        match frame.kind:
            case Kind.REQUEST | Kind.WS_OPEN:
                self._send_request(frame, session, call)
            case Kind.RESPONSE | Kind.RESPONSE_HEAD | Kind.WS_ACCEPT:
                self._take_reply(frame, session, call)
            case Kind.ERROR if frame.direction is not Direction.LOCAL:
                self._take_failure(frame, session, call)
            case Kind.CHUNK:
                self._streams.take_chunk(frame, session, call)
            case Kind.WS_TEXT:
                self._streams.take_text(frame, session, call)
            case Kind.END | Kind.STREAM_CLOSE | Kind.WS_CLOSE:
                self._streams.take_end(frame, session, call)
            case _:
                self._take_local(frame, session, call)

    def _local_step(self, frame: Frame) -> Step:
        payload = frame.payload
        step = self._draft.step(frame, StepKind.LOCAL, frame.kind.value)
        step.given = payload.get("data")
        step.error, step.message = str(payload.get("error") or ""), str(payload.get("message") or "")
        return step

    def _take_local(self, frame: Frame, session: SessionState, call: CallState | None) -> None:
        step = self._local_step(frame)
        self._draft.add(step, session, call)
        if call is None:
            return
        if frame.kind is Kind.CANCEL:
            end = End(Outcome.CANCELLED)
        elif frame.kind is Kind.ERROR:
            end = End(Outcome.ABANDONED, step.error, step.message, call.phase)
        elif step.name == REFUSED:
            end = End(Outcome.REFUSED, step.error, step.message)
        else:
            return
        self._draft.end(call, end, frame.t, self._draft.number)

    def _send_request(self, frame: Frame, session: SessionState, call: CallState | None) -> None:
        step = self._requests.add(frame)
        step.shared = call is None
        if call is not None:
            call.completing = False
            if call.phase == "join" and step.phase == "complete":
                call.phase = "run"
            elif call.phase == "join" and frame.kind is Kind.WS_OPEN:
                call.phase = "connect"
        if frame.channel.endswith(".join") and not frame.retried:
            session.joining += 1
        if step.stream is not None and call is None:
            session.loss = None
        self._draft.add(step, session, call)

    def _add_reply(self, frame: Frame, session: SessionState, call: CallState | None) -> Step:
        """Give a request its reply, or its failure, and return its step."""
        step = self._requests.add_reply(frame, session, call)
        calls = () if call is None else (call.line,)
        self._draft.updates.append(Update(Change.REPLY, step, calls, session.line))
        if call is not None:
            call.last = max(call.last, frame.t)
        if frame.channel.endswith(".join") and not step.retried:
            session.joining = max(session.joining - 1, 0)
        return step

    def _take_reply(self, frame: Frame, session: SessionState, call: CallState | None) -> None:
        step = self._add_reply(frame, session, call)
        if step.retried:
            return
        if frame.kind in (Kind.RESPONSE_HEAD, Kind.WS_ACCEPT):
            socket = frame.kind is Kind.WS_ACCEPT
            self._streams.open(frame, step, decode=not socket)
            if call is not None and not call.ended:
                chat = frame.channel.endswith(".chat")
                call.to_phase("join" if socket else "run" if chat else call.phase, frame.t)
        elif call is None:
            if frame.channel == "stream":
                self._draft.lose(session, None, refusal_of(step, frame.payload), frame.t)
        else:
            self._take_whole_reply(frame, session, call, step)
        self._release_parked(session)

    def _take_whole_reply(self, frame: Frame, session: SessionState, call: CallState, step: Step) -> None:
        channel = frame.channel.partition(".")[2]
        if step.status is None or step.status >= 300:
            if step.phase != "cancel" and not channel.startswith("send-"):
                end = refusal_of(step, frame.payload, version=self._draft.version)
                if step.phase == "complete" and end.error == "AppError":
                    self._router.take_message(
                        self._reply_event(frame, step, "error"), failure(end), session, call
                    )
                # A chat may be asked again without what the server refuses.
                self._draft.lose(session, call, end, frame.t, final=channel != "chat")
            return
        if channel == "join":
            event_id = event_id_of(decode_body(step.reply_body))
            if event_id is not None:
                call.line.event_id = call.line.event_id or event_id
                session.owners.setdefault(event_id, call)
                if not call.ended:
                    session.joined[call.line.key] = call
                self._router.take_parked(event_id, session, call)
        if step.phase == "join":
            call.loss = None
            if call.phase in ("join", "connect"):
                call.to_phase("queue", frame.t)
        for message in read_reply(channel, step, self._draft.version):
            self._router.take_message(self._reply_event(frame, step, message.name), message, session, call)

    def _reply_event(self, frame: Frame, request: Step, name: str) -> Step:
        event = self._draft.step(frame, StepKind.EVENT, name)
        event.derived = True
        event.text, event.size = request.reply_body, request.reply_size
        return event

    def _take_failure(self, frame: Frame, session: SessionState, call: CallState | None) -> None:
        step = self._add_reply(frame, session, call)
        if step.retried or step.phase == "cancel" or ".send-" in frame.channel:
            return
        end = End(Outcome.FAILED, step.error, step.message, step.phase)
        if call is not None or frame.channel == "stream":
            # A poll may get lost.
            self._draft.lose(session, call, end, frame.t, final=not frame.channel.endswith(".status"))
        self._release_parked(session)

    def _release_parked(self, session: SessionState) -> None:
        if not session.joining:
            self._router.release_parked(session)

    # --- frames beside the sessions ------------------------------------------------------------------

    def _feed_beside(self, frame: Frame) -> None:
        """Process a frame of the discovery, of a file, of a heartbeat ..."""
        steps = self._beside_steps(frame)
        match frame.kind:
            case Kind.REQUEST | Kind.WS_OPEN:
                self._draft.add_beside(self._requests.add(frame), steps)
            case Kind.ERROR if frame.direction is Direction.LOCAL:
                self._draft.add_beside(self._local_step(frame), steps)
            case Kind.RESPONSE | Kind.RESPONSE_HEAD | Kind.ERROR | Kind.WS_ACCEPT:
                answered = self._requests.add_reply(frame)
                if answered.name == UNKNOWN_REQUEST:
                    self._draft.add_beside(answered, steps)
                self._draft.updates.append(Update(Change.REPLY, answered))
                if frame.kind is Kind.RESPONSE_HEAD:
                    self._streams.open(frame, answered, decode=False)
            case Kind.CHUNK:
                self._streams.take_chunk_beside(frame)
            case Kind.END:
                self._streams.take_end_beside(frame)
            case _ if str(frame.kind) == REFUSED:
                nowhere = SessionState(SessionTimeline(0))
                self._take_local(frame, nowhere, self._draft.open_call(frame, nowhere, refused=True))
            case _:
                self._draft.add_beside(self._local_step(frame), steps)

    def _beside_steps(self, frame: Frame) -> list[Step]:
        if frame.channel == "discover" and frame.kind is Kind.REQUEST:
            self._in_discovery = True
        is_discovery = frame.channel in DISCOVERY_CHANNELS and (
            frame.channel == "discover" or self._in_discovery
        )
        return self.timeline.discovery if is_discovery else self.timeline.others


__all__ = ["TimelineBuilder"]
