# SPDX-License-Identifier: Apache-2.0
"""A session with its taps: every input and every command passes through it once.

Both drivers and the replay drive sessions through a `TappedSession`, so the taps see all input and output of
a session. That makes traces complete: a replay of the inputs must reproduce the commands.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from ..adapter.exchange import Exchange, Invocation
from ..adapter.session import Session, Turn
from ..engines.interruptions import is_foreign
from ..errors import GradioTransportError, LocalProtocolError, TransportError, visible
from ..events import Failed
from ..protocol.commands import (
    Closed,
    Command,
    DropStream,
    DropWebSocket,
    OpenStream,
    OpenWebSocket,
    Response,
    SendRequest,
    SendText,
)
from ..protocol.frames import Direction, Frame, Kind, Tap
from ..protocol.known_secrets import KnownSecrets
from ..protocol.multipart import Multipart
from ..protocol.urls import drop_query
from .failures import callback_error

RING_FRAMES = 256
"""Frames kept for the notes on errors."""

_NOTE_FRAMES = 24
_NOTE_CHARACTERS = 100
_NOTE_BYTES = 4 * _NOTE_CHARACTERS
_CUT = "…"


class NoteFrame(NamedTuple):
    """A frame in a note: the beginning of its text, and the full length."""

    t: float
    direction: Direction
    kind: Kind
    channel: str
    session: int
    text: str | bytes
    length: int


class Taps:
    """The taps of a transport. It passes frames to them, and keeps the last ones.

    Attributes:
        clock: Returns the time in seconds.
        hidden_query: Query of the app's URL. No frame contains it, because it may be a signature.
        secrets: The secrets of the caller. No note contains them, and frames name them to the taps.
        watched: Whether there is a tap. Without one, no payload is needed.
    """

    def __init__(
        self, clock: Callable[[], float], taps: Sequence[Tap] = (), secrets: KnownSecrets | None = None
    ) -> None:
        self.clock = clock
        self.secrets = KnownSecrets() if secrets is None else secrets
        self.hidden_query = ""
        self._taps = tuple(taps)
        self.watched = bool(taps)
        self.ring: deque[NoteFrame] = deque(maxlen=RING_FRAMES)

    def add(self, tap: Tap) -> None:
        """Add a tap for all further frames."""
        self._taps = (*self._taps, tap)
        self.watched = True

    def show(
        self,
        direction: Direction,
        kind: Kind,
        channel: str,
        session: int,
        payload: Mapping[str, Any],
        text: str | bytes = "",
        *,
        remember: bool = True,
    ) -> float:
        """Make a frame of a message on the wire, and return its time.

        Args:
            direction: Its direction.
            kind: Its kind.
            channel: Its channel.
            session: Number of its session.
            payload: Its content. It may be empty if nothing taps; see `watched`.
            text: Its text in the notes on errors, without the caller's data.
            remember: Keep it for the notes on errors. False for the content of files, which may be large.

        Raises:
            LocalProtocolError: A tap raised.
        """
        now = self.clock()
        if remember:
            self.ring.append(NoteFrame(now, direction, kind, channel, session, text[:_NOTE_BYTES], len(text)))
        if self._taps:
            frame = Frame(now, direction, kind, channel, payload, session, self.secrets)
            for tap in self._taps:
                try:
                    tap(frame)
                except Exception as error:
                    if is_foreign(error):
                        raise
                    raise callback_error("tap", tap, error) from error
        return now

    def refusal(self, endpoint: object, error: GradioTransportError) -> None:
        """Show a call that ended with an error before it sent anything."""
        named = endpoint if isinstance(endpoint, str | int) else type(endpoint).__name__
        self._conclude(Kind.REFUSED, "refused", error, {"endpoint": named})
        self.name_traces(error)

    def discovery_failure(self, error: GradioTransportError, how: Mapping[str, Any]) -> None:
        """Show why a connection to an app failed, and add the frames to the error.

        Args:
            error: The error.
            how: Details of the attempt, such as the engine.
        """
        self._conclude(Kind.ERROR, "discover", error, how)
        if frames := self.note(0):
            error.add_note(f"Last frames of the discovery:\n{frames}")
        self.name_traces(error)

    def _conclude(
        self, kind: Kind, channel: str, error: GradioTransportError, payload: Mapping[str, Any]
    ) -> None:
        shown = {**payload, "error": type(error).__name__, "message": error.message}
        with suppress(LocalProtocolError):  # from a tap that raises, which must not replace this one
            self.show(Direction.LOCAL, kind, channel, 0, shown, remember=False)

    def name_traces(self, error: GradioTransportError) -> None:
        """Add the paths of the traces to an error, once."""
        for tap in self._taps:
            note = f"Trace: {getattr(tap, 'path', '')}"
            if hasattr(tap, "path") and note not in getattr(error, "__notes__", ()):
                error.add_note(note)

    def command(self, command: Command, session: int, attempt: int = 1) -> None:
        """Show an outgoing command, with the number of the `attempt` from the second on."""
        payload: dict[str, Any] = {}
        match command:
            case SendRequest() | OpenStream():
                request = command.request
                if self.watched:
                    payload = _request_payload(command, attempt)
                text = f"{request.method} {request.url.partition('?')[0]}"
                self.show(Direction.OUT, Kind.REQUEST, command.channel, session, payload, text)
            case OpenWebSocket():
                payload = {"url": command.url, "headers": command.headers}
                if attempt > 1:
                    payload["attempt"] = attempt
                self.show(Direction.OUT, Kind.WS_OPEN, command.channel, session, payload)
            case SendText():
                self.show(Direction.OUT, Kind.WS_TEXT, command.channel, session, {"text": command.text})
            case DropStream():
                self.show(Direction.OUT, Kind.STREAM_CLOSE, command.channel, session, {})
            case DropWebSocket():
                self.show(Direction.OUT, Kind.WS_CLOSE, command.channel, session, {})
            case _:  # the wake for a `WakeAt` is shown when it happens
                pass

    def response(
        self,
        channel: str,
        session: int,
        response: Response,
        *,
        head: bool = False,
        attempt: int | None = None,
    ) -> float:
        """Show an incoming reply, with the number of the `attempt` if another follows."""
        payload: dict[str, Any] = {}
        if self.watched:
            payload = {"status": response.status, "headers": response.headers}
            if attempt is not None:
                payload["attempt"] = attempt
            if response.url:
                payload["url"] = (
                    drop_query(response.url, self.hidden_query) if self.hidden_query else response.url
                )
            if not head:
                payload["body"] = response.body
        kind, text = Kind.RESPONSE_HEAD if head else Kind.RESPONSE, f"HTTP {response.status}"
        return self.show(Direction.IN, kind, channel, session, payload, text)

    def failure(
        self, channel: str, session: int, error: GradioTransportError, *, attempt: int | None = None
    ) -> float:
        """Show that no reply arrived, with the number of the `attempt` if another follows."""
        payload: dict[str, Any] = {"error": type(error).__name__, "message": error.message}
        if attempt is not None:
            payload["attempt"] = attempt
        return self.show(Direction.IN, Kind.ERROR, channel, session, payload, error.message)

    def chunk(self, channel: str, data: bytes) -> None:
        """Show bytes that are not input of a state machine: those of a file, or a heartbeat."""
        if self._taps:
            self.show(Direction.IN, Kind.CHUNK, channel, 0, {"data": data}, remember=False)

    def end(self, channel: str, closed: Closed) -> None:
        """Show the end of a stream that no state machine reads."""
        self.closed(channel, 0, closed)

    def closed(self, channel: str, session: int, closed: Closed) -> float:
        """Show the end of a stream or socket."""
        ending = closed.ending.value
        payload = {"ending": ending, "code": closed.code, "reason": closed.reason}
        text = f"{ending} {closed.reason}"
        return self.show(Direction.IN, Kind.END, channel, session, payload, text)

    def note(self, session: int) -> str:
        """Return the last frames of a session as text, without headers, queries or secrets; empty if none."""
        remembered = self.ring.copy()  # copied at once, because other threads continue
        frames = [frame for frame in remembered if frame.session in (0, session)][-_NOTE_FRAMES:]
        if not frames:
            return ""
        start, texts = frames[0].t, self._note_texts(frames)
        return "\n".join(
            f"  {frame.t - start:8.3f}  {_line(frame, text)}"
            for frame, text in zip(frames, texts, strict=True)
        )

    def _note_texts(self, frames: Sequence[NoteFrame]) -> Sequence[str]:
        """Return the texts of frames without secrets, even one that is split over several chunks."""
        texts = [
            frame.text if isinstance(frame.text, str) else frame.text.decode("utf-8", "replace")
            for frame in frames
        ]
        if not self.secrets:
            return texts
        together: dict[tuple[str, Kind], list[int]] = {}
        for place, frame in enumerate(frames):
            together.setdefault((frame.channel, frame.kind), []).append(place)
        for places in together.values():
            pieces, after = list[str](), ""
            for place in places:
                # The mark of a cut, because a part of a secret may be next to it.
                before, after = after, _CUT if len(frames[place].text) < frames[place].length else ""
                pieces.append(f"{before}{texts[place]}{after}")
            for place, text in zip(places, self.secrets.hide_all(pieces), strict=True):
                texts[place] = text.removeprefix(_CUT)
        return texts


def _request_payload(command: SendRequest | OpenStream, attempt: int) -> dict[str, Any]:
    request = command.request
    payload: dict[str, Any] = {
        "method": request.method,
        "url": request.url,
        "headers": request.headers,
        "body": request.body,
        "phase": command.phase.value,
    }
    if isinstance(request.body, Multipart):
        parts = request.body.parts
        payload["body"] = None
        payload["files"] = [{"name": part.filename, "size": part.size} for part in parts]
    if isinstance(command, OpenStream):
        payload["stream"] = True
    if attempt > 1:
        payload["attempt"] = attempt
    return payload


def _call_payload(invocation: Invocation) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "endpoint": invocation.endpoint.name,
        "fn_index": invocation.endpoint.fn_index,
        "data": invocation.data,
    }
    if invocation.event_data is not None:
        payload["event_data"] = invocation.event_data
    if invocation.trigger_id is not None:
        payload["trigger_id"] = invocation.trigger_id
    if invocation.oauth_token is not None:
        payload["oauth_token"] = invocation.oauth_token
    if invocation.late:
        payload["late"] = True
    if invocation.event_id is not None:
        payload["event_id"] = invocation.event_id
    return payload


def _line(frame: NoteFrame, text: str) -> str:
    arrow = {Direction.OUT: "→", Direction.IN: "←", Direction.LOCAL: "·"}[frame.direction]
    return f"{arrow} {frame.channel:12} {frame.kind.value} {_shorten(text, frame.length)}".rstrip()


def _shorten(text: str, length: int) -> str:
    text = " ".join(text.split())
    if len(text) <= _NOTE_CHARACTERS and length <= _NOTE_BYTES:
        return visible(text)
    return f"{visible(text[:_NOTE_CHARACTERS])}{_CUT} ({length:,} in all)"


class TappedSession:
    """A session together with its taps. Its methods are those of `Session`, without the clock."""

    # Counted per process, because one tap may watch several transports.
    _numbers = itertools.count(1)

    def __init__(
        self,
        session: Session,
        taps: Taps,
        adapter: str,
        number: int | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.session = session
        self.taps = taps
        self.adapter = adapter
        self.number = next(self._numbers) if number is None else number
        self._start_times: dict[Exchange, float] = {}
        taps.show(
            Direction.LOCAL,
            Kind.SESSION,
            "",
            self.number,
            {
                "adapter": adapter,
                "session_hash": session.context.session_hash,
                "source": session.context.urls.base,
                **(settings or {}),
            },
        )

    def open(self, invocation: Invocation) -> Exchange:
        """Open a call, not yet started."""
        exchange = self.session.open(invocation)
        self._start_times[exchange] = self.taps.clock()
        return exchange

    def start(self, exchange: Exchange) -> Turn:
        """Start a call."""
        payload = _call_payload(exchange.invocation) if self.taps.watched else {}
        now = self.taps.show(Direction.LOCAL, Kind.CALL, exchange.key, self.number, payload)
        return self._show_output(self.session.start(exchange, now))

    def fetch(self, exchange: Exchange) -> Turn:
        """Open the stream of a call that was joined without one."""
        now = self.taps.show(Direction.LOCAL, Kind.FETCH, exchange.key, self.number, {})
        return self._show_output(self.session.fetch(exchange, now))

    def send(self, exchange: Exchange, data: Sequence[Any]) -> Turn:
        """Send the next chunk of a streaming input."""
        now = self.taps.show(Direction.LOCAL, Kind.SEND, exchange.key, self.number, {"data": data})
        return self._show_output(self.session.send(exchange, data, now))

    def finish_input(self, exchange: Exchange) -> Turn:
        """Signal the end of a streaming input."""
        now = self.taps.show(Direction.LOCAL, Kind.FINISH, exchange.key, self.number, {})
        return self._show_output(self.session.finish_input(exchange, now))

    def cancel(self, exchange: Exchange) -> Turn:
        """Cancel a call."""
        now = self.taps.show(Direction.LOCAL, Kind.CANCEL, exchange.key, self.number, {})
        return self._show_output(self.session.cancel(exchange, now))

    def abandon(self, exchange: Exchange, error: GradioTransportError, *, tell: bool = False) -> Turn:
        """End a call with an error of the client. With `tell`, send the server a cancellation."""
        payload: dict[str, Any] = {"error": type(error).__name__, "message": error.message}
        if tell:
            payload["tell"] = True
        now = self.taps.show(Direction.LOCAL, Kind.ERROR, exchange.key, self.number, payload, error.message)
        return self._show_output(self.session.abandon(exchange, error, tell_at=now if tell else None))

    def reply(self, command: SendRequest | OpenStream | OpenWebSocket, response: Response) -> Turn:
        """Feed a whole reply."""
        now = self.taps.response(command.channel, self.number, response)
        return self._show_output(self.session.reply(command, response, now))

    def failed(self, command: SendRequest | OpenStream | OpenWebSocket, error: TransportError) -> Turn:
        """Feed the failure of a request."""
        now = self.taps.failure(command.channel, self.number, error)
        return self._show_output(self.session.failed(command, error, now))

    def stream_opened(self, channel: str, response: Response) -> Turn:
        """Feed the head of a stream."""
        now = self.taps.response(channel, self.number, response, head=True)
        return self._show_output(self.session.stream_opened(channel, response, now))

    def websocket_opened(self, channel: str) -> Turn:
        """Feed the acceptance of a socket."""
        now = self.taps.show(Direction.IN, Kind.WS_ACCEPT, channel, self.number, {})
        return self._show_output(self.session.websocket_opened(channel, now))

    def data_received(self, channel: str, data: bytes) -> Turn:
        """Feed bytes of a stream."""
        now = self.taps.show(Direction.IN, Kind.CHUNK, channel, self.number, {"data": data}, data)
        return self._show_output(self.session.data_received(channel, data, now))

    def text_received(self, channel: str, text: str) -> Turn:
        """Feed one text of a websocket."""
        now = self.taps.show(Direction.IN, Kind.WS_TEXT, channel, self.number, {"text": text}, text)
        return self._show_output(self.session.text_received(channel, text, now))

    def closed(self, channel: str, closed: Closed) -> Turn:
        """Feed the end of a stream or socket."""
        now = self.taps.closed(channel, self.number, closed)
        return self._show_output(self.session.closed(channel, closed, now))

    def wake(self, channel: str) -> Turn:
        """Feed the time of a `WakeAt`."""
        now = self.taps.show(Direction.LOCAL, Kind.WAKE, channel, self.number, {})
        return self._show_output(self.session.wake(channel, now))

    def _show_output(self, turn: Turn) -> Turn:
        for command in turn.commands:
            self.taps.command(command, self.number)
        for delivery in turn.deliveries:
            if delivery.event.terminal:
                self.complete_error(delivery.exchange, delivery.event)
        return turn

    def complete_error(self, exchange: Exchange, event: object) -> None:
        """Complete the error of a call with its adapter, its time and its last frames."""
        started = self._start_times.pop(exchange, None)
        error = getattr(event, "error", None)
        if not isinstance(error, GradioTransportError):
            return
        error.adapter = error.adapter or self.adapter
        if started is not None and error.elapsed is None:
            error.elapsed = self.taps.clock() - started
        if error.last_event is None:
            error.last_event = exchange.last_event
        if isinstance(event, Failed) and (frames := self.taps.note(self.number)):
            error.add_note(f"Last frames of the session:\n{frames}")
        self.taps.name_traces(error)
