# SPDX-License-Identifier: Apache-2.0
"""The contract between the core, the drivers and the protocol adapters.

Three sans-I/O machines, nested:

* an `Adapter` knows one protocol: whether an endpoint of an app speaks it, and what it can do there;
* a `Session` is one ``session_hash``: drivers talk to it in channels (bytes, replies, ends) and it routes
  them to its calls;
* an `Exchange` is one call: it is told decoded messages and answers with events and commands.

None of them has a clock, thread, socket or logger: `now` is an argument (seconds of any monotonic clock).
"""

from __future__ import annotations

import abc
from collections.abc import Generator, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias, cast

import attrs

from .commands import (
    Closed,
    CloseStream,
    CloseWebSocket,
    Command,
    Ending,
    OpenStream,
    OpenWebSocket,
    Response,
    SendRequest,
    decode_json,
)
from .config import AppConfig, Endpoint
from .errors import (
    ConnectError,
    EventTooLarge,
    GradioTransportError,
    MalformedMessage,
    Phase,
    StreamLost,
    Timeout,
    TransportError,
    UnsupportedProtocol,
    excerpt,
)
from .events import (
    WITH_OUTPUTS,
    Achieved,
    Cancelled,
    Event,
    Failed,
)
from .flow import State, advance, follow
from .policy import Limits, Timeouts
from .sse import ServerSentEvent, SSEDecoder
from .urls import AppURLs

API_VERSION = 1
"""Version of this contract. An adapter built for another one is refused with a clear error."""


@attrs.frozen(kw_only=True)
class Capabilities:
    """What a protocol can do on a given server.

    Attributes:
        queue_position: `Estimation` events come.
        late_attach: A call can be joined now and its stream read later.
        diffs: The wire carries edits (callers see full values all the same).
        streaming_input: Further input can be sent to a running call.
        oauth_token: A function can be given its caller's Hugging Face token.
        cancel: What cancelling a running generator achieves on the server.
    """

    generators: bool = False
    progress: bool = False
    logs: bool = False
    queue_position: bool = False
    late_attach: bool = False
    diffs: bool = False
    files: bool = False
    event_data: bool = False
    streaming_input: bool = False
    oauth_token: bool = False
    cancel: Achieved = Achieved.RUNS_ON


@attrs.frozen
class Match:
    """An adapter's answer to "is this endpoint yours?".

    Attributes:
        score: 0 is no; the highest wins. 100 is what the server names itself, above it a better way;
            below 40 is only for those who ask for it by name.
        reason: For `explain()`.
    """

    score: int
    reason: str


@attrs.frozen(kw_only=True)
class Invocation:
    """What a caller asks for: one call of one endpoint.

    Attributes:
        data: One value for each input of the wire, skipped ones included.
        event_data: What a browser would say of the event (3.21+).
        trigger_id: Component id that triggered it (4.3+).
        oauth_token: Hugging Face token for a function that asks for its caller's (6.21+).
        late: Join, but open no stream before `Session.fetch`.
        event_id: The call was joined elsewhere, under this name: only fetch it.
    """

    endpoint: Endpoint
    data: Sequence[Any]
    event_data: Any = None
    trigger_id: int | None = None
    oauth_token: str | None = attrs.field(default=None, repr=False)
    late: bool = False
    event_id: str | None = None


@attrs.frozen(kw_only=True)
class DiscoveryContext:
    """What the discovery of an adapter is given.

    Attributes:
        base: What the caller typed, as an absolute URL without a slash at its end.
        auth: User and password, where the caller gave them.
        settings: The keywords of `connect` that are the adapter's own; none but those it lists.
    """

    base: str
    auth: tuple[str, str] | None = attrs.field(default=None, repr=False)
    settings: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    limits: Limits = attrs.field(factory=Limits)


@attrs.frozen
class Discovery:
    """What a discovery found."""

    config: AppConfig
    urls: AppURLs


Handshake: TypeAlias = Generator[SendRequest, Response, Discovery]
"""A discovery under way: yields requests, is sent their replies, returns what it found."""


@attrs.frozen(kw_only=True)
class SessionContext:
    """What a session needs to know of its app.

    Attributes:
        strict: Raise `FlowViolation` for messages out of order, as the conformance suite wants.
    """

    config: AppConfig
    urls: AppURLs
    session_hash: str
    timeouts: Timeouts = attrs.field(factory=Timeouts)
    limits: Limits = attrs.field(factory=Limits)
    strict: bool = False


# Plain functions: called for every message, and a parametrised `list` is five times as slow to call.
def _no_events() -> list[Event]:
    return []


def _no_commands() -> list[Command]:
    return []


def _no_deliveries() -> list[Delivery]:
    return []


@attrs.define
class Output:
    """What an exchange answers: events for the caller, commands for the driver."""

    events: list[Event] = attrs.field(factory=_no_events)
    commands: list[Command] = attrs.field(factory=_no_commands)


@attrs.define
class Delivery:
    """One event for one call.

    Attributes:
        size: Bytes it took on the wire, for the mailbox.
    """

    exchange: Exchange
    event: Event
    size: int = 0


@attrs.define
class Turn:
    """What a session answers to one input."""

    deliveries: list[Delivery] = attrs.field(factory=_no_deliveries)
    commands: list[Command] = attrs.field(factory=_no_commands)

    def extend(self, other: Turn) -> None:
        """Append another turn."""
        self.deliveries += other.deliveries
        self.commands += other.commands


class Exchange(abc.ABC):
    """One call, as a state machine fed with decoded messages.

    Its channels are named by `channel`: ``"3.join"`` is the join of the third call of the session.
    """

    def __init__(self, context: SessionContext, invocation: Invocation, key: str) -> None:
        self.context = context
        self.invocation = invocation
        self.key = key
        self.event_id: str | None = None
        self.state = State.IDLE
        self.deviations: list[str] = []
        self.last_event: Event | None = None
        self.send_error: GradioTransportError | None = None
        self.fetched = not invocation.late
        self.skips_outputs = invocation.endpoint.has_skipped_outputs
        self.unwanted = False
        self.untold = False
        """It was cancelled, and the server is told when its siblings are over, which it would end too."""
        self._open_channels: dict[str, OpenStream | OpenWebSocket] = {}

    def channel(self, name: str) -> str:
        """Return the full name of one of this call's own channels."""
        return f"{self.key}.{name}"

    @property
    def accepted(self) -> bool:
        """Whether the server may have begun to run the function.

        A join that waits for its answer may have been taken; protocols that send the data later know better.
        """
        return self.state is not State.IDLE

    def may_have_run(self, error: GradioTransportError) -> bool:
        """Return whether the function may have run although an error of this side ends the call.

        A join that made the driver log in again was refused for that.
        """
        return self.accepted and not (self.state is State.JOINING and error.phase is Phase.LOGIN)

    @abc.abstractmethod
    def start(self, now: float) -> Output:
        """Return the first commands."""

    @abc.abstractmethod
    def reply(
        self, command: SendRequest | OpenStream | OpenWebSocket, response: Response, now: float
    ) -> Output:
        """Take a whole reply. One to an `OpenStream` or `OpenWebSocket` means that it was refused."""

    def failed(
        self, command: SendRequest | OpenStream | OpenWebSocket, error: TransportError, now: float
    ) -> Output:
        """Take the news that a request got no reply. By default it ends the call."""
        unsent = isinstance(error, ConnectError) or error.retryable
        never_left = self.state is State.JOINING and unsent
        error.may_have_run = error.may_have_run or (self.may_have_run(error) and not never_left)
        error.retryable = error.retryable and not error.may_have_run
        return Output([Failed(event_id=self.event_id, error=error)])

    def message(self, message: Mapping[str, Any], now: float) -> Output:
        """Take one decoded JSON message of this call."""
        raise NotImplementedError(f"{type(self).__name__} takes no messages")

    def server_sent_event(self, event: ServerSentEvent, now: float) -> Output:
        """Take one event of the call's own stream; by default its data is a JSON message."""
        return self._decoded(event.data, now)

    def websocket_opened(self, now: float) -> Output:
        """Take the news that the call's own socket is open.

        Gradio 3.1.5 to 3.2 wait for the client to speak first, which only makes sense from here on.  A
        `WakeAt` asked for here must not keep the driver from reading the socket.
        """
        return Output()

    def text(self, text: str, now: float) -> Output:
        """Take one text of the call's own websocket; by default it is a JSON message."""
        return self._decoded(text, now)

    def _decoded(self, text: str, now: float) -> Output:
        try:
            value = decode_json(text, self.context.limits.max_json_depth)
            if not isinstance(value, dict):
                raise ValueError("not a JSON object")
        except ValueError as error:
            return Output([self.malformed(text, str(error))])
        return self.message(cast("dict[str, Any]", value), now)

    def malformed(self, text: str, why: str) -> Failed:
        """Return the end of the call for a message that cannot be read."""
        return Failed(
            event_id=self.event_id,
            error=MalformedMessage(
                f"The server sent a message that is {why}: {excerpt(text)!r}.",
                phase=Phase.STREAM,
                may_have_run=self.accepted,
            ),
        )

    def stream_closed(self, channel: str, closed: Closed, now: float) -> Output:
        """Take the end of the call's own stream or socket. By default it is a loss."""
        return Output([Failed(event_id=self.event_id, error=self.lost(closed))])

    def lost(self, closed: Closed) -> GradioTransportError:
        """Return the error for a stream that ended before the call was complete."""
        return stream_error(closed, self.context, may_have_run=self.accepted)

    def wake(self, now: float) -> Output:
        """Take the news that the time of a `WakeAt` has come."""
        return Output()

    def fetch(self, now: float) -> Output:
        """Open the stream of a call that was joined without one. `fetched` is already set."""
        return Output()

    def send(self, data: Sequence[Any], now: float) -> Output:
        """Send the next chunk of a streaming input; one value for each input of the wire.

        Raises:
            UnsupportedProtocol: The protocol has no streaming input.
        """
        raise self._no_streaming_input()

    def finish_input(self, now: float) -> Output:
        """Say that no further chunk will come.

        Raises:
            UnsupportedProtocol: The protocol has no streaming input.
        """
        raise self._no_streaming_input()

    def _no_streaming_input(self) -> UnsupportedProtocol:
        return UnsupportedProtocol(
            "This call takes no further input: that needs the queue of Gradio 5.0+ and a .stream() event.",
            phase=Phase.STREAM,
        )

    def cancel(self, now: float, *, siblings: bool = False) -> Output:
        """Give the call up. By default only this side stops.

        Args:
            now: The clock.
            siblings: Other calls of the same endpoint are under way in this session.
        """
        return Output([Cancelled(event_id=self.event_id, achieved=Achieved.RUNS_ON)])

    def tell(self) -> list[Command]:
        """Return what tells the server of a cancellation that it was not told of."""
        return []

    def _track(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, (OpenStream, OpenWebSocket)):
                self._open_channels[command.channel] = command
            elif isinstance(command, (CloseStream, CloseWebSocket)):
                self._open_channels.pop(command.channel, None)

    def finish(self) -> list[Command]:
        """Return the commands that close what this call still holds open."""
        held, self._open_channels = self._open_channels, {}
        return [
            CloseStream(channel) if isinstance(command, OpenStream) else CloseWebSocket(channel)
            for channel, command in held.items()
        ]


class Session:
    """One ``session_hash``: routes channels to calls, and decodes the streams that belong to one call.

    Adapters whose calls share a stream use `gradio_transport.session.SharedStreamSession` instead.
    """

    shared: ClassVar[bool] = False
    """Whether the calls share one stream, which a driver reads on its own."""

    def __init__(self, context: SessionContext, exchange: type[Exchange]) -> None:
        self.context = context
        self._exchange = exchange
        self._exchanges: dict[str, Exchange] = {}
        self._decoders: dict[str, SSEDecoder] = {}
        self._count = 0

    @property
    def usable(self) -> bool:
        """Whether new calls may be opened; false after a loss that poisons the session hash."""
        return True

    @property
    def active(self) -> tuple[Exchange, ...]:
        """The calls under way."""
        return tuple(self._exchanges.values())

    def open(self, invocation: Invocation) -> Exchange:
        """Return a new call, not yet started."""
        self._count += 1
        exchange = self._exchange(self.context, invocation, str(self._count))
        self._exchanges[exchange.key] = exchange
        return exchange

    def start(self, exchange: Exchange, now: float) -> Turn:
        """Start a call."""
        exchange.state = State.JOINING
        return self.turn(exchange, exchange.start(now))

    def cancel(self, exchange: Exchange, now: float) -> Turn:
        """Cancel a call. The caller is released at once, the server is told where it can be."""
        if exchange.state.final:
            return Turn()
        return self.turn(exchange, exchange.cancel(now, siblings=self._siblings(exchange)))

    def fetch(self, exchange: Exchange, now: float) -> Turn:
        """Open the stream of a call that was joined without one; nothing happens if it is open, or over."""
        if exchange.fetched or exchange.state.final:
            return Turn()
        exchange.fetched = True
        return self.turn(exchange, exchange.fetch(now))

    def send(self, exchange: Exchange, data: Sequence[Any], now: float) -> Turn:
        """Send the next chunk of a call's streaming input."""
        return Turn() if exchange.state.final else self.turn(exchange, exchange.send(data, now))

    def finish_input(self, exchange: Exchange, now: float) -> Turn:
        """Say that no further chunk of a call's streaming input will come."""
        return Turn() if exchange.state.final else self.turn(exchange, exchange.finish_input(now))

    def _siblings(self, exchange: Exchange) -> bool:
        """Return whether other calls of the same endpoint are under way."""
        number = exchange.invocation.endpoint.fn_index
        return any(
            other is not exchange and other.invocation.endpoint.fn_index == number for other in self.active
        )

    def abandon(
        self, exchange: Exchange, error: GradioTransportError, *, tell_at: float | None = None
    ) -> Turn:
        """End a call from this side with an error, such as an expired deadline.

        Args:
            exchange: The call.
            error: Why.
            tell_at: The clock; given, the server is told as for a cancellation.
        """
        if exchange.state.final:
            return Turn()
        told: list[Command] = []
        if tell_at is not None:
            exchange.unwanted = True
            output = exchange.cancel(tell_at, siblings=self._siblings(exchange))
            told = [command for command in output.commands if isinstance(command, SendRequest)]
        error.may_have_run = error.may_have_run or exchange.may_have_run(error)
        return self.turn(exchange, Output([Failed(event_id=exchange.event_id, error=error)], told))

    def reply(
        self, command: SendRequest | OpenStream | OpenWebSocket, response: Response, now: float
    ) -> Turn:
        """Take a whole reply to a request (or the refusal of a stream)."""
        exchange = self._owner(command.channel)
        if exchange is None:
            return Turn()
        exchange._open_channels.pop(command.channel, None)
        return self.turn(exchange, exchange.reply(command, response, now), len(response.body))

    def failed(
        self, command: SendRequest | OpenStream | OpenWebSocket, error: TransportError, now: float
    ) -> Turn:
        """Take the news that a request got no reply."""
        exchange = self._owner(command.channel)
        if exchange is None:
            return Turn()
        exchange._open_channels.pop(command.channel, None)
        return self.turn(exchange, exchange.failed(command, error, now))

    def stream_opened(self, channel: str, response: Response, now: float) -> Turn:
        """Take the head of a stream (status 200, ``text/event-stream``)."""
        self._decoders[channel] = SSEDecoder(max_event_bytes=self.context.limits.max_event_bytes)
        return Turn()

    def data_received(self, channel: str, data: bytes, now: float) -> Turn:
        """Take bytes of a stream."""
        exchange, decoder = self._owner(channel), self._decoders.get(channel)
        turn = Turn()
        if exchange is None or decoder is None:
            return turn
        try:
            events = decoder.feed(data)
        except EventTooLarge as error:
            return self.abandon(exchange, error)
        for event in events:
            self.turn(exchange, exchange.server_sent_event(event, now), len(event.data), turn)
            if exchange.state.final:
                break
        return turn

    def websocket_opened(self, channel: str, now: float) -> Turn:
        """Take the news that a websocket is open."""
        exchange = self._owner(channel)
        return self.turn(exchange, exchange.websocket_opened(now)) if exchange else Turn()

    def text_received(self, channel: str, text: str, now: float) -> Turn:
        """Take one text message of a websocket."""
        exchange = self._owner(channel)
        return self.turn(exchange, exchange.text(text, now), len(text)) if exchange else Turn()

    def closed(self, channel: str, closed: Closed, now: float) -> Turn:
        """Take the end of a stream or socket."""
        self._decoders.pop(channel, None)
        exchange = self._owner(channel)
        if exchange is None:
            return Turn()
        exchange._open_channels.pop(channel, None)
        return self.turn(exchange, exchange.stream_closed(channel, closed, now))

    def wake(self, channel: str, now: float) -> Turn:
        """Take the news that the time of a `WakeAt` has come."""
        exchange = self._owner(channel)
        return self.turn(exchange, exchange.wake(now)) if exchange else Turn()

    def _owner(self, channel: str) -> Exchange | None:
        return self._exchanges.get(channel.partition(".")[0])

    def turn(self, exchange: Exchange, output: Output, size: int = 0, into: Turn | None = None) -> Turn:
        """Make an exchange's output this session's: follow the flow, drop what comes after the end.

        Args:
            exchange: The call.
            output: What it answered.
            size: Bytes of the wire that its events stand for.
            into: A turn to add to; a new one by default.
        """
        turn = Turn() if into is None else into
        if output.commands:
            turn.commands += output.commands
            exchange._track(output.commands)
        unexplained = False  # a message such as queue_full was the end; the `Failed` that says why follows
        for event in output.events:
            if exchange.state.final and not (unexplained and isinstance(event, Failed)):
                exchange.deviations.append(f"{type(event).__name__} after the end")
                continue
            if not exchange.state.final:
                following = follow(exchange.state, event)
                if following is None:
                    exchange.deviations.append(f"{type(event).__name__} in state {exchange.state.value}")
                    following = advance(exchange.state, event, strict=self.context.strict)
                exchange.state = following
            unexplained = exchange.state.final and not event.terminal
            if exchange.skips_outputs:
                event = _without_skipped(event, exchange.invocation.endpoint)
            if isinstance(event, Failed):
                event.error.last_event = event.error.last_event or exchange.last_event
            else:
                exchange.last_event = event
            turn.deliveries.append(Delivery(exchange, event, size))
        if unexplained and not turn.deliveries[-1].event.terminal:
            turn.deliveries.append(Delivery(exchange, _given_up(exchange)))
        if exchange.state.final and self._exchanges.pop(exchange.key, None) is not None:
            turn.commands += exchange.finish()
            turn.commands += self.exchange_ended(exchange) or ()
        return turn

    def exchange_ended(self, exchange: Exchange) -> Sequence[Command] | None:
        """Forget a call, and return what is to be done now; for sessions that keep more about it."""


class Adapter(abc.ABC):
    """One protocol. Stateless; one instance serves all apps.

    Attributes:
        name: What callers write in ``protocol=``.
        api_version: The `API_VERSION` it was built for.
        exchange: The class of its calls.
        settings: The keywords that `connect` passes on to its `discover`.
    """

    name: ClassVar[str]
    api_version: ClassVar[int] = API_VERSION
    exchange: ClassVar[type[Exchange]]
    settings: ClassVar[Sequence[str]] = ()

    @property
    def discovers(self) -> bool:
        """Whether it has a discovery of its own, because its servers are no Gradio apps.

        Then ``connect(token=)`` is a key of the server itself, and files of a call are handed to it with
        their content, as there is no place to upload them to.
        """
        return type(self).discover is not Adapter.discover

    def discover(self, context: DiscoveryContext) -> Handshake:
        """Return the sequence that finds out what there is to call, for servers that are no Gradio apps.

        It is asked only where a caller names this adapter, and no other, in ``connect(protocol=)``.  What
        calls need to know of it goes into `AppConfig.settings`.

        Raises:
            LocalProtocolError: A setting has a value that makes no sense.
        """
        raise NotImplementedError(f"{self.name} leaves the discovery to Gradio's handshake")

    @abc.abstractmethod
    def match(self, config: AppConfig, endpoint: Endpoint) -> Match:
        """Say whether an endpoint of an app can be called by this protocol, and why (not)."""

    @abc.abstractmethod
    def capabilities(self, config: AppConfig) -> Capabilities:
        """Say what the protocol can do on this server."""

    def session(self, context: SessionContext) -> Session:
        """Return a new session."""
        return Session(context, self.exchange)

    def check(self, config: AppConfig, invocation: Invocation) -> None:
        """Refuse early what the generation cannot do.

        Raises:
            UnsupportedProtocol: The message says what is missing and what to do instead.
        """
        if invocation.event_data is not None and not self.capabilities(config).event_data:
            raise UnsupportedProtocol(
                f"{self.name} on Gradio {config.version or 'of this age'} has no event_data (3.21+ has).",
                phase=Phase.JOIN,
                adapter=self.name,
            )
        if invocation.oauth_token is not None and not self.capabilities(config).oauth_token:
            raise UnsupportedProtocol(
                f"{self.name} on Gradio {config.version or 'of this age'} takes no oauth_token (the queue "
                "and /call of 6.21+ do). Nothing was sent.",
                phase=Phase.JOIN,
                adapter=self.name,
            )


def _given_up(exchange: Exchange) -> Failed:
    """Return the end of a call whose adapter took a message for the end and did not say what it means."""
    event = exchange.last_event
    said = excerpt(getattr(event, "message", "")) or type(event).__name__
    error = StreamLost(
        f"The server gave the call up: {said}",
        phase=Phase.STREAM,
        last_event=event,
        may_have_run=exchange.accepted,
    )
    return Failed(event_id=exchange.event_id, error=error)


def _without_skipped(event: Event, endpoint: Endpoint) -> Event:
    """Leave out the slots of State and layout, which callers never see (``raw`` has them)."""
    if not isinstance(event, WITH_OUTPUTS):
        return event
    return attrs.evolve(event, data=endpoint.visible_outputs(event.data))


def stream_error(closed: Closed, context: SessionContext, *, may_have_run: bool) -> GradioTransportError:
    """Return the error for a stream or socket that ended too early."""
    why = f" ({closed.reason})" if closed.reason else ""
    if closed.ending is Ending.IDLE:
        return Timeout(
            f"Nothing came on the stream for {context.timeouts.idle} s, not even a heartbeat{why}. A proxy "
            "may buffer it, or the server hangs. Raise Timeouts(idle=) if the app may be silent so long.",
            knob="idle",
            seconds=context.timeouts.idle,
            phase=Phase.STREAM,
            may_have_run=may_have_run,
        )
    if closed.ending is Ending.TOO_LARGE:
        return EventTooLarge(
            f"The server sent more in one message than the limit allows{why}. If the app is meant to send "
            "that much, raise Limits(max_event_bytes=).",
            phase=Phase.STREAM,
            may_have_run=may_have_run,
        )
    how = {
        Ending.CLEAN: "ended cleanly",
        Ending.RESET: "was cut off",
        Ending.LOCAL: "was closed on this side",
    }.get(closed.ending, closed.ending.value)
    code = f" with close code {closed.code}" if closed.code is not None else ""
    return StreamLost(
        f"The stream {how}{code}{why} before the call was complete. Gradio cannot resume it; submit again if "
        "the function may run twice.",
        phase=Phase.STREAM,
        may_have_run=may_have_run,
    )


__all__ = [
    "API_VERSION", "Adapter", "Capabilities", "Delivery", "Discovery", "DiscoveryContext", "Exchange",
    "Handshake", "Invocation", "Match", "Output", "Session", "SessionContext", "Turn", "stream_error",
]  # fmt: skip
