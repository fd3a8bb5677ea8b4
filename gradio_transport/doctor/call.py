# SPDX-License-Identifier: Apache-2.0
"""A call on request, with the times of its flow."""

from __future__ import annotations

import time

import attrs

from .. import events as e
from ..errors import AppError, GradioTransportError, StreamLost, TimeoutExpired, TransportError
from ..protocol.frames import Frame, Kind
from ..sync import Transport
from .patient import Patient, milliseconds, since
from .report import Finding, failure, ok, skipped, warning

LONG_SECONDS = 0.5
"""The shortest run time, in seconds, from which buffering of events is visible."""

LONG_SILENCE = 20.0
"""A longer silence than that of servers of 4.4+, which send a heartbeat every 15 s."""

MOST_EVENTS = 100_000


@attrs.define
class _Flow:
    """The events of a call, in seconds since its submission."""

    joined: float | None = None
    first: float | None = None
    starts: float | None = None
    yields: list[float] = attrs.field(factory=list[float])
    ends: float | None = None
    duration: float | None = None
    chunks: list[float] = attrs.field(factory=list[float])

    def take(self, event: e.Event, at: float) -> None:
        """Record an event."""
        match event:
            case e.Joined():
                self.joined = at
            case e.ProcessStarts():
                self.starts = at
            case e.ProcessGenerating() | e.ProcessStreaming():
                self._add_duration(event.duration if isinstance(event, e.ProcessGenerating) else None)
                if len(self.yields) < MOST_EVENTS:
                    self.yields.append(at)
            case e.ProcessCompleted():
                self.ends = at
                self._add_duration(event.duration)
            case _:
                pass
        if self.first is None and not isinstance(event, e.Joined):
            self.first = at

    def _add_duration(self, seconds: float | None) -> None:
        """Add the time that the function took for a step, as the server reports."""
        if seconds is not None:
            self.duration = (self.duration or 0.0) + seconds

    @property
    def silence(self) -> float:
        """The longest time without a byte of a stream."""
        return max(
            (after - before for before, after in zip(self.chunks, self.chunks[1:], strict=False)), default=0
        )

    @property
    def seen_duration(self) -> float | None:
        """Seconds from the start to the end of the function, by the arrival of the stream's messages."""
        if self.starts is None or self.ends is None or not self.chunks:
            return None
        return self.ends - self.starts


def check_call(patient: Patient) -> Finding:
    """Make the call, and check its flow."""
    if patient.call is None:
        return skipped("You asked for no call. Add --call /name ARGUMENTS to make one.")
    endpoint, arguments, keywords = patient.call(patient.config)
    flow, began = _Flow(), time.monotonic()

    tap = patient.options.tap

    def watch(frame: Frame) -> None:
        if tap is not None:
            tap(frame)
        if frame.kind in (Kind.CHUNK, Kind.WS_TEXT) and frame.session and len(flow.chunks) < MOST_EVENTS:
            flow.chunks.append(time.monotonic() - began)

    error: GradioTransportError | None = None
    try:
        with Transport(patient.source, attrs.evolve(patient.options, tap=watch)) as transport:
            began = time.monotonic()
            which = endpoint.fn_index if endpoint.name is None else endpoint.name
            running = transport.submit(which, *arguments, **keywords)
            for event in running:
                flow.take(event, since(began))
            running.result()
    except GradioTransportError as caught:
        error = caught
    name = endpoint.display_name
    if error is not None:
        return _failed(name, flow, error, since(began))
    return _judge(name, flow, since(began))


def _facts(flow: _Flow) -> str:
    facts: list[str] = []
    if flow.joined is not None:
        facts.append(f"accepted after {milliseconds(flow.joined)}")
    if flow.first is not None:
        facts.append(f"first message after {milliseconds(flow.first)}")
    if flow.starts is not None:
        facts.append(f"began after {milliseconds(flow.starts)}")
    if flow.yields:
        facts.append(
            f"{len(flow.yields)} steps from {milliseconds(flow.yields[0])} to {milliseconds(flow.yields[-1])}"
        )
    if flow.ends is not None:
        facts.append(f"complete after {milliseconds(flow.ends)}")
    return ", ".join(facts)


def _judge(name: str, flow: _Flow, took: float) -> Finding:
    seen = [f"{name} returned within {milliseconds(took)}: {_facts(flow)}."]
    if flow.duration is not None:
        seen.append(f"According to the server the function ran {milliseconds(flow.duration)}.")
    held = _held_back(flow)
    if held:
        return warning(
            *seen,
            held,
            advice="A proxy holds the stream back until it ends. Configure it to forward bytes at once "
            "(nginx: proxy_buffering off).",
        )
    if flow.silence > LONG_SILENCE:
        seen.append(f"The longest silence on the stream was {flow.silence:.1f} s.")
    return ok(*seen)


def _held_back(flow: _Flow) -> str:
    """Return the evidence that events were held back, or an empty string.

    The server reports how long the function ran. If the first and last message arrive closer together than
    that, the first was held back.
    """
    seen, duration = flow.seen_duration, flow.duration
    if seen is None or duration is None or duration < LONG_SECONDS or seen > duration / 2:
        return ""
    return (
        f"The messages of its start and end arrived {milliseconds(seen)} apart, which is too close: a proxy "
        f"held them back."
    )


def _failed(name: str, flow: _Flow, error: GradioTransportError, took: float) -> Finding:
    facts = _facts(flow)
    seen = [
        f"{name} failed after {milliseconds(took)}: {error.message}",
        f"Before: {facts}." if facts else "",
    ]
    if isinstance(error, AppError):
        advice = "The call worked, but the app's own function raised an error. Look at the app's log."
    elif isinstance(error, StreamLost):
        last = flow.chunks[-1] if flow.chunks else None
        seen += [] if last is None else [f"The last byte came after {milliseconds(last)}."]
        advice = (
            "The connection ended while the call ran: a proxy has a time limit, or the app was restarted. "
            "With --hold 65 the step 'open stream' looks for such a limit."
        )
    elif isinstance(error, TimeoutExpired):
        advice = f"Raise the limit with --timeout, or find out why the app takes so long. ({error.setting})"
    elif isinstance(error, TransportError):
        advice = "See the steps above."
    else:
        advice = "The server refused this call. See its message."
    return failure(*seen, advice=advice, error=error)
