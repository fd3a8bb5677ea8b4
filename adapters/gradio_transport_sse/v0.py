# SPDX-License-Identifier: Apache-2.0
"""sse (Gradio 4.0.0 to 4.8.0): the join itself is the stream, one for each call (docs/wire.md §4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from gradio_transport.adapter import (
    Achieved,
    Adapter,
    AppConfig,
    Cancelled,
    Capabilities,
    Closed,
    Ending,
    Endpoint,
    Estimation,
    Event,
    Exchange,
    Failed,
    GradioTransportError,
    Invocation,
    Joined,
    Match,
    OpenStream,
    OpenWebSocket,
    Output,
    Phase,
    QueueFull,
    QueueFullMessage,
    Request,
    Response,
    SendData,
    SendRequest,
    ServerRefused,
    SessionContext,
    State,
    StreamLost,
    decode,
    excerpt,
    refusal,
)

from ._stream import another_protocol


class JoinStreamExchange(Exchange):
    """One call over its own stream; the data follow on the server's request."""

    def __init__(self, context: SessionContext, invocation: Invocation, key: str) -> None:
        super().__init__(context, invocation, key)
        self._data_sent = False

    @property
    def accepted(self) -> bool:
        """Whether the function may have started: never before its data were sent."""
        return self._data_sent

    def start(self, now: float) -> Output:
        """Open the stream, which joins the queue. Every such GET is a new call, so it is never repeated."""
        query = urlencode(
            {"fn_index": self.invocation.endpoint.fn_index, "session_hash": self.context.session_hash}
        )
        request = Request.get(self.context.urls.api(f"queue/join?{query}"), accept="text/event-stream")
        # 4.0.0 to 4.3.0 send at most one heartbeat per stream, so silence means nothing there.
        beats = self.context.config.at_least(4, 4)
        return Output(commands=[OpenStream(self.channel("stream"), request, heartbeats=beats)])

    def reply(
        self, command: SendRequest | OpenStream | OpenWebSocket, response: Response, now: float
    ) -> Output:
        """Process the refusal of the stream, or the reply to the data (``null``)."""
        if isinstance(command, SendRequest) and response.status == 200:
            return Output()
        if isinstance(command, SendRequest) and response.status == 500:
            # Either the call was dropped because the data were late, or the server failed on them.
            error: GradioTransportError = ServerRefused(
                "The server did not accept the data (HTTP 500): it drops a call whose data do not arrive "
                "within 5 s of its request.",
                phase=Phase.JOIN,
                status=500,
                body=excerpt(response.body),
            )
        else:
            error = refusal(response, Phase.JOIN)
        return Output([Failed(event_id=self.event_id, error=error)])

    def message(self, message: Mapping[str, Any], now: float) -> Output:
        """Process one message of this call."""
        event = decode(message, quoted_errors=True)
        events: list[Event] = [event]
        if self.state is State.JOINING and isinstance(event, Estimation | SendData):
            events.insert(0, Joined())
        if isinstance(event, SendData):
            self.event_id = event.event_id
            return Output(events, [self._data_request(message.get("event_id"))])
        if isinstance(event, QueueFullMessage):
            events.append(Failed(error=QueueFull("The app's queue is full.", phase=Phase.JOIN)))
        return Output(events)

    def _data_request(self, event_id: Any) -> SendRequest:
        """Return the request with the data; the server waits 5 s for it."""
        self._data_sent = True
        body: dict[str, Any] = {
            "data": list(self.invocation.data),
            "fn_index": self.invocation.endpoint.fn_index,
            "session_hash": self.context.session_hash,
            "event_id": event_id,
        }
        if self.invocation.event_data is not None:
            body["event_data"] = self.invocation.event_data
        if self.invocation.trigger_id is not None:
            body["trigger_id"] = self.invocation.trigger_id
        request = Request.post_json(self.context.urls.api("queue/data"), body)
        return SendRequest(self.channel("data"), request, Phase.JOIN)

    def lost_error(self, closed: Closed) -> GradioTransportError:
        """Return the error for a stream that ended before the call was complete."""
        if closed.ending is not Ending.CLEAN:
            return super().lost_error(closed)
        if self._data_sent and self.state is not State.RUNNING:
            why = "the data arrived later than 5 s after its request, or it stopped"
        else:
            why = "another event of the app cancelled the call (cancels=), or the server stopped"
        return StreamLost(
            f"The server ended the stream without a result: {why}.",
            phase=Phase.STREAM,
            may_have_run=self.accepted,
        )

    def cancel(self, now: float, *, siblings: bool = False) -> Output:
        """Close the stream. That dequeues the call, or stops its generator after the current step.

        ``/reset`` has no further effect, and none for a plain function (docs/wire.md §8).
        """
        if self.state is State.JOINING:
            achieved = Achieved.NOT_STARTED
        elif self.state is not State.RUNNING:
            achieved = Achieved.DEQUEUED
        else:
            plain = self.invocation.endpoint.generator is False
            achieved = Achieved.RUNS_ON if plain else Achieved.STOPPING
        return Output([Cancelled(event_id=self.event_id, achieved=achieved)])


class SSEv0(Adapter):
    """The first queue over server-sent events."""

    name = "sse"
    exchange = JoinStreamExchange

    def match(self, config: AppConfig, endpoint: Endpoint) -> Match:
        """Match the protocol that the server names."""
        if config.protocol == self.name:
            return Match(100, "the server says protocol 'sse'")
        return Match(0, another_protocol(config))

    def capabilities(self, config: AppConfig) -> Capabilities:
        """Return the capabilities of the queue of 4.0 to 4.8."""
        return Capabilities(
            generators=True,
            progress=True,
            logs=True,
            queue_position=True,
            files=True,
            event_data=True,
            cancel=Achieved.STOPPING,
        )


__all__ = ["JoinStreamExchange", "SSEv0"]
