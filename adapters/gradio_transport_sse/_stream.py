# SPDX-License-Identifier: Apache-2.0
"""Shared code of sse_v1 to sse_v3: join, messages, cancellation (docs/wire.md §5, §8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import attrs

from gradio_transport.adapter import (
    Achieved,
    Adapter,
    AppConfig,
    Cancelled,
    Capabilities,
    Command,
    DiffDecoder,
    Endpoint,
    Event,
    Exchange,
    Failed,
    GradioTransportError,
    Invocation,
    Joined,
    MalformedMessage,
    Match,
    OpenStream,
    OpenWebSocket,
    Output,
    Phase,
    QueueFull,
    QueueFullMessage,
    Request,
    Response,
    SendRequest,
    ServerRefused,
    ServerStopped,
    Session,
    SessionContext,
    SessionNotFound,
    SharedStreamSession,
    State,
    StreamLost,
    TransportError,
    UnexpectedError,
    decode,
    decode_generating,
    event_id_of,
    excerpt,
    refusal,
)


class StreamExchange(Exchange):
    """One call over ``POST /queue/join`` and the session's shared stream."""

    diffs: ClassVar[bool] = False
    """Whether later generating frames are edits of the first (sse_v2+)."""

    def __init__(self, context: SessionContext, invocation: Invocation, key: str) -> None:
        super().__init__(context, invocation, key)
        self._frames = DiffDecoder()
        self._sent = 0
        self._held: list[SendRequest] = []
        # gr.Error texts are Python reprs up to 5.1 (docs/wire.md §14.1).
        self._quoted_errors = not context.config.at_least(5, 2)

    def start(self, now: float) -> Output:
        """Join the queue, unless another process did."""
        if self.invocation.event_id is not None:
            self.event_id = self.invocation.event_id
            return Output([Joined(event_id=self.event_id)])
        request = Request.post_json(
            self.context.urls.api("queue/join"), join_body(self.context, self.invocation)
        )
        return Output(commands=[SendRequest(self.channel("join"), request, Phase.JOIN)])

    def reply(
        self, command: SendRequest | OpenStream | OpenWebSocket, response: Response, now: float
    ) -> Output:
        """Process the reply to the join. The reply to a cancel is ignored."""
        if command.phase is Phase.STREAM and response.status != 200 and not self.state.final:
            self.send_error = self._input_refused_error(response)
        if command.phase is not Phase.JOIN:
            return Output()
        if response.status != 200:
            return Output([Failed(error=self._refusal_error(response))])
        try:
            event_id = event_id_of(response.json())
        except ValueError:
            event_id = None
        if event_id is None:
            error = MalformedMessage(
                f"The reply to the join has no event_id: {excerpt(response.body)!r}.",
                phase=Phase.JOIN,
                status=response.status,
            )
            return Output([Failed(error=error)])
        self.event_id = event_id
        held, self._held = self._held, []
        return Output([Joined(event_id=event_id)], [self._address_to_event(command) for command in held])

    def _refusal_error(self, response: Response) -> GradioTransportError:
        # Only 4.9.0 sends this instead of 503 for a full queue (docs/wire.md §5.1).
        config = self.context.config
        if response.status == 500 and config.at_least(4, 9, 0) and not config.at_least(4, 9, 1):
            return QueueFull(
                "The server refused the join with an error 500: on Gradio 4.9.0 that is a full queue, or an "
                "endpoint that the app does not have.",
                phase=Phase.JOIN,
                status=500,
                body=excerpt(response.body),
            )
        return refusal(response, Phase.JOIN)

    def message(self, message: Mapping[str, Any], now: float) -> Output:
        """Process one message of this call."""
        if self.diffs and message.get("msg") == "process_generating":
            frame = decode_generating(message, self.event_id, self._frames.next)
            return Output([frame], held=self._frames.made_bytes, copies=self._frames.copies)
        event = decode(message, quoted_errors=self._quoted_errors, cancellable=self._has_cancel_route)
        return Output([event, *self._end_events(event)])

    def _end_events(self, event: Event) -> list[Event]:
        """Convert a message that ends the call to events."""
        if isinstance(event, UnexpectedError):
            kind = SessionNotFound if event.session_not_found else StreamLost
            error: GradioTransportError = kind(
                f"The server abandoned the call: {excerpt(event.message)}",
                phase=Phase.STREAM,
                may_have_run=True,
            )
        elif isinstance(event, ServerStopped):
            error = StreamLost("The server stopped.", phase=Phase.STREAM, may_have_run=True)
        elif isinstance(event, QueueFullMessage):
            error = QueueFull("The app's queue is full.", phase=Phase.JOIN)
        else:
            return []
        return [Failed(event_id=self.event_id, error=error)]

    def failed(
        self, command: SendRequest | OpenStream | OpenWebSocket, error: TransportError, now: float
    ) -> Output:
        """Process a request without a reply. One of further input does not end the call."""
        if command.phase is Phase.STREAM and isinstance(command, SendRequest):
            self.send_error = error
            return Output()
        return super().failed(command, error, now)

    def send(self, data: Sequence[Any], now: float) -> Output:
        """Send a chunk by ``POST /stream/{event_id}`` (5.0+, docs/wire.md §7)."""
        body = join_body(self.context, attrs.evolve(self.invocation, data=data))
        return self._send_input(Request.post_json("", body))

    def finish_input(self, now: float) -> Output:
        """End the input by ``POST /stream/{event_id}/close``."""
        return self._send_input(Request.post_json("/close", {}))

    def _send_input(self, request: Request) -> Output:
        if self.invocation.endpoint.connection != "stream" or not self.context.config.at_least(5, 0):
            raise self._no_streaming_input_error()
        self._sent += 1
        command = SendRequest(self.channel(f"send-{self._sent}"), request, Phase.STREAM)
        if self.event_id is None:  # the join is in flight; its reply has the id to send to
            self._held.append(command)
            return Output()
        return Output(commands=[self._address_to_event(command)])

    def _address_to_event(self, command: SendRequest) -> SendRequest:
        """Return a request for further input with the id from the join's reply."""
        url = self.context.urls.named("stream", cast("str", self.event_id)) + command.request.url
        return attrs.evolve(command, request=attrs.evolve(command.request, url=url))

    def _input_refused_error(self, response: Response) -> GradioTransportError:
        if response.status in (404, 500):  # 500 to 6.24
            return ServerRefused(
                "The server accepts no further input for this call: it is over, or its time limit is "
                "reached.",
                phase=Phase.STREAM,
                status=response.status,
                body=excerpt(response.body),
            )
        return refusal(response, Phase.STREAM)

    def cancel(self, now: float, *, siblings: bool = False) -> Output:
        """Cancel by ``/cancel`` (4.31+), before that by ``/reset`` (generators only)."""
        if self.event_id is None:
            # The join is in flight: its id is unknown, so no cancellation can be sent.
            return Output([Cancelled(achieved=Achieved.UNKNOWN)])
        achieved = self._cancel_effect(siblings=siblings)
        self.cancel_deferred = siblings and self._has_cancel_route
        commands = [] if self.cancel_deferred else self.cancel_commands()
        return Output([Cancelled(event_id=self.event_id, achieved=achieved)], commands)

    def cancel_commands(self) -> list[Command]:
        """Return the request that sends the cancellation to the server."""
        return [self._cancel_command()]

    @property
    def _has_cancel_route(self) -> bool:
        return self.context.config.at_least(4, 31)

    def _cancel_effect(self, *, siblings: bool) -> Achieved:
        if siblings and self._has_cancel_route:
            # /cancel would kill the siblings instead (docs/wire.md §8), so this call runs until then.
            return Achieved.RUNS_ON
        late = self.invocation.late or self.invocation.event_id is not None
        if late and isinstance(
            self.last_event, Joined
        ):  # it may wait, run or be over: its stream was not read
            return Achieved.UNKNOWN
        if self.state is State.RUNNING:
            return Achieved.RUNS_ON if self.invocation.endpoint.generator is False else Achieved.STOPPING
        # Before 6.14 a queued call without running siblings still runs (docs/wire.md §8).
        return Achieved.DEQUEUED if self.context.config.at_least(6, 14) else Achieved.RUNS_ON

    def _cancel_command(self) -> SendRequest:
        body: dict[str, Any] = {"event_id": self.event_id}
        path = "reset"
        if self._has_cancel_route:
            path = "cancel"
            body |= {
                "session_hash": self.context.session_hash,
                "fn_index": self.invocation.endpoint.fn_index,
            }
        request = Request.post_json(self.context.urls.api(path), body)
        return SendRequest(self.channel("cancel"), request, Phase.CANCEL)


def join_body(context: SessionContext, invocation: Invocation) -> dict[str, Any]:
    """Return the JSON of a join."""
    body: dict[str, Any] = {
        "data": list(invocation.data),
        "fn_index": invocation.endpoint.fn_index,
        "session_hash": context.session_hash,
    }
    if invocation.event_data is not None:
        body["event_data"] = invocation.event_data
    if invocation.trigger_id is not None:
        body["trigger_id"] = invocation.trigger_id
    if invocation.oauth_token is not None:
        body["oauth_token"] = invocation.oauth_token
    return body


def another_protocol(config: AppConfig) -> str:
    """Return the reason why an adapter does not match the protocol of a server."""
    if config.protocol is None:
        return "the server names no protocol, as all before 4.0"
    return f"the server says protocol {config.protocol!r}"


class StreamAdapter(Adapter):
    """Base of sse_v1 to sse_v3."""

    exchange = StreamExchange
    diffs: ClassVar[bool] = False
    """Whether later generating frames are edits."""

    def match(self, config: AppConfig, endpoint: Endpoint) -> Match:
        """Match the protocol that the server names."""
        if config.protocol == self.name:
            return Match(100, f"the server says protocol {self.name!r}")
        return Match(0, another_protocol(config))

    def capabilities(self, config: AppConfig) -> Capabilities:
        """Return the capabilities of the queue of 4.9+."""
        return Capabilities(
            generators=True,
            progress=True,
            logs=True,
            queue_position=True,
            late_attach=True,
            diffs=self.diffs,
            files=True,
            event_data=True,
            streaming_input=config.at_least(5, 0),
            oauth_token=config.at_least(6, 21),
            cancel=Achieved.STOPPING,
        )

    def session(self, context: SessionContext) -> Session:
        """Return a session with one shared stream."""
        return SharedStreamSession(context, self.exchange)


__all__ = ["StreamAdapter", "StreamExchange", "another_protocol", "join_body"]
