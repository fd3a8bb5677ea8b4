# SPDX-License-Identifier: Apache-2.0
"""Event streams and websockets: their bytes, the events in them, and their end."""

from __future__ import annotations

import attrs

from ...errors import EventTooLarge
from ...protocol.frames import Direction, Frame, Kind
from ...protocol.sse import SSEDecoder
from .draft import Draft
from .messages import End
from .model import UNKNOWN_REQUEST, Outcome, Step, StepKind, Stream
from .routing import MessageRouter
from .state import CallState, SessionState
from .updates import Change, Update


@attrs.define(eq=False)
class OpenStream:
    """A stream or socket that is open, and the event that is not complete yet."""

    step: Step
    decoder: SSEDecoder | None
    begun: float | None = None
    tail: bytes = b""
    closing: Step | None = None


class Streams:
    """The streams and sockets that are open, by session and channel."""

    def __init__(self, draft: Draft, router: MessageRouter) -> None:
        self._draft = draft
        self._router = router
        self._open: dict[tuple[int, str], OpenStream] = {}

    def open(self, frame: Frame, step: Step, *, decode: bool) -> None:
        """Open the stream of a request, whose events are decoded if it is an event stream."""
        self._open[frame.session, frame.channel] = OpenStream(step, SSEDecoder() if decode else None)

    def take_chunk(self, frame: Frame, session: SessionState, call: CallState | None) -> None:
        """Process bytes of an event stream, and the events that they complete."""
        place = frame.session, frame.channel
        stream = self._open.get(place)
        if stream is None or stream.decoder is None:
            # The head is missing, as in a trace that begins in the middle.
            stream = self._open[place] = OpenStream(self._orphan(frame), SSEDecoder())
        data = frame.payload["data"]
        whole, decoder = stream.step.stream, stream.decoder
        assert whole is not None and decoder is not None  # noqa: S101, PT018
        whole.size += len(data)
        whole.last = frame.t
        begun = frame.t if stream.begun is None else stream.begun
        try:
            events = decoder.feed(data)
        except EventTooLarge as error:
            self._draft.lose(
                session, call, End(Outcome.FAILED, "EventTooLarge", error.message, "stream"), frame.t
            )
            return
        stream.tail = (stream.tail + data[-4:])[-4:]
        complete = stream.tail.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))
        stream.begun = None if complete else (frame.t if events else begun)
        whole.events += len(events)
        for event in events:
            step = self._draft.step(frame, StepKind.EVENT, event.event)
            step.text, step.size = event.data, len(event.data.encode("utf-8", "replace"))
            step.t, step.seconds = begun, frame.t - begun
            begun = frame.t
            self._router.route(step, event.event, session, call)

    def _orphan(self, frame: Frame) -> Step:
        step = self._draft.step(frame, StepKind.REQUEST, UNKNOWN_REQUEST)
        step.stream = Stream()
        return step

    def take_text(self, frame: Frame, session: SessionState, call: CallState | None) -> None:
        """Process a text of a websocket."""
        text = str(frame.payload.get("text") or "")
        size = len(text.encode("utf-8", "replace"))
        if frame.direction is Direction.OUT:
            step = self._draft.step(frame, StepKind.SENT, "send")
            step.text, step.size = text, size
            self._draft.add(step, session, call)
            return
        stream = self._open.get((frame.session, frame.channel))
        if stream is not None and stream.step.stream is not None:
            stream.step.stream.size += size
            stream.step.stream.events += 1
            stream.step.stream.last = frame.t
        step = self._draft.step(frame, StepKind.EVENT, "message")
        step.text, step.size = text, size
        self._router.route(step, "message", session, call)

    def take_end(self, frame: Frame, session: SessionState, call: CallState | None) -> None:
        """Process the end of a stream. The client's close and the end are one step."""
        place = frame.session, frame.channel
        stream = self._open.get(place)
        closes = frame.kind is not Kind.END
        ending = "local" if closes else str(frame.payload.get("ending") or "")
        whole = self._ended(frame, stream, ending)
        if not closes:
            self._open.pop(place, None)
        if stream is not None and stream.closing is not None and not closes:
            stream.closing.reply_frame = self._draft.number
            stream.closing.name = ending
            stream.closing.message = whole.reason
            return
        step = self._draft.step(frame, StepKind.END, ending)
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
            self._open[place] = OpenStream(self._closed_early(step), None, closing=step)
        self._draft.add(step, session, call)
        if call is not None and call.completing and ending != "local":
            self._draft.end(call, End(Outcome.COMPLETED), frame.t, self._draft.number)
        elif call is not None or session.joined:
            # A shared stream that ends properly is opened again for calls that have not been heard of.
            final = ending != "local" and (call is not None or ending != "clean")
            self._draft.lose(session, call, _stream_end(whole, ending), frame.t, final=final)

    def _ended(self, frame: Frame, stream: OpenStream | None, ending: str) -> Stream:
        """Return the bytes of a stream with its end, or with its close, which no end may follow."""
        whole = Stream() if stream is None or stream.step.stream is None else stream.step.stream
        whole.end, whole.ending = frame.t, ending
        if frame.kind is Kind.END:
            code = frame.payload.get("code")
            whole.end_frame = self._draft.number
            whole.code = code if isinstance(code, int) else None
            whole.reason = str(frame.payload.get("reason") or "")
        if stream is not None and stream.decoder is not None and not whole.cut:
            whole.cut = len(stream.decoder.close())
        return whole

    def _idle_setting(self, session: SessionState) -> str:
        """Return the setting that ended a silence, if the trace shows it."""
        name = "idle" if not self._draft.version or self._draft.version >= (4, 4) else "no_heartbeat"
        seconds = session.line.timeouts.get(name)
        return f"Timeouts({name}={seconds})" if seconds is not None else f"nothing came, Timeouts({name}=)"

    @staticmethod
    def _closed_early(step: Step) -> Step:
        """Return a request for a stream that was closed before its head came."""
        return attrs.evolve(step, kind=StepKind.REQUEST)

    # --- beside the sessions -------------------------------------------------------------------------

    def take_chunk_beside(self, frame: Frame) -> None:
        """Count the bytes of a download or of another stream of no session."""
        stream = self._open.get((frame.session, frame.channel))
        if stream is not None and stream.step.stream is not None:
            stream.step.stream.size += len(frame.payload["data"])
            stream.step.stream.last = frame.t

    def take_end_beside(self, frame: Frame) -> None:
        """Process the end of a stream of no session."""
        stream = self._open.pop((frame.session, frame.channel), None)
        if stream is not None and stream.step.stream is not None:
            whole = stream.step.stream
            whole.end, whole.end_frame = frame.t, self._draft.number
            whole.ending = str(frame.payload.get("ending") or "")
            whole.reason = str(frame.payload.get("reason") or "")
            self._draft.updates.append(Update(Change.REPLY, stream.step))


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


__all__ = ["Streams"]
