# SPDX-License-Identifier: Apache-2.0
"""One call as a state machine: `Exchange`, its input (`Invocation`) and its results (`Output`).

The order of calls, for a protocol with a stream per call::

    exchange.start(now)                         # -> Output(commands=[SendRequest(...)])
    exchange.reply(command, response, now)      # -> Output([Joined()], [OpenStream(...)])
    exchange.server_sent_event(event, now)      # any number of times; by default decoded and given to
    exchange.message(message, now)              # -> Output([ProcessGenerating(...)]), ...
    exchange.message(message, now)              # -> Output([ProcessCompleted(...)]): the end

In between, `failed`, `stream_closed`, `wake` or `cancel` may be called at any time. One event ends the call:
`ProcessCompleted`, `Cancelled` or `Failed`. After it the session closes the channels that are still open.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import attrs

from ..app.config import AppConfig, Endpoint
from ..errors import (
    EventTooLarge,
    FlowViolation,
    GradioTransportError,
    MalformedMessage,
    Phase,
    StreamLost,
    TimeoutExpired,
    TransportError,
    UnsupportedProtocol,
    excerpt,
)
from ..events import Achieved, Cancelled, Event, Failed
from ..policy import Limits, Timeouts
from ..protocol.commands import (
    Closed,
    Command,
    DropStream,
    DropWebSocket,
    Ending,
    OpenStream,
    OpenWebSocket,
    Response,
    SendRequest,
)
from ..protocol.diff import NO_COPIES, Copies
from ..protocol.flow import State
from ..protocol.json import decode_json
from ..protocol.reach import may_have_reached
from ..protocol.sse import ServerSentEvent
from ..protocol.urls import AppURLs

KEPT_DEVIATIONS = 100
"""The most deviations that are kept per call, because a server may make any number."""


@attrs.frozen(kw_only=True)
class Invocation:
    """The input of a call of one endpoint.

    Attributes:
        data: One value for each input of the wire, including skipped ones.
        event_data: The browser's data of the event (3.21+).
        trigger_id: Component id that triggered it (4.3+).
        oauth_token: Hugging Face token for a function that asks for its caller's token (6.21+).
        late: Join, but open no stream before `Session.fetch`.
        event_id: Id of a call that another process joined: only fetch it.
    """

    endpoint: Endpoint
    data: Sequence[Any]
    event_data: Any = None
    trigger_id: int | None = None
    oauth_token: str | None = attrs.field(default=None, repr=False)
    late: bool = False
    event_id: str | None = None


@attrs.frozen(kw_only=True)
class SessionContext:
    """The data that a session needs of its app.

    Attributes:
        strict: Raise `FlowViolation` for deviations, such as messages out of order, as the conformance suite
            does.
    """

    config: AppConfig
    urls: AppURLs
    session_hash: str
    timeouts: Timeouts = attrs.field(factory=Timeouts)
    limits: Limits = attrs.field(factory=Limits)
    strict: bool = False


# `list` itself, because it runs for every message: a function around it, or a parametrised list, is several
# times slower.
_no_events = cast("Callable[[], list[Event]]", list)
no_commands = cast("Callable[[], list[Command]]", list)


@attrs.define
class Output:
    """The result of an exchange for one input: events for the caller, commands for the driver.

    Attributes:
        held: Bytes of memory that the events take beyond the input, for the mailbox: values that the exchange
            builds from several messages.
        copies: The lists of those values that this message edits (`DiffDecoder.copies`). The search for files
            then needs no comparison with the lists before.
    """

    events: list[Event] = attrs.field(factory=_no_events)
    commands: list[Command] = attrs.field(factory=no_commands)
    held: int = 0
    copies: Copies = NO_COPIES


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
        self.output_count = len(invocation.endpoint.outputs)
        self.abandoned = False
        self.cancel_deferred = False
        """Whether the call is cancelled, but the cancellation is sent only after its siblings have ended.

        The server's cancellation would end them too.
        """
        self._open_channels: dict[str, OpenStream | OpenWebSocket] = {}

    def channel(self, name: str) -> str:
        """Return the full name of a channel of this call."""
        return f"{self.key}.{name}"

    def deviate(self, deviation: str) -> None:
        """Record a deviation of the server from the protocol, each one once.

        Raises:
            FlowViolation: The session is strict.
        """
        if self.context.strict:
            raise FlowViolation(f"{deviation}.")
        self.record_deviation(deviation)

    def record_deviation(self, deviation: str) -> None:
        """Record a deviation that is not an error in any mode: each once, and at most `KEPT_DEVIATIONS`."""
        if deviation not in self.deviations and len(self.deviations) < KEPT_DEVIATIONS:
            self.deviations.append(deviation)

    @property
    def accepted(self) -> bool:
        """Whether the server may have begun to run the function.

        A join without a reply yet may have been accepted; protocols that send the data later override this.
        """
        return self.state is not State.IDLE

    def may_have_run(
        self,
        outcome: Response | GradioTransportError,
        command: SendRequest | OpenStream | OpenWebSocket | None = None,
    ) -> bool:
        """Return whether the function may have run, for a call that ends now.

        Args:
            outcome: The outcome that ends it.
            command: The request of the outcome, if any.
        """
        is_joining = self.state is State.JOINING or (command is not None and command.phase is Phase.JOIN)
        return self.accepted and (not is_joining or may_have_reached(outcome))

    @abc.abstractmethod
    def start(self, now: float) -> Output:
        """Return the first commands."""

    @abc.abstractmethod
    def reply(
        self, command: SendRequest | OpenStream | OpenWebSocket, response: Response, now: float
    ) -> Output:
        """Process a full reply. For an `OpenStream` or `OpenWebSocket` it means a refusal."""

    def failed(
        self, command: SendRequest | OpenStream | OpenWebSocket, error: TransportError, now: float
    ) -> Output:
        """Process a request without a reply. By default it ends the call."""
        return Output([Failed(event_id=self.event_id, error=error)])

    def message(self, message: Mapping[str, Any], now: float) -> Output:
        """Process one decoded JSON message of this call."""
        raise NotImplementedError(f"{type(self).__name__} takes no messages")

    def server_sent_event(self, event: ServerSentEvent, now: float) -> Output:
        """Process one event of the call's own stream. By default its data is a JSON message."""
        return self._decode_and_take(event.data, now)

    def websocket_opened(self, now: float) -> Output:
        """Process the opening of the call's own socket.

        Gradio 3.1.5 to 3.2 wait for the client to send first, which is only possible from here on. A `WakeAt`
        returned here must not keep the driver from reading the socket.
        """
        return Output()

    def text(self, text: str, now: float) -> Output:
        """Process one text of the call's own websocket. By default it is a JSON message."""
        return self._decode_and_take(text, now)

    def _decode_and_take(self, text: str, now: float) -> Output:
        try:
            value = decode_json(text, self.context.limits.max_json_depth)
            if not isinstance(value, dict):
                raise ValueError("not a JSON object")
        except ValueError as error:
            return Output([self.malformed_message(text, str(error))])
        return self.message(cast("dict[str, Any]", value), now)

    def malformed_message(self, text: str, why: str) -> Failed:
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
        """Process the end of the call's own stream or socket. By default the call is lost."""
        return Output([Failed(event_id=self.event_id, error=self.lost_error(closed))])

    def lost_error(self, closed: Closed) -> GradioTransportError:
        """Return the error for a stream that ended before the call was complete."""
        return stream_ended_error(closed, self.context, may_have_run=self.accepted)

    def wake(self, now: float) -> Output:
        """Process the time of a `WakeAt`."""
        return Output()

    def fetch(self, now: float) -> Output:
        """Open the stream of a call that was joined without one. `fetched` is already set."""
        return Output()

    def send(self, data: Sequence[Any], now: float) -> Output:
        """Send the next chunk of a streaming input; one value for each input of the wire.

        Raises:
            UnsupportedProtocol: The protocol has no streaming input.
        """
        raise self._no_streaming_input_error()

    def finish_input(self, now: float) -> Output:
        """Signal the end of the streaming input.

        Raises:
            UnsupportedProtocol: The protocol has no streaming input.
        """
        raise self._no_streaming_input_error()

    def _no_streaming_input_error(self) -> UnsupportedProtocol:
        return UnsupportedProtocol(
            "This call takes no further input: that needs the queue of Gradio 5.0+ and a .stream() event.",
            phase=Phase.STREAM,
        )

    def cancel(self, now: float, *, siblings: bool = False) -> Output:
        """Cancel the call. By default only the client stops, and the function continues.

        Args:
            now: The clock.
            siblings: Whether other calls of the same endpoint are in progress in this session.
        """
        return Output([Cancelled(event_id=self.event_id, achieved=Achieved.RUNS_ON)])

    def cancel_commands(self) -> list[Command]:
        """Return the commands of a cancellation that `cancel` has deferred."""
        return []

    def _track(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if isinstance(command, (OpenStream, OpenWebSocket)):
                self._open_channels[command.channel] = command
            elif isinstance(command, (DropStream, DropWebSocket)):
                self._open_channels.pop(command.channel, None)

    def finish(self) -> list[Command]:
        """Return the commands that close the open channels of this call."""
        held, self._open_channels = self._open_channels, {}
        return [
            DropStream(channel) if isinstance(command, OpenStream) else DropWebSocket(channel)
            for channel, command in held.items()
        ]


def stream_ended_error(
    closed: Closed, context: SessionContext, *, may_have_run: bool
) -> GradioTransportError:
    """Return the error for a stream or socket that ended too early."""
    why = f" ({closed.reason})" if closed.reason else ""
    if closed.ending is Ending.IDLE:
        timeouts = context.timeouts
        setting, seconds, beat = "idle", timeouts.idle, ", not even a heartbeat"
        if not context.config.at_least(4, 4):
            setting, seconds, beat = "no_heartbeat", timeouts.without_heartbeat, ""
        return TimeoutExpired(
            f"No data arrived on the stream for {seconds} s{beat}{why}. A proxy may buffer it, or the server "
            f"hangs. Raise Timeouts({setting}=) if the app may be silent for that long.",
            setting=setting,
            seconds=seconds,
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
        Ending.LOCAL: "was closed by the client",
    }.get(closed.ending, closed.ending.value)
    code = f" with close code {closed.code}" if closed.code is not None else ""
    return StreamLost(
        f"The stream {how}{code}{why} before the call was complete. Gradio cannot resume it; submit the "
        f"call again if the function may run twice.",
        phase=Phase.STREAM,
        may_have_run=may_have_run,
    )
