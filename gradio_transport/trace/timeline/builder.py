# SPDX-License-Identifier: Apache-2.0
"""Building of a timeline from frames, in one pass and in linear time.

It uses no adapter: requests and replies are paired by channel, messages belong to the call of their channel
or event id, and `timeline.messages` decodes messages.
"""

from __future__ import annotations

import enum
import itertools
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs

from ...errors import EventTooLarge
from ...protocol.diff import DiffDecoder
from ...protocol.frames import Direction, Frame, Kind
from ...protocol.json import held_bytes
from ...protocol.messages import event_id_of
from ...protocol.sse import SSEDecoder
from ..replay.discoveries import DISCOVERY_CHANNELS
from .messages import End, Message, failure, read_event, read_reply, refusal_of, version_of
from .model import (
    UNKNOWN_REQUEST,
    CallTimeline,
    Outcome,
    SessionTimeline,
    Span,
    Step,
    StepKind,
    Stream,
    Timeline,
    decode_body,
)

EDITING_ADAPTERS = frozenset({"sse_v2", "sse_v2.1", "sse_v3"})
"""Adapters of servers that send edits of values after the first."""

REFUSED = "refused"
"""Kind of the frame of a call that was refused before anything of it was sent. It belongs to no session."""

MAX_KEPT_BYTES = 256 * 1024 * 1024
"""Memory that the whole values of a timeline may take. Edits make small messages into large values."""

MAX_MADE_BYTES = 4 * 1024 * 1024 * 1024
"""What the edits of a trace may copy altogether, until no more of them are applied: they take time."""

MAX_SHARERS = 16
"""Most calls that share a step of their session's stream. With more at once it is the session's alone."""

MAX_ENDED = 100
"""Calls of a session that have ended, of which a timeline that keeps no steps still knows."""

MAX_SESSIONS = 1000
"""Sessions that a timeline that keeps no steps knows."""

MAX_NAME = 100
"""Characters of the name of a message."""

MAX_PARKED = 10_000
"""Messages of a session that wait for the reply to a join, which names their call."""


class Change(enum.StrEnum):
    """The change by a frame."""

    CALL = "call"
    """A call began."""
    STEP = "step"
    """A step began; for most kinds it is complete too."""
    REPLY = "reply"
    """A request got its reply, or failed."""
    DONE = "done"
    """A call ended."""


@attrs.frozen
class Update:
    """The change by a frame, for programs that show a trace while it is being written.

    Attributes:
        change: What.
        step: The step; None for the beginning and the end of a call.
        calls: The calls that it belongs to; more than one for a shared stream.
        session: The session, None for what belongs to none.
    """

    change: Change
    step: Step | None = None
    calls: Sequence[CallTimeline] = ()
    session: SessionTimeline | None = None


@attrs.define(eq=False)
class _Loss:
    """The reason why calls are over, unless more messages arrive for them."""

    t: float
    frame: int
    end: End


@attrs.define(eq=False)
class _OpenStream:
    """A stream or socket that is open, and the event that is not complete yet."""

    step: Step
    decoder: SSEDecoder | None
    call: _Call | None
    begun: float | None = None
    tail: bytes = b""
    closing: Step | None = None


@attrs.define(eq=False)
class _Call:
    """A call while it is built."""

    line: CallTimeline
    session: _Session
    values: DiffDecoder | None
    last: float
    phase: str
    phase_start: float
    heartbeats: int = 0
    seen_heartbeats: int = 0
    ended: bool = False
    loss: _Loss | None = None
    completing: bool = False
    cancelled: bool = False
    texts: list[str] = attrs.field(factory=list[str])


@attrs.define(eq=False)
class _Session:
    """A session while it is built."""

    line: SessionTimeline
    calls: dict[str, _Call] = attrs.field(factory=dict[str, "_Call"])
    active: dict[str, _Call] = attrs.field(factory=dict[str, "_Call"])
    joined: dict[str, _Call] = attrs.field(factory=dict[str, "_Call"])
    owners: dict[str, _Call] = attrs.field(factory=dict[str, "_Call"])
    joining: int = 0
    parked: dict[str, list[Step]] = attrs.field(factory=dict[str, "list[Step]"])
    parked_count: int = 0
    latest: _Call | None = None
    last_ended: _Call | None = None
    loss: _Loss | None = None
    heartbeats: int = 0
    ended: deque[_Call] = attrs.field(factory=deque["_Call"])


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
        self.timeline = Timeline(meta=dict(meta or {}))
        self._keep = keep
        self._version = version_of(self.timeline.meta)
        self._sessions: dict[int, _Session] = {}
        self._pending: dict[tuple[int, str], deque[Step]] = {}
        self._streams: dict[tuple[int, str], _OpenStream] = {}
        self._number = -1
        self._in_discovery = True
        self._kept = self._made = 0
        self._updates: list[Update] = []
        self._calls = 0

    def add_meta(self, values: Mapping[str, Any]) -> None:
        """Store the values of a meta line."""
        self.timeline.meta = {**self.timeline.meta, **values}
        self._version = version_of(self.timeline.meta)

    def feed(self, frame: Frame) -> list[Update]:
        """Process the next frame, and return its changes."""
        self._number += 1
        self._updates = []
        self.timeline.frames = self._number + 1
        if not self._number:
            self.timeline.start = frame.t
        self.timeline.end = max(self.timeline.end, frame.t)
        if frame.kind is Kind.SESSION:
            self._open_session(frame)
        elif frame.session:
            self._feed_session(frame)
        else:
            self._feed_beside(frame)
        return self._updates

    def finish(self) -> Timeline:
        """Return the timeline; calls that have not ended are as they stand at the last frame."""
        self._updates = []
        for session in self._sessions.values():
            for steps in session.parked.values():
                for step in steps:
                    self._add(step, session, None)
            session.parked = {}
            session.line.steps.sort(key=_frame)
        self.settle()
        for line in self.timeline.calls:
            if not _is_sorted(line.steps):
                line.steps.sort(key=_frame)
        return self.timeline

    def settle(self) -> list[Update]:
        """Return which calls end with the trace, after `finish` or in its place where no steps are kept."""
        self._updates = []
        for session in self._sessions.values():
            for call in list(session.active.values()):
                self._settle(call)
        return self._updates

    # --- sessions and calls --------------------------------------------------------------------------

    def _open_session(self, frame: Frame) -> None:
        payload = frame.payload
        line = SessionTimeline(
            number=frame.session,
            adapter=str(payload.get("adapter") or ""),
            source=str(payload.get("source") or ""),
            session_hash=str(payload.get("session_hash") or ""),
            start=frame.t,
            frame=self._number,
            timeouts=_mapping(payload.get("timeouts")),
            limits=_mapping(payload.get("limits")),
        )
        session = self._sessions[frame.session] = _Session(line)
        if self._keep:
            self.timeline.sessions.append(line)
        else:
            self._forget_old_sessions()
        self._in_discovery = False
        step = self._step(frame, StepKind.LOCAL, "session")
        step.message = line.adapter
        self._add(step, session, None)

    def _session(self, frame: Frame) -> _Session:
        session = self._sessions.get(frame.session)
        if session is None:  # a trace that begins in the middle
            line = SessionTimeline(frame.session, start=frame.t)
            self.timeline.sessions.append(line)
            session = self._sessions[frame.session] = _Session(line)
        return session

    def _open_call(self, frame: Frame, session: _Session, *, refused: bool = False) -> _Call:
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
            frame=self._number,
            end=frame.t,
            event_id=str(event_id) if event_id else None,
            late=payload.get("late") is True,
        )
        if self._keep:
            self.timeline.calls.append(line)
        edits = session.line.adapter in EDITING_ADAPTERS or (
            session.line.adapter == "direct" and self._version >= (4, 17)
        )
        values = DiffDecoder() if edits else None
        call = _Call(line, session, values, frame.t, "join", frame.t, seen_heartbeats=session.heartbeats)
        self._updates.append(Update(Change.CALL, None, (line,), session.line))
        if not refused:
            session.calls[frame.channel] = session.active[frame.channel] = session.latest = call
        if line.event_id is not None:
            session.owners[line.event_id] = session.joined[line.key] = call
            call.phase = "queue"
        return call

    def _settle(self, call: _Call) -> None:
        """Give a call that nothing ended the outcome that stands at the end of the trace."""
        loss = call.loss or call.session.loss
        if call.completing:
            self._end(call, End(Outcome.COMPLETED), call.last, None)
        elif loss is not None:
            self._end(call, loss.end, loss.t, loss.frame)
        else:
            call.line.end = self.timeline.end
            call.line.quiet_heartbeats = self._take_heartbeats(call)
            self._to_phase(call, "", self.timeline.end)

    def _end(self, call: _Call, end: End, t: float, frame: int | None) -> None:
        line = call.line
        if call.ended:
            return
        call.ended = True
        line.outcome, line.error, line.message = end.outcome, end.error, end.message
        line.error_phase = end.phase
        line.end, line.end_frame = t, frame
        if call.texts:
            line.data = ["".join(call.texts)]
        self._to_phase(call, "", t)
        call.session.last_ended = call
        call.session.active.pop(line.key, None)
        call.session.joined.pop(line.key, None)
        call.values = None
        if not self._keep:
            self._forget_old_calls(call)
        self._updates.append(Update(Change.DONE, None, (line,), call.session.line))

    @staticmethod
    def _forget_old_calls(call: _Call) -> None:
        """Forget the calls that ended long ago: a live view has no end, and little still comes for them."""
        session = call.session
        session.ended.append(call)
        while len(session.ended) > MAX_ENDED:
            old = session.ended.popleft()
            session.calls.pop(old.line.key, None)
            if old.line.event_id is not None and session.owners.get(old.line.event_id) is old:
                del session.owners[old.line.event_id]

    def _forget_old_sessions(self) -> None:
        while len(self._sessions) > MAX_SESSIONS:
            number = next(iter(self._sessions))
            if self._sessions[number].active:
                break
            del self._sessions[number]

    @staticmethod
    def _to_phase(call: _Call, phase: str, t: float) -> None:
        if phase == call.phase or not call.phase:
            return
        if t > call.phase_start:
            call.line.phases.append(Span(call.phase, call.phase_start, t))
        call.phase, call.phase_start = phase, t

    # --- steps ---------------------------------------------------------------------------------------

    def _step(self, frame: Frame, kind: StepKind, name: str) -> Step:
        return Step(frame.t, kind, name, self._number, frame.channel, frame.direction)

    def _add(self, step: Step, session: _Session, call: _Call | None) -> None:
        """Add a step to its call, or to its session and the calls that need it."""
        if call is not None:
            self._add_to_call(step, call)
            self._updates.append(Update(Change.STEP, step, (call.line,), session.line))
            return
        calls: Sequence[_Call] = ()
        if step.shared:
            calls = self._sharers(step, session)
            for one in calls:
                self._add_to_call(step, one, shared=True)
        if self._keep:
            session.line.steps.append(step)
        lines = [one.line for one in calls]
        self._updates.append(Update(Change.STEP, step, lines, session.line))

    @staticmethod
    def _sharers(step: Step, session: _Session) -> Sequence[_Call]:
        """Return the calls that a step of the session's stream belongs to."""
        ends = step.kind is StepKind.END or step.event == "close_stream"
        # A call that was not accepted yet does not wait on a stream that ends now.
        active = session.joined if ends and session.last_ended is not None else session.active
        if active:
            return list(active.values()) if len(active) <= MAX_SHARERS else ()
        latest = session.last_ended if ends and session.last_ended is not None else session.latest
        return () if latest is None else (latest,)

    def _add_to_call(self, step: Step, call: _Call, *, shared: bool = False) -> None:
        gap, heartbeats = max(step.t - call.last, 0.0), self._take_heartbeats(call)
        # A shared step has one gap, and the calls may have waited for different times.
        step.gap = min(step.gap, gap) if shared and step.gap else gap
        step.heartbeats = max(step.heartbeats, heartbeats)
        call.last = max(call.last, step.end)
        if self._keep:
            call.line.steps.append(step)

    @staticmethod
    def _take_heartbeats(call: _Call) -> int:
        heartbeats = call.heartbeats + call.session.heartbeats - call.seen_heartbeats
        call.heartbeats, call.seen_heartbeats = 0, call.session.heartbeats
        return heartbeats

    # --- frames of sessions --------------------------------------------------------------------------

    def _feed_session(self, frame: Frame) -> None:
        session = self._session(frame)
        if frame.kind is Kind.CALL:
            self._add(self._local_step(frame), session, self._open_call(frame, session))
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
                self._take_chunk(frame, session, call)
            case Kind.WS_TEXT:
                self._take_text(frame, session, call)
            case Kind.END | Kind.STREAM_CLOSE | Kind.WS_CLOSE:
                self._take_end(frame, session, call)
            case _:
                self._take_local(frame, session, call)

    def _local_step(self, frame: Frame) -> Step:
        payload = frame.payload
        step = self._step(frame, StepKind.LOCAL, frame.kind.value)
        step.given = payload.get("data")
        step.error, step.message = str(payload.get("error") or ""), str(payload.get("message") or "")
        return step

    def _take_local(self, frame: Frame, session: _Session, call: _Call | None) -> None:
        step = self._local_step(frame)
        self._add(step, session, call)
        if call is None:
            return
        if frame.kind is Kind.CANCEL:
            call.cancelled = True
            self._end(call, End(Outcome.CANCELLED), frame.t, self._number)
        elif frame.kind is Kind.ERROR:
            self._end(
                call, End(Outcome.ABANDONED, step.error, step.message, call.phase), frame.t, self._number
            )
        elif step.name == REFUSED:
            self._end(call, End(Outcome.REFUSED, step.error, step.message), frame.t, self._number)

    def _send_request(self, frame: Frame, session: _Session, call: _Call | None) -> None:
        step = self._request_step(frame)
        step.shared = call is None
        self._pending.setdefault((frame.session, frame.channel), deque()).append(step)
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
        self._add(step, session, call)

    def _request_step(self, frame: Frame) -> Step:
        payload = frame.payload
        opens = frame.kind is Kind.WS_OPEN
        step = self._step(frame, StepKind.REQUEST, "WS" if opens else str(payload.get("method") or "?"))
        body = payload.get("body")
        step.url = str(payload.get("url") or "")
        step.phase = str(payload.get("phase") or ("join" if opens else ""))
        step.text = body if isinstance(body, bytes) else None
        step.size = len(body) if isinstance(body, bytes) else None
        step.attempt = _whole_number(payload.get("attempt")) or 1
        files = payload.get("files")
        if isinstance(files, list):
            step.files = [
                cast("dict[str, Any]", one) for one in cast("list[Any]", files) if isinstance(one, dict)
            ]
        if opens or payload.get("stream") is True:
            step.stream = Stream(is_socket=opens)
        return step

    def _answered(self, frame: Frame) -> Step | None:
        """Return the oldest request of a channel without a reply; one with the reply's URL comes first."""
        waiting = self._pending.get((frame.session, frame.channel))
        if not waiting:
            return None
        step = waiting[0]
        if len(waiting) > 1:
            url = frame.payload.get("url")
            for place in range(min(len(waiting), 64)):
                if waiting[place].url == url:
                    step = waiting[place]
                    break
        waiting.remove(step)
        if not waiting:
            del self._pending[frame.session, frame.channel]
        return step

    def _fill_reply(self, frame: Frame, session: _Session | None = None, call: _Call | None = None) -> Step:
        """Give a request its reply."""
        step = self._answered(frame)
        if step is None:  # the trace begins in the middle
            step = self._step(frame, StepKind.REQUEST, UNKNOWN_REQUEST)
            if session is not None:
                step.shared = call is None
                self._add(step, session, call)
        payload = frame.payload
        step.reply_frame = self._number
        step.seconds = frame.t - step.t
        step.retried = frame.retried
        if frame.kind is Kind.ERROR:
            step.error, step.message = str(payload.get("error") or ""), str(payload.get("message") or "")
            return step
        step.status = 101 if frame.kind is Kind.WS_ACCEPT else _whole_number(payload.get("status"))
        body = payload.get("body")
        if isinstance(body, bytes):
            step.reply_body, step.reply_size = body, len(body)
        elif frame.kind is Kind.RESPONSE:
            step.reply_size = 0
        if frame.kind is Kind.RESPONSE:
            step.stream = None
        elif step.stream is None:
            step.stream = Stream(is_socket=frame.kind is Kind.WS_ACCEPT)
        return step

    def _take_reply(self, frame: Frame, session: _Session, call: _Call | None) -> None:
        step = self._fill_reply(frame, session, call)
        calls = () if call is None else (call.line,)
        self._updates.append(Update(Change.REPLY, step, calls, session.line))
        if call is not None:
            call.last = max(call.last, frame.t)
        if frame.channel.endswith(".join") and not step.retried:
            session.joining = max(session.joining - 1, 0)
        if step.retried:
            return
        if frame.kind in (Kind.RESPONSE_HEAD, Kind.WS_ACCEPT):
            socket = frame.kind is Kind.WS_ACCEPT
            self._streams[frame.session, frame.channel] = _OpenStream(
                step, None if socket else SSEDecoder(), call
            )
            if call is not None and not call.ended:
                chat = frame.channel.endswith(".chat")
                self._to_phase(call, "join" if socket else "run" if chat else call.phase, frame.t)
        elif call is None:
            if frame.channel == "stream":
                self._lose(session, None, refusal_of(step, frame.payload), frame.t)
        else:
            self._take_whole_reply(frame, session, call, step)
        self._forget_parked(session)

    def _take_whole_reply(self, frame: Frame, session: _Session, call: _Call, step: Step) -> None:
        channel = frame.channel.partition(".")[2]
        if step.status is None or step.status >= 300:
            if step.phase != "cancel" and not channel.startswith("send-"):
                end = refusal_of(step, frame.payload, version=self._version)
                if step.phase == "complete" and end.error == "AppError":
                    self._take_message(self._reply_event(frame, step, "error"), failure(end), session, call)
                # A chat may be asked again without what the server refuses.
                self._lose(session, call, end, frame.t, final=channel != "chat")
            return
        if channel == "join":
            event_id = event_id_of(decode_body(step.reply_body))
            if event_id is not None:
                call.line.event_id = call.line.event_id or event_id
                session.owners.setdefault(event_id, call)
                if not call.ended:
                    session.joined[call.line.key] = call
                self._take_parked(event_id, session, call)
        if step.phase == "join":
            call.loss = None
            self._to_phase(call, "queue", frame.t) if call.phase in ("join", "connect") else None
        for message in read_reply(channel, step, self._version):
            self._take_message(self._reply_event(frame, step, message.name), message, session, call)

    def _reply_event(self, frame: Frame, request: Step, name: str) -> Step:
        event = self._step(frame, StepKind.EVENT, name)
        event.derived = True
        event.text, event.size = request.reply_body, request.reply_size
        return event

    def _take_failure(self, frame: Frame, session: _Session, call: _Call | None) -> None:
        step = self._fill_reply(frame, session, call)
        calls = () if call is None else (call.line,)
        self._updates.append(Update(Change.REPLY, step, calls, session.line))
        if call is not None:
            call.last = max(call.last, frame.t)
        if frame.channel.endswith(".join") and not step.retried:
            session.joining = max(session.joining - 1, 0)
        if step.retried or step.phase == "cancel" or ".send-" in frame.channel:
            return
        end = End(Outcome.FAILED, step.error, step.message, step.phase)
        if call is not None or frame.channel == "stream":
            # A poll may get lost.
            self._lose(session, call, end, frame.t, final=not frame.channel.endswith(".status"))
        self._forget_parked(session)

    def _lose(self, session: _Session, call: _Call | None, end: End, t: float, *, final: bool = True) -> None:
        """Note why a call, or all calls of a session, are over.

        Args:
            session: The session.
            call: The call; None for all that were accepted.
            end: How they ended.
            t: When.
            final: Whether nothing that comes later can change that.
        """
        loss = _Loss(t, self._number, end)
        if call is not None:
            call.loss = None if call.ended else loss
            if final:
                self._end(call, end, t, self._number)
        elif session.active:
            session.loss = loss
            for one in list(session.joined.values()) if final else ():
                self._end(one, end, t, self._number)

    # --- streams and sockets -------------------------------------------------------------------------

    def _take_chunk(self, frame: Frame, session: _Session, call: _Call | None) -> None:
        place = frame.session, frame.channel
        stream = self._streams.get(place)
        if stream is None or stream.decoder is None:
            # The head is missing, as in a trace that begins in the middle.
            stream = self._streams[place] = _OpenStream(self._orphan(frame), SSEDecoder(), call)
        data = frame.payload["data"]
        whole, decoder = stream.step.stream, stream.decoder
        assert whole is not None and decoder is not None  # noqa: S101, PT018
        whole.size += len(data)
        whole.last = frame.t
        begun = frame.t if stream.begun is None else stream.begun
        try:
            events = decoder.feed(data)
        except EventTooLarge as error:
            self._lose(session, call, End(Outcome.FAILED, "EventTooLarge", error.message, "stream"), frame.t)
            return
        stream.tail = (stream.tail + data[-4:])[-4:]
        complete = stream.tail.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))
        stream.begun = None if complete else (frame.t if events else begun)
        whole.events += len(events)
        for event in events:
            step = self._step(frame, StepKind.EVENT, event.event)
            step.text, step.size = event.data, len(event.data.encode("utf-8", "replace"))
            step.t, step.seconds = begun, frame.t - begun
            begun = frame.t
            self._route(step, event.event, session, call)

    def _orphan(self, frame: Frame) -> Step:
        step = self._step(frame, StepKind.REQUEST, UNKNOWN_REQUEST)
        step.stream = Stream()
        return step

    def _take_text(self, frame: Frame, session: _Session, call: _Call | None) -> None:
        text = str(frame.payload.get("text") or "")
        size = len(text.encode("utf-8", "replace"))
        if frame.direction is Direction.OUT:
            step = self._step(frame, StepKind.SENT, "send")
            step.text, step.size = text, size
            self._add(step, session, call)
            return
        stream = self._streams.get((frame.session, frame.channel))
        if stream is not None and stream.step.stream is not None:
            stream.step.stream.size += size
            stream.step.stream.events += 1
            stream.step.stream.last = frame.t
        step = self._step(frame, StepKind.EVENT, "message")
        step.text, step.size = text, size
        self._route(step, "message", session, call)

    def _route(self, step: Step, name: str, session: _Session, call: _Call | None) -> None:
        """Find the call of a message, by its channel or its event id."""
        message = read_event(name, cast("str", step.text), self._version, named=call is not None)
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
        self._take_message(step, message, session, owner)

    def _take_parked(self, event_id: str, session: _Session, call: _Call) -> None:
        for step in session.parked.pop(event_id, ()):
            session.parked_count -= 1
            message = read_event(step.name, cast("str", step.text), self._version, named=False)
            self._take_message(step, message, session, call)

    def _forget_parked(self, session: _Session) -> None:
        """Give what waits for the reply to a join to the session, if no join is unanswered."""
        if session.joining or not session.parked:
            return
        for steps in session.parked.values():
            for step in steps:
                self._add(step, session, None)
        session.parked, session.parked_count = {}, 0

    def _take_message(self, step: Step, message: Message, session: _Session, call: _Call | None) -> None:
        step.event = message.event
        step.message = message.end.message if message.end is not None else message.text
        step.error = message.end.error if message.end is not None else ""
        if message.event == "heartbeat":
            if call is None:
                session.heartbeats += 1
            else:
                call.heartbeats += 1
            if self._keep:
                step.shared = call is None
                session.line.steps.append(step)
            return
        if call is None:
            step.shared = message.event in ("close_stream", "unexpected_error", "server_stopped")
            self._add(step, session, None)
            # The completion of a call that the trace does not know says nothing of those that it knows.
            of_another = message.event == "process_completed" and (
                message.event_id is not None or message.end == End(Outcome.COMPLETED)
            )
            if message.end is not None and message.event != "close_stream" and not of_another:
                self._lose(session, None, message.end, step.end)
            return
        self._take_values(step, message, call)
        self._add(step, session, call)
        if call.ended:
            return
        call.loss = None
        call.completing = message.completing
        if message.phase:
            self._advance(call, message.phase, step.t)
        if message.end is not None:
            self._end(call, message.end, step.end, step.frame)

    @staticmethod
    def _advance(call: _Call, phase: str, t: float) -> None:
        order = ("connect", "join", "queue", "run", "stream")
        if call.phase in order and order.index(phase) > order.index(call.phase):
            TimelineBuilder._to_phase(call, phase, t)

    def _take_values(self, step: Step, message: Message, call: _Call) -> None:
        """Give a step the whole output values of its message, with edits applied."""
        if message.delta is not None:
            call.texts.append(message.delta)
        data = message.data
        if data is None:
            return
        made = 0
        if message.event == "process_generating" and call.values is not None and not call.ended:
            step.before = call.line.data
            if self._made > MAX_MADE_BYTES:
                step.kept, step.edited = False, call.line.data is not None
                return
            first = call.line.data is None
            values = call.values.next(data)
            made = call.values.made_bytes
            self._made += made
            step.edited = not first and values is not data
            data = cast("list[Any]", values)
        call.line.data = data
        self._kept += made + (held_bytes(step.text) if isinstance(step.text, str) else 0)
        if self._keep and self._kept > MAX_KEPT_BYTES:
            step.before, step.kept = None, False
        else:
            step.data = data

    def _take_end(self, frame: Frame, session: _Session, call: _Call | None) -> None:
        """Process the end of a stream. The client's close and the end are one step."""
        place = frame.session, frame.channel
        stream = self._streams.get(place)
        closes = frame.kind is not Kind.END
        ending = "local" if closes else str(frame.payload.get("ending") or "")
        whole = Stream() if stream is None or stream.step.stream is None else stream.step.stream
        if closes:
            whole.end, whole.ending = frame.t, ending  # its end may follow, but not always
        else:
            self._streams.pop(place, None)
            code = frame.payload.get("code")
            whole.end, whole.ending, whole.end_frame = frame.t, ending, self._number
            whole.code = code if isinstance(code, int) else None
            whole.reason = str(frame.payload.get("reason") or "")
        if stream is not None and stream.decoder is not None and not whole.cut:
            whole.cut = len(stream.decoder.close())
        if stream is not None and stream.closing is not None and not closes:
            stream.closing.reply_frame = self._number
            stream.closing.name = ending
            stream.closing.message = whole.reason
            return
        step = self._step(frame, StepKind.END, ending)
        step.closed_here = closes
        step.direction = Direction.OUT if closes or ending in ("local", "idle") else Direction.IN
        step.stream, step.message, step.shared = whole, whole.reason, call is None
        if ending == "idle":
            step.message = self._idle_setting(session)
        if stream is not None:
            step.url = stream.step.url
            if closes:
                stream.closing = step
        elif closes:
            self._streams[place] = _OpenStream(self._closed_early(step), None, call, closing=step)
        self._add(step, session, call)
        if call is not None and call.completing and ending != "local":
            self._end(call, End(Outcome.COMPLETED), frame.t, self._number)
        elif call is not None or session.joined:
            # A shared stream that ends properly is opened again for calls that have not been heard of.
            final = ending != "local" and (call is not None or ending != "clean")
            self._lose(session, call, _stream_end(whole, ending), frame.t, final=final)

    def _idle_setting(self, session: _Session) -> str:
        """Return the setting that ended a silence, if the trace shows it."""
        name = "idle" if not self._version or self._version >= (4, 4) else "no_heartbeat"
        seconds = session.line.timeouts.get(name)
        return f"Timeouts({name}={seconds})" if seconds is not None else f"nothing came, Timeouts({name}=)"

    @staticmethod
    def _closed_early(step: Step) -> Step:
        """Return a request for a stream that was closed before its head came."""
        return attrs.evolve(step, kind=StepKind.REQUEST)

    # --- frames beside the sessions ------------------------------------------------------------------

    def _feed_beside(self, frame: Frame) -> None:
        """Process a frame of the discovery, of a file, of a heartbeat ..."""
        steps = self._beside_steps(frame)
        place = 0, frame.channel
        match frame.kind:
            case Kind.REQUEST | Kind.WS_OPEN:
                request = self._request_step(frame)
                self._pending.setdefault(place, deque()).append(request)
                self._add_beside(request, steps)
            case Kind.ERROR if frame.direction is Direction.LOCAL:
                self._add_beside(self._local_step(frame), steps)
            case Kind.RESPONSE | Kind.RESPONSE_HEAD | Kind.ERROR | Kind.WS_ACCEPT:
                answered = self._fill_reply(frame)
                if answered.name == UNKNOWN_REQUEST:
                    self._add_beside(answered, steps)
                self._updates.append(Update(Change.REPLY, answered))
                if frame.kind is Kind.RESPONSE_HEAD:
                    self._streams[place] = _OpenStream(answered, None, None)
            case Kind.CHUNK:
                stream = self._streams.get(place)
                if stream is not None and stream.step.stream is not None:
                    stream.step.stream.size += len(frame.payload["data"])
                    stream.step.stream.last = frame.t
            case Kind.END:
                stream = self._streams.pop(place, None)
                if stream is not None and stream.step.stream is not None:
                    whole = stream.step.stream
                    whole.end, whole.end_frame = frame.t, self._number
                    whole.ending = str(frame.payload.get("ending") or "")
                    whole.reason = str(frame.payload.get("reason") or "")
                    self._updates.append(Update(Change.REPLY, stream.step))
            case _ if str(frame.kind) == REFUSED:
                nowhere = _Session(SessionTimeline(0))
                self._take_local(frame, nowhere, self._open_call(frame, nowhere, refused=True))
            case _:
                self._add_beside(self._local_step(frame), steps)

    def _beside_steps(self, frame: Frame) -> list[Step]:
        if frame.channel == "discover" and frame.kind is Kind.REQUEST:
            self._in_discovery = True
        is_discovery = frame.channel in DISCOVERY_CHANNELS and (
            frame.channel == "discover" or self._in_discovery
        )
        return self.timeline.discovery if is_discovery else self.timeline.others

    def _add_beside(self, step: Step, steps: list[Step]) -> None:
        if self._keep:
            steps.append(step)
        self._updates.append(Update(Change.STEP, step))


def _stream_end(stream: Stream, ending: str) -> End:
    """Return what the end of a stream means for a call that it leaves without its completion."""
    cut = " in the middle of an event" if stream.cut else ""
    why = f"{cut} ({stream.reason})" if stream.reason else cut
    match ending:
        case "idle":
            return End(
                Outcome.ABANDONED, "TimeoutExpired", f"No more data arrived on the stream{why}.", "stream"
            )
        case "too large":
            return End(Outcome.FAILED, "EventTooLarge", f"A message is larger than the limit{why}.", "stream")
        case "local":
            return End(Outcome.ABANDONED, "", f"The client closed the stream{why}.", "stream")
        case "clean":
            return End(Outcome.FAILED, "StreamLost", f"The stream ended before the call did{why}.", "stream")
        case _:
            return End(Outcome.FAILED, "StreamLost", f"The connection broke{why}.", "stream")


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _whole_number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _frame(step: Step) -> int:
    return step.frame


def _is_sorted(steps: Sequence[Step]) -> bool:
    return all(left.frame <= right.frame for left, right in itertools.pairwise(steps))


__all__ = ["EDITING_ADAPTERS", "MAX_KEPT_BYTES", "Change", "TimelineBuilder", "Update"]
