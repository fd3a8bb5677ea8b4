# SPDX-License-Identifier: Apache-2.0
"""Replay of a trace through the sessions of adapters, without network I/O.

A replay feeds sessions the recorded input in the recorded order, and compares their commands with the
recorded ones. Everything is built from the trace alone: the config from the recorded discovery, a session
from its hash, a call from its arguments.

A trace has the commands of a session right after the input that caused them, and sessions do not depend on
each other. So each input of a session is one step, with the commands up to the next input of that session.

A trace of another client, which a proxy or a browser recorded, has its commands where that client sent them.
There an input waits until the session requests it, and commands are compared as in
`gradio_transport.trace.replay.foreign`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from ...adapter.exchange import Exchange, Invocation, SessionContext
from ...adapter.registry import Registry, default_registry
from ...adapter.session import Turn
from ...app.config import AppConfig, Endpoint
from ...app.config_parsing import with_rendered
from ...calls.tap import TappedSession, Taps
from ...errors import Phase, TransportError
from ...events import WITH_OUTPUTS
from ...policy import Limits
from ...protocol.commands import (
    Command,
    DropStream,
    DropWebSocket,
    OpenStream,
    OpenWebSocket,
    Response,
    SendRequest,
)
from ...protocol.frames import Direction, Frame, Kind
from ..adapters import is_gradio_adapter
from ..reader import Trace, TraceError
from ..redaction import lacks_content
from .discoveries import Discoveries, recorded_response
from .foreign import ForeignCommands, ForeignDiscoveries, is_foreign_traffic
from .mismatch import Mismatch, signature, summary
from .result import Replay
from .steps import Step, find_endpoint, recorded_end, recorded_error, recorded_timeouts, replay_steps

Rechunk: TypeAlias = Callable[[bytes], Sequence[bytes]]
"""Splits bytes of a stream differently. The joined result must equal the argument."""


def replay(
    trace: Trace,
    *,
    registry: Registry = default_registry,
    rechunk: Rechunk | None = None,
    strict: bool = False,
    cancel_at: int | None = None,
    limits: Limits | None = None,
    light: bool = False,
) -> Replay:
    """Replay a trace.

    Args:
        trace: The trace.
        registry: The registry of adapters.
        rechunk: Splits the bytes of streams in another way, after adjacent chunks are joined. The events
            must not depend on it.
        strict: Raise `FlowViolation` for deviations, such as a message out of order.
        cancel_at: Cancel every call before this input frame; `Replay.inputs` is after the last. From there on
            commands are not compared, no call is started, and closed streams get no input.
        limits: Bounds of the sessions. Traces do not contain them.
        light: Keep only the outputs of the last event of each call. All full outputs of a long stream take
            many times the memory of its trace.

    Raises:
        TraceError: The trace lacks frames that a replay needs.
        FlowViolation: Only if `strict`.
    """
    return _Replayer(trace, registry, strict, limits or Limits(), light).run(rechunk, cancel_at)


@attrs.define
class _SessionReplay:
    """One session under replay.

    Attributes:
        config: The app's config, with the components that gr.render added in this session.
        pending: Channels of requests that wait for their reply.
        open: Channels of streams and sockets that neither side has closed.
        commands: The frames of the client since the last comparison.
        held: In a trace of another client, inputs of channels that the session has not opened yet.
        foreign: The commands of both sides in such a trace.
    """

    wire: TappedSession
    config: AppConfig
    exchanges: dict[str, Exchange] = attrs.field(factory=dict[str, Exchange])
    pending: dict[str, SendRequest | OpenStream | OpenWebSocket] = attrs.field(
        factory=dict[str, SendRequest | OpenStream | OpenWebSocket]
    )
    open: set[str] = attrs.field(factory=set[str])
    commands: list[Frame] = attrs.field(factory=list[Frame])
    held: dict[str, deque[Step]] = attrs.field(factory=dict[str, "deque[Step]"])
    foreign: ForeignCommands = attrs.field(factory=ForeignCommands)


class _Replayer:
    def __init__(
        self, trace: Trace, registry: Registry, strict: bool, limits: Limits, light: bool = False
    ) -> None:
        self._light = light
        self._trace = trace
        self._registry = registry
        self._strict = strict
        self._limits = limits
        self._cancelled = False
        self._sessions: dict[int, _SessionReplay] = {}
        self._foreign = is_foreign_traffic(trace)
        self._discoveries = ForeignDiscoveries(trace) if self._foreign else Discoveries(trace, registry)
        self._now = 0.0
        self._number = 0
        self._result = Replay()

    def run(self, rechunk: Rechunk | None, cancel_at: int | None) -> Replay:
        steps = replay_steps(self._trace.frames, rechunk is not None, cancel_at)
        last = {step.frame.session: step for step in steps}
        for step in steps:
            self._now, self._number = step.frame.t, step.number
            if step.frame.session == 0:
                continue
            if step.ordinal == cancel_at:
                self._cancel_all()
            self._feed(step, rechunk or _keep_whole)
            self._compare(step, cut=step is last[step.frame.session] and self._is_cut(step))
        self._result.inputs = sum(
            frame.session != 0 and frame.direction is not Direction.OUT and not frame.retried
            for frame in self._trace.frames
        )
        if cancel_at is not None and cancel_at >= self._result.inputs:
            self._cancel_all()
        self._finish()
        return self._result

    # --- inputs --------------------------------------------------------------------------------------

    def _feed(self, step: Step, rechunk: Rechunk) -> None:
        frame = step.frame
        if frame.kind is Kind.SESSION:
            self._sessions[frame.session] = self._open(step)
            return
        session = self._sessions.get(frame.session)
        if session is None:
            raise TraceError(
                f"The trace has a {frame.kind} frame of session {frame.session}, which it never opened."
            )
        if self._foreign:
            self._feed_when_ready(session, step, rechunk)
        elif not self._cancelled or self._is_awaited(session, frame):
            for turn in self._turns(session, step, rechunk):
                self._apply(session, turn)

    def _feed_when_ready(self, session: _SessionReplay, step: Step, rechunk: Rechunk) -> None:
        """Feed an input of another client's traffic, and those that have waited for it."""
        if _must_wait(session, step.frame):
            session.held.setdefault(step.frame.channel, deque()).append(step)
            return
        if self._cancelled and not self._is_awaited(session, step.frame):
            return
        for turn in self._turns(session, step, rechunk):
            self._apply(session, turn)
        while (channel := next((one for one in session.held if one in session.pending), None)) is not None:
            waiting = session.held.pop(channel)
            while waiting:
                step = waiting.popleft()
                if _must_wait(session, step.frame):
                    session.held[channel] = deque([step, *waiting])
                    break
                for turn in self._turns(session, step, rechunk):
                    self._apply(session, turn)

    def _open(self, step: Step) -> _SessionReplay:
        frame = step.frame
        discovery = self._discoveries.find(str(frame.payload.get("source", "")), step.number)
        adapter = self._registry.get(str(frame.payload["adapter"]))
        context = SessionContext(
            config=discovery.config,
            urls=discovery.urls,
            session_hash=str(frame.payload["session_hash"]),
            timeouts=recorded_timeouts(frame),
            limits=self._limits,
            strict=self._strict,
        )
        commands: list[Frame] = []
        taps = Taps(lambda: self._now, [commands.append])
        wire = TappedSession(adapter.session(context), taps, adapter.name, frame.session)
        return _SessionReplay(wire, discovery.config, commands=commands)

    @staticmethod
    def _is_awaited(session: _SessionReplay, frame: Frame) -> bool:
        """Return whether a driver would still pass this input on after its calls were cancelled."""
        match frame.kind:
            case Kind.CALL | Kind.FETCH | Kind.SEND | Kind.FINISH:
                return False
            case Kind.CANCEL | Kind.WAKE:
                return frame.channel.partition(".")[0] in session.exchanges
            case Kind.ERROR if frame.direction is Direction.LOCAL:
                return frame.channel in session.exchanges
            case _:
                return frame.channel in session.pending or frame.channel in session.open

    def _turns(self, session: _SessionReplay, step: Step, rechunk: Rechunk) -> Iterator[Turn]:
        wire, frame = session.wire, step.frame
        channel = frame.channel
        match frame.kind:
            case Kind.CALL:
                yield self._start(session, frame)
            case Kind.CANCEL:
                yield wire.cancel(self._exchange(session, frame))
            case Kind.FETCH:
                yield wire.fetch(self._exchange(session, frame))
            case Kind.SEND:
                yield wire.send(self._exchange(session, frame), frame.payload["data"])
            case Kind.FINISH:
                yield wire.finish_input(self._exchange(session, frame))
            case Kind.WAKE:
                yield wire.wake(channel)
            case Kind.RESPONSE | Kind.RESPONSE_HEAD | Kind.WS_ACCEPT:
                yield from self._reply_turns(session, frame)
            case Kind.CHUNK:
                for part in rechunk(step.data):
                    yield wire.data_received(channel, part)
            case Kind.WS_TEXT:
                yield wire.text_received(channel, str(frame.payload["text"]))
            case Kind.END:
                session.open.discard(channel)
                yield wire.closed(channel, recorded_end(frame))
            case Kind.ERROR:
                yield from self._failure_turns(session, frame)
            case _:
                raise TraceError(f"Frame {step.number} of the trace is {frame.kind}, which is not an input.")

    def _start(self, session: _SessionReplay, frame: Frame) -> Turn:
        payload = frame.payload
        try:
            endpoint = find_endpoint(session.config, payload)
        except TraceError:
            if not self._foreign:
                raise
            endpoint = _stand_in(payload)  # a client may call what there is not
        data: list[Any] = payload["data"] or []
        if not is_gradio_adapter(session.wire.adapter, self._registry) and lacks_content(data):
            raise TraceError(
                f"Call {frame.channel} of session {frame.session} sent files whose content is not in the "
                "trace, so the trace cannot be replayed."
            )
        invocation = Invocation(
            endpoint=endpoint,
            data=data,
            event_data=payload.get("event_data"),
            trigger_id=payload.get("trigger_id"),
            oauth_token=payload.get("oauth_token"),
            late=payload.get("late") is True,
            event_id=payload.get("event_id"),
        )
        if self._foreign and session.wire.session.shared and not session.wire.session.usable:
            mismatch = Mismatch(self._number, "a call", "no call, because the session has lost its stream")
            self._result.mismatches.append(mismatch)
            return Turn()
        exchange = session.wire.open(invocation)
        if exchange.key != frame.channel:
            raise TraceError(
                f"The trace calls {frame.channel!r} where this session would number {exchange.key!r}."
            )
        session.exchanges[exchange.key] = exchange
        self._result.events[frame.session, exchange.key] = []
        self._result.endpoints[frame.session, exchange.key] = endpoint.display_name
        return session.wire.start(exchange)

    def _exchange(self, session: _SessionReplay, frame: Frame) -> Exchange:
        exchange = session.exchanges.get(frame.channel)
        if exchange is None:
            raise TraceError(
                f"The trace has a {frame.kind} frame of call {frame.channel!r}, which it never made."
            )
        return exchange

    def _reply_turns(self, session: _SessionReplay, frame: Frame) -> Iterator[Turn]:
        command = session.pending.pop(frame.channel, None)
        if command is None:
            return  # the session sent no such request; that is a mismatch of an earlier step
        if frame.kind is Kind.RESPONSE:
            session.open.discard(frame.channel)
            yield session.wire.reply(command, recorded_response(frame))
        elif frame.kind is Kind.RESPONSE_HEAD:
            yield session.wire.stream_opened(frame.channel, recorded_response(frame))
        else:
            yield session.wire.websocket_opened(frame.channel)

    def _failure_turns(self, session: _SessionReplay, frame: Frame) -> Iterator[Turn]:
        """Return the turns of a failed request, or of a call that the client ended (a local frame)."""
        error = recorded_error(frame)
        if frame.direction is Direction.LOCAL:
            tell = frame.payload.get("tell") is True
            yield session.wire.abandon(self._exchange(session, frame), error, tell=tell)
            return
        command = session.pending.pop(frame.channel, None)
        session.open.discard(frame.channel)
        if command is not None and isinstance(error, TransportError):
            yield session.wire.failed(command, error)

    def _apply(self, session: _SessionReplay, turn: Turn) -> None:
        for command in turn.commands:
            self._track(session, command)
        for delivery in turn.deliveries:
            events = self._result.events[session.wire.number, delivery.exchange.key]
            if self._light and events and isinstance(events[-1], WITH_OUTPUTS):
                events[-1] = attrs.evolve(events[-1], data=[])
            events.append(delivery.event)
            drawn = getattr(delivery.event, "render_config", None)
            if drawn:
                session.config = with_rendered(session.config, drawn)

    def _track(self, session: _SessionReplay, command: Command) -> None:
        match command:
            case SendRequest():
                session.pending[command.channel] = command
                if self._foreign and command.channel.endswith(".reset") and command.phase is Phase.JOIN:
                    # Only this library resets an iterator before a call: another client's trace has no reply.
                    session.pending.pop(command.channel)
                    self._apply(session, session.wire.reply(command, Response(200)))
                if self._cancelled and command.phase is not Phase.CANCEL:
                    self._result.outstanding.append(f"{_url(command)} was asked for after the cancellation")
            case OpenStream() | OpenWebSocket():
                session.pending[command.channel] = command
                session.open.add(command.channel)
                if self._cancelled:
                    self._result.outstanding.append(f"{_url(command)} was opened after the cancellation")
            case DropStream() | DropWebSocket():
                session.pending.pop(command.channel, None)
                session.open.discard(command.channel)
            case _:
                pass

    # --- results -------------------------------------------------------------------------------------

    def _is_cut(self, step: Step) -> bool:
        """Return whether the trace may lack commands of its last step, as that of a program that crashed."""
        session = self._sessions.get(step.frame.session)
        unfinished = session is not None and any(not one.state.final for one in session.exchanges.values())
        return self._trace.truncated or unfinished

    def _compare(self, step: Step, *, cut: bool) -> None:
        session = self._sessions.get(step.frame.session)
        if session is None or self._cancelled:
            return
        actual = [frame for frame in session.commands if frame.direction is Direction.OUT]
        session.commands.clear()
        expected = step.commands
        if self._foreign:
            mismatch = session.foreign.compare(step.number, expected, actual)
            if mismatch is not None:
                self._result.mismatches.append(mismatch)
            return
        for place in range(len(expected) if cut else max(len(expected), len(actual))):
            wanted = expected[place] if place < len(expected) else None
            got = actual[place] if place < len(actual) else None
            if signature(wanted) != signature(got):
                self._result.mismatches.append(Mismatch(step.number, summary(wanted), summary(got)))
                return

    def _cancel_all(self) -> None:
        self._cancelled = True
        for session in self._sessions.values():
            for exchange in session.exchanges.values():
                if not exchange.state.final:
                    self._apply(session, session.wire.cancel(exchange))

    def _finish(self) -> None:
        self._result.refusals = self._discoveries.refusals
        if self._foreign and not self._cancelled:
            self._result.mismatches += [
                mismatch for session in self._sessions.values() for mismatch in session.foreign.surplus()
            ]
        self._result.mismatches = sorted(
            [*self._discoveries.mismatches, *self._result.mismatches], key=lambda mismatch: mismatch.frame
        )
        for number, session in self._sessions.items():
            for key, exchange in session.exchanges.items():
                self._result.deviations[number, key] = list(exchange.deviations)
                if exchange.state.final:
                    held = [channel for channel in session.open if channel.partition(".")[0] == key]
                    self._result.outstanding += [f"{channel} of session {number} is open" for channel in held]
                elif self._cancelled:
                    self._result.outstanding.append(f"call {key} of session {number} goes on")


def _must_wait(session: _SessionReplay, frame: Frame) -> bool:
    """Return whether an input of another client's traffic has to wait until the session asks for it."""
    if frame.direction is Direction.LOCAL:
        return False
    if frame.kind in (Kind.RESPONSE, Kind.RESPONSE_HEAD, Kind.WS_ACCEPT, Kind.ERROR):
        return frame.channel not in session.pending
    return frame.channel in session.held


def _stand_in(payload: Mapping[str, Any]) -> Endpoint:
    """Return an endpoint for a call of one that the app does not have."""
    number = payload.get("fn_index")
    return Endpoint(name=payload.get("endpoint"), fn_index=number if isinstance(number, int) else -1)


def _keep_whole(data: bytes) -> Sequence[bytes]:
    return (data,)


def _url(command: SendRequest | OpenStream | OpenWebSocket) -> str:
    return command.url if isinstance(command, OpenWebSocket) else command.request.url


__all__ = ["Rechunk", "replay"]
