# SPDX-License-Identifier: Apache-2.0
"""One ``session_hash`` as a state machine: `Session` routes channels to calls.

The order of calls, as a driver makes them::

    exchange = session.open(invocation)
    turn = session.start(exchange, now)                     # perform turn.commands, pass on turn.deliveries
    turn = session.reply(command, response, now)            # the reply to a SendRequest
    turn = session.stream_opened(channel, response, now)    # the head of an OpenStream, then
    turn = session.data_received(channel, data, now)        # its bytes, then
    turn = session.closed(channel, closed, now)             # its end

Every input returns a `Turn`. Do not make an input while another one is running: the machine has no lock, the
driver has one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import attrs

from ..errors import (
    EventTooLarge,
    GradioTransportError,
    MalformedMessage,
    Phase,
    StreamLost,
    TransportError,
    excerpt,
)
from ..events import (
    UNKNOWN_OUTPUT,
    WITH_OUTPUTS,
    Event,
    Failed,
    ProcessCompleted,
    ProcessGenerating,
    ProcessStreaming,
)
from ..protocol.commands import (
    Closed,
    Command,
    OpenStream,
    OpenWebSocket,
    Response,
    SendRequest,
)
from ..protocol.diff import NO_COPIES, Copies
from ..protocol.flow import State, advance, follow
from ..protocol.json import held_bytes
from ..protocol.sse import SSEDecoder
from .exchange import Exchange, Invocation, Output, SessionContext, no_commands


@attrs.define
class Delivery:
    """One event for one call.

    Attributes:
        size: Bytes of memory of the event, for the mailbox; see `held_bytes`.
        copies: See `Output`.
    """

    exchange: Exchange
    event: Event
    size: int = 0
    copies: Copies = NO_COPIES


_no_deliveries = cast("Callable[[], list[Delivery]]", list)  # as `no_commands`


@attrs.define
class Turn:
    """The result of a session for one input: events for callers, commands for the driver."""

    deliveries: list[Delivery] = attrs.field(factory=_no_deliveries)
    commands: list[Command] = attrs.field(factory=no_commands)

    def extend(self, other: Turn) -> None:
        """Append another turn."""
        self.deliveries += other.deliveries
        self.commands += other.commands


class Session:
    """One ``session_hash``: routes channels to calls, and decodes the streams that belong to one call.

    Adapters whose calls share a stream use `SharedStreamSession` instead.
    """

    shared: ClassVar[bool] = False
    """Whether the calls share one stream, which a driver reads on its own."""

    def __init__(self, context: SessionContext, exchange: type[Exchange]) -> None:
        self.context = context
        self._exchange = exchange
        self._exchanges: dict[str, Exchange] = {}
        self._functions: Counter[int] = Counter()
        """Number of the calls in progress of each function."""
        self._decoders: dict[str, SSEDecoder] = {}
        self._count = 0

    @property
    def usable(self) -> bool:
        """Whether new calls may be opened. False after a loss that makes the session hash unusable."""
        return True

    @property
    def active(self) -> tuple[Exchange, ...]:
        """The calls in progress."""
        return tuple(self._exchanges.values())

    def open(self, invocation: Invocation) -> Exchange:
        """Return a new call, not yet started."""
        self._count += 1
        exchange = self._exchange(self.context, invocation, str(self._count))
        self._exchanges[exchange.key] = exchange
        self._functions[invocation.endpoint.fn_index] += 1
        return exchange

    def start(self, exchange: Exchange, now: float) -> Turn:
        """Start a call."""
        exchange.state = State.JOINING
        return self.turn(exchange, exchange.start(now))

    def cancel(self, exchange: Exchange, now: float) -> Turn:
        """Cancel a call. It ends at once; the cancellation is sent if the server supports it."""
        if exchange.state.final:
            return Turn()
        return self.turn(exchange, exchange.cancel(now, siblings=self._siblings(exchange)))

    def fetch(self, exchange: Exchange, now: float) -> Turn:
        """Open the stream of a call that was joined without one. It does nothing if it is open or over."""
        if exchange.fetched or exchange.state.final:
            return Turn()
        exchange.fetched = True
        return self.turn(exchange, exchange.fetch(now))

    def send(self, exchange: Exchange, data: Sequence[Any], now: float) -> Turn:
        """Send the next chunk of a call's streaming input."""
        return Turn() if exchange.state.final else self.turn(exchange, exchange.send(data, now))

    def finish_input(self, exchange: Exchange, now: float) -> Turn:
        """Signal the end of a call's streaming input."""
        return Turn() if exchange.state.final else self.turn(exchange, exchange.finish_input(now))

    def _siblings(self, exchange: Exchange) -> bool:
        """Return whether other calls of the same endpoint are in progress."""
        own = exchange.key in self._exchanges
        return self._functions[exchange.invocation.endpoint.fn_index] > own

    def abandon(
        self, exchange: Exchange, error: GradioTransportError, *, tell_at: float | None = None
    ) -> Turn:
        """End a call with an error of the client, such as an expired deadline.

        Args:
            exchange: The call.
            error: The error.
            tell_at: The current time; if given, the server is sent a cancellation.
        """
        if exchange.state.final:
            return Turn()
        told: list[Command] = []
        # Only the requests of `cancel` are kept: the call ends with `error`, not with `Cancelled`, and its
        # channels are closed by `finish`.
        if tell_at is not None:
            exchange.abandoned = True
            output = exchange.cancel(tell_at, siblings=self._siblings(exchange))
            told = [command for command in output.commands if isinstance(command, SendRequest)]
        error.may_have_run = error.may_have_run or exchange.may_have_run(error)
        return self.turn(exchange, Output([Failed(event_id=exchange.event_id, error=error)], told))

    def reply(
        self, command: SendRequest | OpenStream | OpenWebSocket, response: Response, now: float
    ) -> Turn:
        """Process a full reply to a request (or the refusal of a stream)."""
        exchange = self._owner(command.channel)
        if exchange is None:
            return Turn()
        exchange._open_channels.pop(command.channel, None)
        output = _judge(exchange, command, response, exchange.reply(command, response, now))
        return self.turn(exchange, output, len(response.body))

    def failed(
        self, command: SendRequest | OpenStream | OpenWebSocket, error: TransportError, now: float
    ) -> Turn:
        """Process a request without a reply."""
        exchange = self._owner(command.channel)
        if exchange is None:
            return Turn()
        exchange._open_channels.pop(command.channel, None)
        return self.turn(exchange, _judge(exchange, command, error, exchange.failed(command, error, now)))

    def stream_opened(self, channel: str, response: Response, now: float) -> Turn:
        """Process the head of a stream (status 200, ``text/event-stream``)."""
        self._decoders[channel] = SSEDecoder(max_event_bytes=self.context.limits.max_event_bytes)
        return Turn()

    def data_received(self, channel: str, data: bytes, now: float) -> Turn:
        """Process bytes of a stream."""
        exchange, decoder = self._owner(channel), self._decoders.get(channel)
        turn = Turn()
        if exchange is None or decoder is None:
            return turn
        try:
            events = decoder.feed(data)
        except EventTooLarge as error:
            return self.abandon(exchange, error)
        for event in events:
            self.turn(exchange, exchange.server_sent_event(event, now), held_bytes(event.data), turn)
            if exchange.state.final:
                break
        return turn

    def websocket_opened(self, channel: str, now: float) -> Turn:
        """Process the opening of a websocket."""
        exchange = self._owner(channel)
        return self.turn(exchange, exchange.websocket_opened(now)) if exchange else Turn()

    def text_received(self, channel: str, text: str, now: float) -> Turn:
        """Process one text message of a websocket."""
        exchange = self._owner(channel)
        return self.turn(exchange, exchange.text(text, now), held_bytes(text)) if exchange else Turn()

    def closed(self, channel: str, closed: Closed, now: float) -> Turn:
        """Process the end of a stream or socket."""
        self._decoders.pop(channel, None)
        exchange = self._owner(channel)
        if exchange is None:
            return Turn()
        exchange._open_channels.pop(channel, None)
        return self.turn(exchange, exchange.stream_closed(channel, closed, now))

    def wake(self, channel: str, now: float) -> Turn:
        """Process the time of a `WakeAt`."""
        exchange = self._owner(channel)
        return self.turn(exchange, exchange.wake(now)) if exchange else Turn()

    def _owner(self, channel: str) -> Exchange | None:
        return self._exchanges.get(channel.partition(".")[0])

    def turn(self, exchange: Exchange, output: Output, size: int = 0, into: Turn | None = None) -> Turn:
        """Convert an exchange's output to a turn of the session: follow the flow, drop events after the end.

        Args:
            exchange: The call.
            output: Its output.
            size: Bytes of memory of the input, for the mailbox.
            into: A turn to add to; a new one by default.
        """
        turn = Turn() if into is None else into
        if output.commands:
            turn.commands += output.commands
            exchange._track(output.commands)
        unexplained = False  # a message such as queue_full was the end; the `Failed` with the reason follows
        state = exchange.state
        for event in output.events:
            if not state.final:
                following = follow(state, event)
                if following is None:
                    exchange.record_deviation(f"{type(event).__name__} in state {state.value}")
                    following = advance(state, event, strict=self.context.strict)
                exchange.state = state = following
            elif not (unexplained and isinstance(event, Failed)):
                # Not an error: a cancelled call may still complete, and the caller already has its end.
                exchange.record_deviation(f"{type(event).__name__} after the end")
                continue
            unexplained = state.final and not event.terminal
            if isinstance(event, WITH_OUTPUTS) and (
                exchange.skips_outputs or len(event.data) != exchange.output_count
            ):
                event = _assign_outputs(event, exchange)
            if isinstance(event, Failed):
                event.error.last_event = event.error.last_event or exchange.last_event
            else:
                exchange.last_event = event
            turn.deliveries.append(Delivery(exchange, event, size + output.held, output.copies))
        if unexplained:
            turn.deliveries.append(Delivery(exchange, _unexplained_end(exchange)))
        if state.final and self._exchanges.pop(exchange.key, None) is not None:
            self._functions[exchange.invocation.endpoint.fn_index] -= 1
            turn.commands += exchange.finish()
            turn.commands += self.exchange_ended(exchange) or ()
        return turn

    def exchange_ended(self, exchange: Exchange) -> Sequence[Command] | None:
        """Forget a call, and return the commands for that. Override it to forget more."""


def _judge(
    exchange: Exchange,
    command: SendRequest | OpenStream | OpenWebSocket,
    outcome: Response | TransportError,
    output: Output,
) -> Output:
    """Set whether the function may have run on the end that a request's outcome causes, for all adapters."""
    for event in output.events:
        if isinstance(event, Failed) and exchange.may_have_run(outcome, command):
            event.error.may_have_run = True
    return output


def _unexplained_end(exchange: Exchange) -> Failed:
    """Return the end of a call whose adapter treated a message as the end without an explanation."""
    event = exchange.last_event
    said = excerpt(getattr(event, "message", "")) or type(event).__name__
    error = StreamLost(
        f"The server abandoned the call: {said}",
        phase=Phase.STREAM,
        last_event=event,
        may_have_run=exchange.accepted,
    )
    return Failed(event_id=exchange.event_id, error=error)


def _assign_outputs(
    event: ProcessGenerating | ProcessStreaming | ProcessCompleted, exchange: Exchange
) -> Event:
    """Return the event with one value for each visible output (``raw`` has the original).

    State and layout are omitted. Surplus values are dropped, as a Gradio server drops those of a function. A
    completion with too few values is an error, because it is unknown which are missing.
    """
    endpoint, sent, declared = exchange.invocation.endpoint, len(event.data), exchange.output_count
    if isinstance(event, ProcessCompleted) and not event.success:
        return event
    if sent != declared:
        if not declared:  # an adapter with its own discovery may not know the outputs
            return event
        exchange.deviate(
            f"{type(event).__name__} with {sent} outputs, where {endpoint.display_name} declares {declared}"
        )
    if sent >= declared:
        return attrs.evolve(event, data=endpoint.visible_outputs(event.data))
    if isinstance(event, ProcessCompleted):
        return attrs.evolve(event, success=False, data=[], error=_missing_outputs_error(exchange, sent))
    padded = [*event.data, *[UNKNOWN_OUTPUT] * (declared - sent)]
    return attrs.evolve(event, data=endpoint.visible_outputs(padded))


def _missing_outputs_error(exchange: Exchange, sent: int) -> MalformedMessage:
    endpoint = exchange.invocation.endpoint
    return MalformedMessage(
        f"The call is complete, but the server sent {sent} outputs and {endpoint.display_name} declares "
        f"{exchange.output_count}, so they cannot be assigned. The app may have changed: connect again.",
        phase=Phase.COMPLETE,
        may_have_run=True,
    )
