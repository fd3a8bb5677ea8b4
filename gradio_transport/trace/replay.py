# SPDX-License-Identifier: Apache-2.0
"""The replay driver: a driver with no I/O.

It feeds a session what a trace says came in, in the recorded order, and compares what the machine commands
with what was commanded then.  Everything is built from the trace alone: the config from the recorded
discovery, the session from its hash, the calls from their arguments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import attrs

from .. import errors
from ..adapter import Exchange, Invocation, SessionContext, Turn
from ..commands import (
    Closed,
    CloseStream,
    CloseWebSocket,
    Ending,
    OpenStream,
    OpenWebSocket,
    Response,
    SendRequest,
)
from ..config import Endpoint
from ..events import Event
from ..frames import Direction, Frame, Kind
from ..handshake import Discovery, discover
from ..registry import Registry, default_registry
from ..wire import Taps, Wire
from .reader import Trace, TraceError
from .redact import REDACTED

Rechunk = Callable[[bytes], Sequence[bytes]]


@attrs.frozen
class Mismatch:
    """Where the machine did something else than was recorded.

    Attributes:
        frame: Number of the input frame after which it happened.
        expected: What the trace has next.
        actual: What the machine said.
    """

    frame: int
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"after frame {self.frame}: expected {self.expected}, got {self.actual}"


@attrs.define
class Replay:
    """What came of a replay.

    Attributes:
        events: Session and key of each call -> its events.
        deviations: The same -> what was out of the order of the flow.
        refusals: Errors of the discovery, in order.
        mismatches: Commands that differ from the recorded ones; empty is right.
        outstanding: Private streams and sockets that the machines left open.
    """

    events: dict[tuple[int, str], list[Event]] = attrs.field(factory=dict)
    deviations: dict[tuple[int, str], list[str]] = attrs.field(factory=dict)
    refusals: list[errors.GradioTransportError] = attrs.field(factory=list)
    mismatches: list[Mismatch] = attrs.field(factory=list)
    outstanding: list[str] = attrs.field(factory=list)


def replay(
    trace: Trace,
    *,
    registry: Registry = default_registry,
    rechunk: Rechunk | None = None,
    strict: bool = False,
    cancel_at: int | None = None,
) -> Replay:
    """Replay a trace.

    Args:
        trace: What was recorded.
        registry: Where adapters are looked up.
        rechunk: Splits the bytes of every chunk; the events must not depend on it.
        strict: Raise `FlowViolation` for messages out of order.
        cancel_at: Cancel every call before this input frame; commands are not compared from there on.

    Raises:
        TraceError: The trace does not hold what a replay needs.
    """
    return _Replayer(trace, registry, rechunk, strict, cancel_at).run()


@attrs.define
class _Line:
    """One session under replay."""

    wire: Wire
    discovery: Discovery
    exchanges: dict[str, Exchange] = attrs.field(factory=dict)
    pending: dict[str, SendRequest | OpenStream | OpenWebSocket] = attrs.field(factory=dict)
    said: list[Frame] = attrs.field(factory=list)


class _Replayer:
    def __init__(
        self, trace: Trace, registry: Registry, rechunk: Rechunk | None, strict: bool, cancel_at: int | None
    ) -> None:
        self._frames = trace.frames
        self._registry = registry
        self._rechunk = rechunk
        self._strict = strict
        self._cancel_at = cancel_at
        self._cancelled = False
        self._lines: dict[int, _Line] = {}
        self._discoveries: dict[str, Discovery] = {}
        self._now = 0.0
        self._result = Replay()

    def run(self) -> Replay:
        self._discover()
        inputs = 0
        for number, frame in enumerate(self._frames):
            if frame.session == 0:
                continue
            self._now = frame.t
            if frame.direction is Direction.OUT:
                self._compare(frame, number)
                continue
            if inputs == self._cancel_at:
                self._cancel_all()
            inputs += 1
            self._feed(frame)
        self._finish()
        return self._result

    # --- discovery -----------------------------------------------------------------------------------

    def _discover(self) -> None:
        """Run the handshakes of the trace against their recorded replies."""
        frames = [frame for frame in self._frames if frame.session == 0]
        login = any(frame.channel == "login" for frame in frames)
        sequence, base = None, ""
        for frame in frames:
            if frame.kind is Kind.REQUEST and sequence is None:
                base = str(frame.payload["url"]).removesuffix("/").removesuffix("/config")
                sequence = discover(base, (REDACTED, REDACTED) if login else None)
                next(sequence)
            elif frame.kind is Kind.RESPONSE and sequence is not None:
                try:
                    sequence.send(_response(frame))
                except StopIteration as stop:
                    # A redirect may have moved the base; sessions name where they ended up.
                    self._discoveries[stop.value.urls.base] = stop.value
                    sequence = None
                except errors.GradioTransportError as error:
                    self._result.refusals.append(error)
                    sequence = None

    def _discovery(self, source: str) -> Discovery:
        found = self._discoveries.get(source)
        if found is None:
            raise TraceError(
                f"The trace has a session with {source}, but not its discovery; it cannot be replayed."
            )
        return found

    # --- inputs --------------------------------------------------------------------------------------

    def _feed(self, frame: Frame) -> None:
        if frame.kind is Kind.SESSION:
            self._open(frame)
            return
        line = self._line(frame)
        for turn in self._turns(line, frame):
            self._take(line, turn)

    def _line(self, frame: Frame) -> _Line:
        line = self._lines.get(frame.session)
        if line is None:
            raise TraceError(
                f"The trace has a {frame.kind} frame of session {frame.session}, which it never opened."
            )
        return line

    def _open(self, frame: Frame) -> None:
        discovery = self._discovery(str(frame.payload["source"]))
        adapter = self._registry.get(str(frame.payload["adapter"]))
        context = SessionContext(
            config=discovery.config,
            urls=discovery.urls,
            session_hash=str(frame.payload["session_hash"]),
            strict=self._strict,
        )
        said: list[Frame] = []
        taps = Taps(lambda: self._now, [said.append])
        wire = Wire(adapter.session(context), taps, adapter.name, frame.session)
        said.clear()
        self._lines[frame.session] = _Line(wire, discovery, said=said)

    def _turns(self, line: _Line, frame: Frame) -> list[Turn]:
        wire, channel, payload = line.wire, frame.channel, frame.payload
        match frame.kind:
            case Kind.CALL:
                return [self._start(line, frame)]
            case Kind.CANCEL:
                return [wire.cancel(line.exchanges[channel])]
            case Kind.WAKE:
                return [wire.wake(channel)]
            case Kind.RESPONSE:
                command = line.pending.pop(channel, None)
                return [] if command is None else [wire.reply(command, _response(frame))]
            case Kind.RESPONSE_HEAD:
                line.pending.pop(channel, None)
                return [wire.stream_opened(channel, _response(frame))]
            case Kind.CHUNK:
                parts = self._rechunk(payload["data"]) if self._rechunk else (payload["data"],)
                return [wire.data_received(channel, part) for part in parts]
            case Kind.WS_ACCEPT:
                line.pending.pop(channel, None)
                return [wire.websocket_opened(channel)]
            case Kind.WS_TEXT:
                return [wire.text_received(channel, str(payload["text"]))]
            case Kind.END:
                ending = Closed(
                    Ending(payload["ending"]), payload.get("code"), str(payload.get("reason") or "")
                )
                return [wire.closed(channel, ending)]
            case Kind.ERROR:
                return self._failure(line, frame)
            case _:
                return []

    def _start(self, line: _Line, frame: Frame) -> Turn:
        payload = frame.payload
        endpoint = _endpoint(line.discovery, payload)
        invocation = Invocation(
            endpoint=endpoint,
            data=payload["data"],
            event_data=payload.get("event_data"),
            trigger_id=payload.get("trigger_id"),
        )
        exchange = line.wire.open(invocation)
        if exchange.key != frame.channel:
            raise TraceError(
                f"The trace calls {frame.channel!r} where this session would number {exchange.key!r}."
            )
        line.exchanges[exchange.key] = exchange
        return line.wire.start(exchange)

    def _failure(self, line: _Line, frame: Frame) -> list[Turn]:
        """Feed the failure of a request, or (local) the end of a call from this side."""
        kind = getattr(errors, str(frame.payload["error"]), errors.StreamLost)
        error = cast("errors.GradioTransportError", kind(str(frame.payload["message"])))
        if frame.direction is Direction.LOCAL:
            return [line.wire.abandon(line.exchanges[frame.channel], error)]
        command = line.pending.pop(frame.channel, None)
        if command is None or not isinstance(error, errors.TransportError):
            return []
        return [line.wire.failed(command, error)]

    def _take(self, line: _Line, turn: Turn) -> None:
        for command in turn.commands:
            if isinstance(command, SendRequest | OpenStream | OpenWebSocket):
                line.pending[command.channel] = command
            elif isinstance(command, CloseStream | CloseWebSocket):
                line.pending.pop(command.channel, None)
        for delivery in turn.deliveries:
            key = line.wire.number, delivery.exchange.key
            self._result.events.setdefault(key, []).append(delivery.event)

    # --- outputs -------------------------------------------------------------------------------------

    def _compare(self, frame: Frame, number: int) -> None:
        line = self._line(frame)
        outs = [one for one in line.said if one.direction is Direction.OUT]
        if self._cancelled:
            return
        actual = outs[0] if outs else None
        if actual is not None:
            line.said.remove(actual)
        if actual is None or _signature(actual) != _signature(frame):
            got = _describe(actual) if actual is not None else "nothing"
            self._result.mismatches.append(Mismatch(number, _describe(frame), got))

    def _cancel_all(self) -> None:
        self._cancelled = True
        for line in self._lines.values():
            for exchange in line.exchanges.values():
                self._take(line, line.wire.cancel(exchange))

    def _finish(self) -> None:
        for number, line in self._lines.items():
            surplus = [one for one in line.said if one.direction is Direction.OUT]
            if not self._cancelled:
                self._result.mismatches += [Mismatch(-1, "nothing", _describe(one)) for one in surplus]
            for key, exchange in line.exchanges.items():
                self._result.deviations[number, key] = exchange.deviations
                if exchange.state.final:
                    self._result.outstanding += [command.channel for command in exchange.finish()]


def _endpoint(discovery: Discovery, payload: Mapping[str, Any]) -> Endpoint:
    number = payload["fn_index"]
    found = next((one for one in discovery.config.endpoints if one.fn_index == number), None)
    if found is None:
        raise TraceError(f"The trace calls fn_index {number}, which its config does not have.")
    return found


def _response(frame: Frame) -> Response:
    payload = frame.payload
    return Response(
        status=payload["status"],
        headers=payload.get("headers", {}),
        body=payload.get("body") or b"",
        url=str(payload.get("url", "")),
    )


def _signature(frame: Frame) -> tuple[Any, ...]:
    """Return what must be equal of a command: headers and times need not."""
    payload = frame.payload
    head = (frame.kind, frame.channel)
    if frame.kind is Kind.REQUEST:
        parts = urlsplit(str(payload["url"]))
        return (*head, payload["method"], parts.path, parts.query, _json(payload.get("body")))
    if frame.kind is Kind.WS_OPEN:
        return (*head, urlsplit(str(payload["url"])).path)
    if frame.kind is Kind.WS_TEXT:
        return (*head, _json(str(payload["text"]).encode()))
    return head


def _json(body: bytes | None) -> Any:
    try:
        return json.dumps(json.loads(body or b"null"), sort_keys=True)
    except ValueError:
        return body


def _describe(frame: Frame) -> str:
    return " ".join(str(part) for part in _signature(frame) if part not in (None, "", "null"))[:300]


__all__ = ["Mismatch", "Rechunk", "Replay", "replay"]
