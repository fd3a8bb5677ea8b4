# SPDX-License-Identifier: Apache-2.0
"""The replay driver: a driver with no I/O.

It feeds sessions what a trace says came in, in the recorded order, and compares what the machines command
with what was commanded then.  Everything is built from the trace alone: the config from the recorded
discovery, a session from its hash, a call from its arguments.

What a machine commands stands in a trace right after the input that made it do so, and sessions know nothing
of each other; so each input of a session is one step, with the commands up to the session's next input.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

import attrs

from .. import errors
from ..adapter.exchange import Exchange, Invocation, SessionContext
from ..adapter.registry import Registry, default_registry
from ..adapter.session import Turn
from ..app.config import AppConfig, Endpoint
from ..app.config_parsing import with_rendered
from ..calls.tap import TappedSession, Taps
from ..errors import GradioTransportError, Phase
from ..events import Event
from ..files.outputs import ServerFile
from ..policy import Limits
from ..protocol.commands import (
    Closed,
    Command,
    DropStream,
    DropWebSocket,
    Ending,
    OpenStream,
    OpenWebSocket,
    SendRequest,
)
from ..protocol.frames import Direction, Frame, Kind
from .discoveries import Discoveries, response_of
from .mismatch import Mismatch, ReplayMismatch, shown, signature
from .reader import Trace, TraceError

Rechunk: TypeAlias = Callable[[bytes], Sequence[bytes]]
"""Splits bytes of a stream in some other way; what it returns must join to what it was given."""

CallKey: TypeAlias = tuple[int, str]
"""Number of the session and key of the call in it."""


@attrs.define
class Replay:
    """What came of a replay.

    Attributes:
        events: Session and key of each call, in the order they were started -> its events.
        endpoints: The same -> what was called, for people.
        deviations: The same -> what was out of the order of the flow.
        refusals: Errors of the discovery, in order.
        mismatches: Commands that differ from the recorded ones; empty is right.
        outstanding: What the machines left undone: streams and sockets of ended calls that are still open,
            and after ``cancel_at`` calls that go on and requests that no cancellation needs.
        inputs: How many input frames of sessions there are: the range of ``cancel_at``.
    """

    events: dict[CallKey, list[Event]] = attrs.field(factory=dict[CallKey, list[Event]])
    endpoints: dict[CallKey, str] = attrs.field(factory=dict[CallKey, str])
    deviations: dict[CallKey, list[str]] = attrs.field(factory=dict[CallKey, list[str]])
    refusals: list[GradioTransportError] = attrs.field(factory=list[GradioTransportError])
    mismatches: list[Mismatch] = attrs.field(factory=list[Mismatch])
    outstanding: list[str] = attrs.field(factory=list[str])
    inputs: int = 0

    def check(self) -> None:
        """Raise if the replay is not exact.

        Raises:
            ReplayMismatch: A command differs, or something was left undone.
        """
        found = [str(one) for one in self.mismatches] + [f"left undone: {one}" for one in self.outstanding]
        if found:
            raise ReplayMismatch("\n".join(["The replay differs.", *found]), mismatches=self.mismatches)


def replay(
    trace: Trace,
    *,
    registry: Registry = default_registry,
    rechunk: Rechunk | None = None,
    strict: bool = False,
    cancel_at: int | None = None,
    limits: Limits | None = None,
) -> Replay:
    """Replay a trace.

    Args:
        trace: What was recorded.
        registry: Where adapters are looked up.
        rechunk: Splits the bytes of the streams in another way; adjacent chunks are joined before. The
            events must not depend on it.
        strict: Raise `FlowViolation` for messages out of order.
        cancel_at: Cancel every call before this input frame (`Replay.inputs` is after the last). What is
            commanded is not compared from there on, no call is started any more, and nothing is fed to what
            the machines have closed.
        limits: Bounds of the sessions, which traces do not hold.

    Raises:
        TraceError: The trace does not hold what a replay needs.
        FlowViolation: Only if `strict`.
    """
    return _Replayer(trace, registry, strict, limits or Limits()).run(rechunk, cancel_at)


def differences(one: Replay, other: Replay) -> list[str]:
    """Return where the events of two replays (or of a replay and a live call) differ; empty if nowhere."""
    found: list[str] = []
    for key in dict.fromkeys([*one.events, *other.events]):
        first = [describe(event) for event in one.events.get(key, [])]
        second = [describe(event) for event in other.events.get(key, [])]
        for place in range(max(len(first), len(second))):
            pair = [(texts[place] if place < len(texts) else "nothing") for texts in (first, second)]
            if pair[0] != pair[1]:
                found.append(f"call {key[1]} of session {key[0]}, event {place}: {pair[0]} / {pair[1]}")
                break
    return found


def describe(event: Event) -> str:
    """Return an event as a text that is equal for equal events, their errors included.

    Errors are left out of the equality of events, and NaN is not equal to itself; files count as what they
    were on the wire.
    """
    own = {field.name: getattr(event, field.name) for field in attrs.fields(type(event))}
    fields = {key: _on_the_wire(value) for key, value in own.items() if key != "error"}
    error: BaseException | None = getattr(event, "error", None)
    said = f" {type(error).__name__}: {getattr(error, 'message', error)}" if error is not None else ""
    return f"{type(event).__name__} {json.dumps(fields, sort_keys=True, default=repr)}{said}"


def _on_the_wire(value: Any) -> Any:
    if isinstance(value, ServerFile):
        return value.raw
    if attrs.has(cast("type[Any]", type(value))):
        return attrs.asdict(value)
    if isinstance(value, list | tuple):
        return [_on_the_wire(one) for one in cast("Sequence[Any]", value)]
    if isinstance(value, dict):
        return {key: _on_the_wire(one) for key, one in cast("dict[Any, Any]", value).items()}
    return value


# --- steps -------------------------------------------------------------------------------------------


@attrs.define
class _Step:
    """One input, and the commands that were recorded after it."""

    number: int
    frame: Frame
    ordinal: int
    commands: list[Frame] = attrs.field(factory=list[Frame])
    data: bytes = b""


def _steps(frames: Sequence[Frame], join: bool, cancel_at: int | None) -> list[_Step]:
    """Return a trace as steps; with `join`, adjacent chunks of a stream are one."""
    steps: list[_Step] = []
    latest: dict[int, _Step] = {}
    inputs = 0
    for number, frame in enumerate(frames):
        before = latest.get(frame.session)
        if frame.session and frame.direction is Direction.OUT:
            if before is not None:
                before.commands.append(frame)
            continue
        ordinal = inputs
        inputs += frame.session != 0
        if join and before is not None and ordinal != cancel_at and _adjacent(before, frame):
            before.data += frame.payload["data"]
            continue
        step = latest[frame.session] = _Step(number, frame, ordinal)
        if frame.kind is Kind.CHUNK:
            step.data = frame.payload["data"]
        steps.append(step)
    return steps


def _adjacent(step: _Step, frame: Frame) -> bool:
    both_chunks = step.frame.kind is Kind.CHUNK and frame.kind is Kind.CHUNK
    return both_chunks and step.frame.channel == frame.channel and not step.commands


# --- the driver --------------------------------------------------------------------------------------


@attrs.define
class _Line:
    """One session under replay.

    Attributes:
        config: The app as the session sees it: with what gr.render drew.
        pending: Channels of requests that wait for their reply.
        open: Channels of streams and sockets that neither side has closed.
        said: What the machine commanded since the last comparison.
    """

    wire: TappedSession
    config: AppConfig
    exchanges: dict[str, Exchange] = attrs.field(factory=dict[str, Exchange])
    pending: dict[str, SendRequest | OpenStream | OpenWebSocket] = attrs.field(
        factory=dict[str, SendRequest | OpenStream | OpenWebSocket]
    )
    open: set[str] = attrs.field(factory=set[str])
    said: list[Frame] = attrs.field(factory=list[Frame])


class _Replayer:
    def __init__(self, trace: Trace, registry: Registry, strict: bool, limits: Limits) -> None:
        self._trace = trace
        self._registry = registry
        self._strict = strict
        self._limits = limits
        self._cancelled = False
        self._lines: dict[int, _Line] = {}
        self._discoveries = Discoveries(trace)
        self._now = 0.0
        self._result = Replay()

    def run(self, rechunk: Rechunk | None, cancel_at: int | None) -> Replay:
        steps = _steps(self._trace.frames, rechunk is not None, cancel_at)
        for step in steps:
            self._now = step.frame.t
            if step.frame.session == 0:
                continue
            if step.ordinal == cancel_at:
                self._cancel_all()
            self._feed(step, rechunk or _whole)
            self._compare(step, cut=self._trace.truncated and step is steps[-1])
        self._result.inputs = sum(
            frame.session != 0 and frame.direction is not Direction.OUT for frame in self._trace.frames
        )
        if cancel_at is not None and cancel_at >= self._result.inputs:
            self._cancel_all()
        self._finish()
        return self._result

    # --- inputs --------------------------------------------------------------------------------------

    def _feed(self, step: _Step, rechunk: Rechunk) -> None:
        frame = step.frame
        if frame.kind is Kind.SESSION:
            self._lines[frame.session] = self._open(step)
            return
        line = self._lines.get(frame.session)
        if line is None:
            raise TraceError(
                f"The trace has a {frame.kind} frame of session {frame.session}, which it never opened."
            )
        if self._cancelled and not self._awaited(line, frame):
            return
        for turn in self._turns(line, step, rechunk):
            self._take(line, turn)

    def _open(self, step: _Step) -> _Line:
        frame = step.frame
        discovery = self._discoveries.of(str(frame.payload.get("source", "")), step.number)
        adapter = self._registry.get(str(frame.payload["adapter"]))
        context = SessionContext(
            config=discovery.config,
            urls=discovery.urls,
            session_hash=str(frame.payload["session_hash"]),
            limits=self._limits,
            strict=self._strict,
        )
        said: list[Frame] = []
        taps = Taps(lambda: self._now, [said.append])
        wire = TappedSession(adapter.session(context), taps, adapter.name, frame.session)
        return _Line(wire, discovery.config, said=said)

    @staticmethod
    def _awaited(line: _Line, frame: Frame) -> bool:
        """Return whether a driver would still feed this after its calls were cancelled."""
        match frame.kind:
            case Kind.CALL | Kind.FETCH | Kind.SEND | Kind.FINISH:
                return False
            case Kind.CANCEL | Kind.WAKE:
                return frame.channel.partition(".")[0] in line.exchanges
            case Kind.ERROR if frame.direction is Direction.LOCAL:
                return frame.channel in line.exchanges
            case _:
                return frame.channel in line.pending or frame.channel in line.open

    def _turns(self, line: _Line, step: _Step, rechunk: Rechunk) -> Iterator[Turn]:
        wire, frame = line.wire, step.frame
        channel = frame.channel
        match frame.kind:
            case Kind.CALL:
                yield self._start(line, frame)
            case Kind.CANCEL:
                yield wire.cancel(self._exchange(line, frame))
            case Kind.FETCH:
                yield wire.fetch(self._exchange(line, frame))
            case Kind.SEND:
                yield wire.send(self._exchange(line, frame), frame.payload["data"])
            case Kind.FINISH:
                yield wire.finish_input(self._exchange(line, frame))
            case Kind.WAKE:
                yield wire.wake(channel)
            case Kind.RESPONSE | Kind.RESPONSE_HEAD | Kind.WS_ACCEPT:
                yield from self._answered(line, frame)
            case Kind.CHUNK:
                for part in rechunk(step.data):
                    yield wire.data_received(channel, part)
            case Kind.WS_TEXT:
                yield wire.text_received(channel, str(frame.payload["text"]))
            case Kind.END:
                line.open.discard(channel)
                yield wire.closed(channel, _closed(frame))
            case Kind.ERROR:
                yield from self._failed(line, frame)
            case _:
                raise TraceError(f"Frame {step.number} of the trace is {frame.kind}, which is no input.")

    def _start(self, line: _Line, frame: Frame) -> Turn:
        payload = frame.payload
        endpoint = _endpoint(line.config, payload)
        invocation = Invocation(
            endpoint=endpoint,
            data=payload["data"],
            event_data=payload.get("event_data"),
            trigger_id=payload.get("trigger_id"),
            oauth_token=payload.get("oauth_token"),
            late=payload.get("late") is True,
            event_id=payload.get("event_id"),
        )
        exchange = line.wire.open(invocation)
        if exchange.key != frame.channel:
            raise TraceError(
                f"The trace calls {frame.channel!r} where this session would number {exchange.key!r}."
            )
        line.exchanges[exchange.key] = exchange
        self._result.events[frame.session, exchange.key] = []
        self._result.endpoints[frame.session, exchange.key] = endpoint.display_name
        return line.wire.start(exchange)

    def _never_started(self, line: _Line, frame: Frame) -> Exchange:
        """Return a call whose files did not reach the app: what it called the trace does not say."""
        exchange = line.wire.open(Invocation(endpoint=Endpoint(name=None, fn_index=-1), data=()))
        line.exchanges[exchange.key] = exchange
        self._result.events[frame.session, exchange.key] = []
        self._result.endpoints[frame.session, exchange.key] = "never called"
        return exchange

    def _exchange(self, line: _Line, frame: Frame) -> Exchange:
        exchange = line.exchanges.get(frame.channel)
        if exchange is None:
            raise TraceError(
                f"The trace has a {frame.kind} frame of call {frame.channel!r}, which it never made."
            )
        return exchange

    def _answered(self, line: _Line, frame: Frame) -> Iterator[Turn]:
        command = line.pending.pop(frame.channel, None)
        if command is None:
            return  # the machine did not ask: that has been noted where it should have
        if frame.kind is Kind.RESPONSE:
            line.open.discard(frame.channel)
            yield line.wire.reply(command, response_of(frame))
        elif frame.kind is Kind.RESPONSE_HEAD:
            yield line.wire.stream_opened(frame.channel, response_of(frame))
        else:
            yield line.wire.websocket_opened(frame.channel)

    def _failed(self, line: _Line, frame: Frame) -> Iterator[Turn]:
        """Feed the failure of a request, or (local) the end of a call from this side."""
        error = _error(frame)
        if frame.direction is Direction.LOCAL and frame.payload.get("started") is False:
            yield line.wire.refuse(self._never_started(line, frame), error)
            return
        if frame.direction is Direction.LOCAL:
            tell = frame.payload.get("tell") is True
            yield line.wire.abandon(self._exchange(line, frame), error, tell=tell)
            return
        command = line.pending.pop(frame.channel, None)
        line.open.discard(frame.channel)
        if command is not None and isinstance(error, errors.TransportError):
            yield line.wire.failed(command, error)

    def _take(self, line: _Line, turn: Turn) -> None:
        for command in turn.commands:
            self._follow(line, command)
        for delivery in turn.deliveries:
            self._result.events[line.wire.number, delivery.exchange.key].append(delivery.event)
            drawn = getattr(delivery.event, "render_config", None)
            if drawn:
                line.config = with_rendered(line.config, drawn)

    def _follow(self, line: _Line, command: Command) -> None:
        match command:
            case SendRequest():
                line.pending[command.channel] = command
                if self._cancelled and command.phase is not Phase.CANCEL:
                    self._result.outstanding.append(f"{_url(command)} was asked for after the cancellation")
            case OpenStream() | OpenWebSocket():
                line.pending[command.channel] = command
                line.open.add(command.channel)
                if self._cancelled:
                    self._result.outstanding.append(f"{_url(command)} was opened after the cancellation")
            case DropStream() | DropWebSocket():
                line.pending.pop(command.channel, None)
                line.open.discard(command.channel)
            case _:
                pass

    # --- what came of it -----------------------------------------------------------------------------

    def _compare(self, step: _Step, *, cut: bool) -> None:
        line = self._lines.get(step.frame.session)
        if line is None or self._cancelled:
            return
        said = [frame for frame in line.said if frame.direction is Direction.OUT]
        line.said.clear()
        expected = step.commands
        for place in range(len(expected) if cut else max(len(expected), len(said))):
            wanted = expected[place] if place < len(expected) else None
            got = said[place] if place < len(said) else None
            if signature(wanted) != signature(got):
                self._result.mismatches.append(Mismatch(step.number, shown(wanted), shown(got)))
                return

    def _cancel_all(self) -> None:
        self._cancelled = True
        for line in self._lines.values():
            for exchange in line.exchanges.values():
                if not exchange.state.final:
                    self._take(line, line.wire.cancel(exchange))

    def _finish(self) -> None:
        self._result.refusals = self._discoveries.refusals
        self._result.mismatches = sorted(
            [*self._discoveries.mismatches, *self._result.mismatches], key=lambda one: one.frame
        )
        for number, line in self._lines.items():
            for key, exchange in line.exchanges.items():
                self._result.deviations[number, key] = list(exchange.deviations)
                if exchange.state.final:
                    held = [channel for channel in line.open if channel.partition(".")[0] == key]
                    self._result.outstanding += [f"{channel} of session {number} is open" for channel in held]
                elif self._cancelled:
                    self._result.outstanding.append(f"call {key} of session {number} goes on")


# --- frames ------------------------------------------------------------------------------------------


def _whole(data: bytes) -> Sequence[bytes]:
    return (data,)


def _endpoint(config: AppConfig, payload: Mapping[str, Any]) -> Endpoint:
    """Return what a call called: names may share a number, and a call may go by number alone."""
    same = [one for one in config.endpoints if one.fn_index == payload["fn_index"]]
    if not same:
        raise TraceError(f"The trace calls fn_index {payload['fn_index']}, which its config does not have.")
    return next((one for one in same if one.name == payload.get("endpoint")), same[0])


def _closed(frame: Frame) -> Closed:
    payload = frame.payload
    return Closed(Ending(payload["ending"]), payload.get("code"), str(payload.get("reason") or ""))


_RENAMED = {"Timeout": "TimeoutExpired"}
"""Errors that recordings name as they were called when those were made; a recording is never edited."""


def _error(frame: Frame) -> GradioTransportError:
    name = str(frame.payload["error"])
    kind = getattr(errors, _RENAMED.get(name, name), None)
    if not isinstance(kind, type) or not issubclass(kind, GradioTransportError):
        kind = errors.StreamLost
    return kind(str(frame.payload["message"]))


def _url(command: SendRequest | OpenStream | OpenWebSocket) -> str:
    return command.url if isinstance(command, OpenWebSocket) else command.request.url


__all__ = [
    "CallKey", "Mismatch", "Rechunk", "Replay", "ReplayMismatch", "describe", "differences", "replay",
]  # fmt: skip
