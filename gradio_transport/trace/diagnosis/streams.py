# SPDX-License-Identifier: Apache-2.0
"""Diagnosis of the stream of a call: silence, a cut, buffering, an unknown session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs

from ..timeline.reading import CallTimeline, Outcome, Step, StepKind, Stream
from .model import HEARTBEAT, Said, limit_near, quote, seconds
from .requests import STICKY

_SILENT = 1.5 * HEARTBEAT
"""Silence after which a heartbeat is missing, and not just due."""

_AT_ONCE = 0.25
"""Seconds in which events that were held back come."""

_SHORTEST_WORK = 1.0
"""Seconds of work from which on events that come at once say something."""

LATE_ADVICE = (
    "Raise the proxy's read timeout and switch its buffering off for streams (nginx: proxy_read_timeout, "
    "proxy_buffering off)."
)
_WITHOUT_STREAM = " Or hold no stream open meanwhile: CallOptions(attach='late', fetch_after=SECONDS)."


@attrs.frozen
class Wire:
    """The facts about the stream of a call.

    Attributes:
        call: The call.
        request: The request that opened the last stream, if there is one.
        beats: Whether this server sends heartbeats on it.
        is_gradio: Whether the server is a Gradio app.
    """

    call: CallTimeline
    request: Step | None
    beats: bool
    is_gradio: bool = True

    @property
    def stream(self) -> Stream | None:
        """Its bytes."""
        return None if self.request is None else self.request.stream

    @property
    def events(self) -> list[Step]:
        """The messages of the call, without those that were read from other replies."""
        return [
            step
            for step in self.call.steps
            if step.kind is StepKind.EVENT and not step.derived and step.event != "close_stream"
        ]

    @property
    def opened(self) -> float:
        """The earliest time for a message: the stream was requested, and the call was joined."""
        joins = [step.end for step in self.call.requests if step.channel.endswith(".join")]
        return max([self.call.start, *joins, *([self.request.t] if self.request is not None else [])])

    @property
    def last_byte(self) -> float | None:
        """When the last bytes came while the call ran."""
        stream = self.stream
        if stream is None or stream.last is None:
            return self.events[-1].t if self.events else None
        return min(stream.last, self.call.end) if stream.last >= self.call.start else None

    @property
    def has_started(self) -> bool:
        """Whether the function runs, by the messages."""
        names = ("process_starts", "process_generating", "process_streaming", "progress", "log")
        return any(step.event in names for step in self.events)

    @property
    def count(self) -> str:
        """The number of messages."""
        number = len(self.events)
        return "no message" if not number else "1 message" if number == 1 else f"{number:,} messages"

    @property
    def state(self) -> str:
        """The state of the call."""
        if not self.is_gradio:
            return "the answer was being written" if self.has_started else "no part of the answer had arrived"
        if self.has_started:
            return "its function ran"
        place = _place_in_queue(self.events)
        return f"it waited in the queue{place}" if self.events else "no message had arrived"

    @property
    def no_resume(self) -> str:
        """Advice on a call whose stream broke."""
        if not self.is_gradio:
            return "An answer cannot be resumed; make the call again."
        return "Gradio cannot resume a stream; its function may have run."

    @property
    def without_stream(self) -> str:
        """The advice to hold no stream open, where the adapter can."""
        return _WITHOUT_STREAM if self.call.adapter.startswith(("sse_v", "call")) else ""


def _place_in_queue(events: Sequence[Step]) -> str:
    for step in reversed(events):
        if step.event == "estimation":
            value: object = step.value
            rank = cast("dict[str, Any]", value).get("rank") if isinstance(value, dict) else None
            return f" at place {rank + 1}" if isinstance(rank, int) else ""
    return ""


# --- silence ---------------------------------------------------------------------------------------------


def explain_silence(wire: Wire, what: str, frame: int) -> Said:
    """Return the diagnosis of a call that the client ended because of silence or a timeout.

    Args:
        wire: The stream of the call.
        what: How it was ended, such as ``"Timeouts(idle=3)"``.
        frame: The frame that ended it.
    """
    call, last = wire.call, wire.last_byte
    since = wire.opened if last is None else last
    silence = call.end - since
    numbers = [frame]
    if wire.events:
        numbers.append(wire.events[-1].frame)
    if wire.request is not None:
        numbers.append(wire.request.frame)
    if last is None and wire.request is not None:
        return _explain_no_byte(wire, wire.request, silence, what, tuple(numbers))
    if wire.beats and silence >= _SILENT:
        return Said(
            "silent",
            f"The stream was silent for {seconds(silence)} after {wire.count}, while {wire.state}, and the "
            f"client abandoned the call ({what}). A live server of this version sends a heartbeat every "
            f"{HEARTBEAT:.0f} s, so the connection was dead, the server hung, or a proxy holds the stream "
            "back.",
            "Check whether the server still replies to other requests, and check the connection: "
            "gradio-transport doctor URL.",
            tuple(numbers),
        )
    of_silence = any(name in what for name in ("idle", "heartbeat", "first_message"))
    if of_silence or (silence >= 1 and silence > 0.5 * call.seconds):
        reason = (
            f"That is shorter than the {HEARTBEAT:.0f} s between two heartbeats of this version, so it does "
            "not prove that something is wrong."
            if wire.beats
            else "This version sends no heartbeats, so the function may simply have needed longer."
        )
        return Said(
            "timeout-silent",
            f"No data arrived for {seconds(silence)} after {wire.count}, while {wire.state}, and the client "
            f"abandoned the call ({what}). {reason}",
            f"Raise that timeout{f' above {_SILENT:.0f} s' if wire.beats else ''} if the function may take "
            "longer.",
            tuple(numbers),
        )
    return Said(
        "timeout",
        f"The client abandoned the call after {seconds(call.seconds)} ({what}) while {wire.state}. The "
        f"server was alive: its last data arrived {seconds(silence)} before.",
        "Raise that timeout if the function may take longer.",
        tuple(numbers),
    )


def _explain_no_byte(wire: Wire, request: Step, silence: float, what: str, numbers: tuple[int, ...]) -> Said:
    if request.status is None:
        return Said(
            "stream-unanswered",
            f"The request for the stream had no reply for {seconds(silence)}, and the client abandoned the "
            f"call ({what}). A live server replies at once, so a proxy probably waits for the whole reply "
            "(it buffers), or the server hangs.",
            LATE_ADVICE + wire.without_stream,
            numbers,
        )
    return Said(
        "stream-empty",
        f"The stream was opened ({request.status}), but no byte of it arrived in {seconds(silence)}, and "
        f"the client abandoned the call ({what}). A live server sends the place in the queue at once"
        + (f" and a heartbeat every {HEARTBEAT:.0f} s" if wire.beats else "")
        + ", so a proxy probably holds the stream back, or the server hangs.",
        LATE_ADVICE + wire.without_stream,
        numbers,
    )


# --- a stream that ended ---------------------------------------------------------------------------------


def explain_end(wire: Wire) -> Said | None:
    """Return what the end of the stream says about a call that it left without a result."""
    stream, request = wire.stream, wire.request
    if stream is None or request is None or stream.end is None or stream.ending == "local":
        return None
    numbers = tuple(
        number for number in (request.frame, stream.end_frame, wire.events[-1].frame if wire.events else None)
        if number is not None
    )  # fmt: skip
    if stream.ending == "too large":
        return Said(
            "too-large-message",
            f"The server sent a message that is larger than the client allows ({quote(stream.reason)}).",
            "If you expect that from the app, raise Limits(max_event_bytes=).",
            numbers,
        )
    life = stream.end - request.t
    silence = stream.end - (stream.last if stream.last is not None else request.t)
    if stream.is_socket:
        return _explain_socket(wire, stream, life, silence, numbers)
    inside = f", in the middle of an event ({stream.cut:,} bytes of it had arrived)" if stream.cut else ""
    how = "was cut" if stream.ending == "reset" or stream.cut else "ended without a result"
    if stream.size == 0 and silence < 1 and wire.call.adapter in ("sse_v1", "sse_v2"):
        return Said(
            "session-lost",
            "The join was accepted, but the stream broke off at once and without a message. Servers of 4.9 "
            "do that for an unknown session. Another replica replied, or the server was restarted.",
            STICKY,
            numbers,
        )
    limit = limit_near(silence)
    if limit is not None and silence > 2 * _AT_ONCE:
        beats = (
            f"This version sends a heartbeat every {HEARTBEAT:.0f} s, but none arrived, so a "
            "proxy holds the stream back, or the server hung."
            if wire.beats and silence >= _SILENT
            else (
                "This version sends no heartbeats, so a function that takes longer than that loses its "
                "stream."
            )
            if not wire.beats
            else ""
        )
        return Said(
            "stream-cut-silent",
            f"The stream {how} after {seconds(silence)} of silence{inside}, while {wire.state}. That is "
            f"close to a limit of {limit[0]} s{limit[1]}, so a proxy probably ended it. {beats}".rstrip(),
            LATE_ADVICE + wire.without_stream,
            numbers,
        )
    limit = limit_near(life)
    if limit is not None:
        return Said(
            "stream-cut-limit",
            f"The stream {how} {seconds(life)} after it was opened{inside}, {seconds(silence)} after its "
            f"last sign of life, while {wire.state}. That is close to a limit of {limit[0]} s{limit[1]}, so "
            "a proxy probably ended it: the call takes longer than it allows for one reply.",
            f"Raise the proxy's limit on the length of a reply.{wire.without_stream}",
            numbers,
        )
    if stream.ending == "reset" or stream.cut:
        return Said(
            "stream-cut",
            f"The connection of the stream broke {seconds(life)} after it was opened{inside}, after "
            f"{wire.count}, while {wire.state}."
            + (" A server ends a stream only between two events." if stream.cut else "")
            + (f" ({quote(stream.reason)})" if stream.reason else ""),
            "The server was killed or restarted, or a proxy dropped the connection: see the log "
            f"of both at that time. {wire.no_resume}",
            numbers,
        )
    return Said(
        "stream-ended",
        f"The stream ended cleanly {seconds(life)} after it was opened, after {wire.count}, but without a "
        f"result, while {wire.state}. A server does that when it is stopped, or when another event "
        "cancelled the call; some proxies do it at a timeout.",
        "See the server's log at that time. The function may have run.",
        numbers,
    )


_CODES: Mapping[int, tuple[str, str]] = {
    1000: (
        "another event of the app cancelled the call (cancels=), or its data could not be read",
        "call-cancelled",
    ),
    1001: ("the server or a proxy is shutting down", "server-stopped"),
    1011: ("the server failed", "server-error"),
    1012: ("the server restarts", "server-stopped"),
    1013: ("the server is overloaded", "server-busy"),
}


_UNKNOWN_FUNCTION = " Servers of 3.16 to 3.50 also do that for a function number that they do not have."


def _explain_socket(
    wire: Wire, stream: Stream, life: float, silence: float, numbers: tuple[int, ...]
) -> Said:
    known = _CODES.get(stream.code or 0)
    if known is not None:
        return Said(
            known[1],
            f"The server closed the websocket with code {stream.code} after {wire.count}, without a result, "
            f"while {wire.state}: {known[0]}.",
            "See the server's log at that time.",
            numbers,
        )
    limit = limit_near(silence) or limit_near(life)
    if limit is not None:
        return Said(
            "stream-cut-silent",
            f"The websocket was cut {seconds(life)} after it was opened and after {seconds(silence)} of "
            f"silence, while {wire.state}. That is close to a limit of {limit[0]} s{limit[1]}, so a proxy "
            "probably ended it; servers of 3.x send no heartbeats that would prevent it.",
            "Raise the proxy's limit for websockets (nginx: proxy_read_timeout).",
            numbers,
        )
    return Said(
        "stream-cut",
        f"The websocket broke {seconds(life)} after it was opened, after {wire.count}, while {wire.state}"
        + (f" ({quote(stream.reason)})" if stream.reason else "")
        + ".",
        "The server was killed or restarted, or a proxy dropped the connection."
        # A function that runs has a number that the server knows.
        + ("" if wire.has_started else _UNKNOWN_FUNCTION),
        numbers,
    )


# --- messages --------------------------------------------------------------------------------------------


def explain_unknown_session(wire: Wire, broken_before: Step | None) -> Said | None:
    """Return what it says that the server does not know the session of the call, if it does say so."""
    for step in reversed(wire.events):
        if step.event not in ("unexpected_error", "error", "process_completed"):
            continue
        value: Any = step.value
        message = cast("dict[str, Any]", value) if isinstance(value, dict) else {"message": value}
        said = message.get("message")
        text = said if isinstance(said, str) else ""
        is_named = text.startswith("404: ") or "session not found" in text.lower()
        if not is_named and message.get("session_not_found") is not True:
            continue
        join = next(
            (one for one in wire.call.requests if one.channel.endswith(".join") and not one.failed), None
        )
        numbers = (step.frame, *(join.frames if join is not None else ()))
        if broken_before is not None:
            return Said(
                "session-lost",
                "The stream was requested again after a break, and the server no longer knows the session: "
                "it forgets a session as soon as its stream breaks.",
                "Submit the call again if its function may run twice; a Gradio stream cannot be resumed.",
                (*numbers, broken_before.frame),
            )
        accepted = "The join was accepted, but " if join is not None else ""
        return Said(
            "session-lost",
            f"{accepted}the stream says that the server does not know the session ({quote(text)!r}): "
            "another replica or process replied, or the server was restarted in between.",
            STICKY,
            numbers,
        )
    return None


def explain_burst(wire: Wire, encoding: str = "") -> Said | None:
    """Return a diagnosis if the events of a call arrived all at once although its function took long.

    Args:
        wire: The stream of the call.
        encoding: The ``content-encoding`` of its reply.
    """
    call, events = wire.call, wire.events
    if call.late or wire.request is None or len(events) < 2 or call.outcome is Outcome.UNFINISHED:
        return None
    if wire.request.stream is not None and wire.request.stream.is_socket:
        return None
    work = sum(_duration(step) for step in events)
    span = events[-1].t - events[0].t
    waited = events[0].t - wire.opened
    if work < _SHORTEST_WORK or span > max(_AT_ONCE, 0.1 * work) or waited < max(_SHORTEST_WORK, 0.7 * work):
        return None
    compressed = encoding.strip().lower() not in ("", "identity")
    coding = f" or holds it back to compress it ({quote(encoding)[:40]})" if compressed else ""
    off = " and compression" if compressed else ""
    nginx = "proxy_buffering off; gzip off" if compressed else "proxy_buffering off"
    return Said(
        "buffered",
        f"All {len(events):,} messages came within {seconds(span)}, {seconds(waited)} after they could "
        f"arrive; the server reports that its function took {seconds(work)}. Messages were sent one by one "
        f"but held back: a proxy buffers the stream{coding}, or the server's event loop was blocked.",
        f"Switch buffering{off} off for /queue/data (nginx: {nginx}). If "
        "there is no proxy, look for blocking code in an async function of the app.",
        (wire.request.frame, events[0].frame, events[-1].frame),
    )


def _duration(step: Step) -> float:
    if step.event not in ("process_generating", "process_completed"):
        return 0.0
    value: object = step.value
    output = cast("dict[str, Any]", value).get("output") if isinstance(value, dict) else None
    duration = cast("dict[str, Any]", output).get("duration") if isinstance(output, dict) else None
    if isinstance(duration, bool) or not isinstance(duration, int | float) or not 0 <= duration < 1e6:
        return 0.0
    return float(duration)


__all__ = ["Wire", "explain_burst", "explain_end", "explain_silence", "explain_unknown_session"]
