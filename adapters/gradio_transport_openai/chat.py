# SPDX-License-Identifier: Apache-2.0
"""OpenAI-compatible chat endpoints, such as those for ``gr.load_chat``.

One endpoint, ``/chat``, takes a message and a history in Gradio's forms. The answer is a stream of
server-sent events (``streaming=True``) or one reply. In both cases the events are those of any other call,
and the ``raw`` of the last one is the full completion, including ``usage``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import attrs

from gradio_transport.adapter import (
    Achieved,
    Adapter,
    AppConfig,
    Cancelled,
    Capabilities,
    Closed,
    DiscoveryContext,
    Ending,
    Endpoint,
    Event,
    EventTooLarge,
    Exchange,
    Failed,
    GradioTransportError,
    Handshake,
    Heartbeat,
    Invocation,
    Joined,
    LocalProtocolError,
    MalformedMessage,
    Match,
    OpenStream,
    OpenWebSocket,
    Output,
    Phase,
    ProcessGenerating,
    ProcessStarts,
    Request,
    Response,
    SendRequest,
    ServerSentEvent,
    Session,
    SessionContext,
    StreamLost,
    TimeoutExpired,
    UnknownMessage,
    UnsupportedProtocol,
    ValidationFailed,
    excerpt,
)

from . import _discovery
from ._answer import Answer
from ._errors import is_error, refusal_error, stream_error
from ._messages import build_messages
from ._settings import NAMES, ChatSettings, read_settings, settings_of

_DONE = "[DONE]"


class ChatExchange(Exchange):
    """One message and its answer."""

    def __init__(self, context: SessionContext, invocation: Invocation, key: str) -> None:
        super().__init__(context, invocation, key)
        self.asks_usage = True
        self._answer = Answer()
        self._received = 0

    @property
    def _settings(self) -> ChatSettings:
        settings = settings_of(self.context.config)
        if settings is None:
            raise UnsupportedProtocol(_UNDISCOVERED, phase=Phase.JOIN)
        return settings

    def start(self, now: float) -> Output:
        """Send the conversation, unless a file cannot be sent."""
        try:
            return Output(commands=[self._request()])
        except ValidationFailed as error:
            return Output([Failed(error=error)])

    def _request(self) -> SendRequest | OpenStream:
        url = self.context.urls.page("chat/completions")
        request = Request.post_json(url, self._body())
        if not self._settings.streaming:
            return SendRequest(self.channel("chat"), request, Phase.COMPLETE)
        request = attrs.evolve(request, headers={**request.headers, "accept": "text/event-stream"})
        # A model may think, or load, for minutes without output.
        return OpenStream(self.channel("chat"), request, heartbeats=False, or_whole=True)

    def _body(self) -> dict[str, Any]:
        settings = self._settings
        message, history = self.invocation.data
        body: dict[str, Any] = {
            "model": settings.model,
            "messages": build_messages(settings, message, history),
            "stream": settings.streaming,
        }
        if settings.streaming and self.asks_usage:
            body["stream_options"] = {"include_usage": True}
        return body

    def reply(
        self, command: SendRequest | OpenStream | OpenWebSocket, response: Response, now: float
    ) -> Output:
        """Process the answer in one piece, or a refusal."""
        if response.status == 200:
            return self._take_whole_reply(response)
        # Some servers refuse unknown fields, mostly this one, and name it then.
        if self.asks_usage and response.status in (400, 422) and "stream_options" in response.text:
            self.asks_usage = False
            return Output(commands=[self._request()])
        return Output([Failed(error=refusal_error(response, command.phase, model=self._settings.model))])

    def _take_whole_reply(self, response: Response) -> Output:
        """Process a completion that was not streamed, requested or not."""
        try:
            reply = response.json(self.context.limits.max_json_depth)
            if not isinstance(reply, dict):
                raise ValueError("not a JSON object")
            if is_error(cast("dict[str, Any]", reply)):
                return Output([self._fail(cast("dict[str, Any]", reply))])
            self._answer.take(cast("dict[str, Any]", reply))
        except ValueError as error:
            kind = response.headers.get("content-type", "no content type")
            malformed_message = MalformedMessage(
                f"The reply is not a chat completion ({error}; {kind}): {excerpt(response.body)!r}.",
                phase=Phase.COMPLETE,
                status=response.status,
                body=excerpt(response.body),
            )
            return Output([Failed(error=malformed_message)])
        return Output([self._joined_events(), *self._answer.end_events()])

    def _joined_events(self) -> Joined:
        self.event_id = self._answer.id
        return Joined(event_id=self.event_id)

    def server_sent_event(self, event: ServerSentEvent, now: float) -> Output:
        """Process one event of the stream: a chunk, the end marker, or a keep-alive."""
        self._received += len(event.data)
        if self._received > self.context.limits.max_response_bytes:
            return Output([Failed(event_id=self.event_id, error=self._too_large_error())])
        data = event.data.strip()
        if data == _DONE:
            return Output(self._answer.end_events())
        if not data or event.event == "ping":
            return Output([Heartbeat(event_id=self.event_id)])
        return self._decode_and_take(data, now)

    def message(self, message: Mapping[str, Any], now: float) -> Output:
        """Process a chunk, or an error in its place."""
        if is_error(message):
            return Output([self._fail(message)])
        first = not self._answer.begun
        before = self._answer.text
        try:
            news = self._answer.add(message)
        except ValueError as error:
            return Output([self.malformed_message(excerpt(message), str(error))])
        events: list[Event] = []
        if first:
            events += [self._joined_events(), ProcessStarts(event_id=self.event_id, raw=message)]
        if self._answer.text != before:
            text = self._answer.text
            events.append(ProcessGenerating(event_id=self.event_id, raw=message, data=[text]))
        elif news:
            events.append(UnknownMessage(event_id=self.event_id, raw=message, msg=news[0][:100]))
        return Output(events, held=len(self._answer.text))

    def _fail(self, message: Mapping[str, Any]) -> Failed:
        return Failed(
            event_id=self.event_id, raw=message, error=stream_error(message, model=self._settings.model)
        )

    def _too_large_error(self) -> EventTooLarge:
        return EventTooLarge(
            f"The answer is larger than {self.context.limits.max_response_bytes:,} bytes, the limit. "
            "Raise Limits(max_response_bytes=) if you expect that.",
            phase=Phase.STREAM,
            may_have_run=True,
        )

    def stream_closed(self, channel: str, closed: Closed, now: float) -> Output:
        """Process the end of the stream.

        ``[DONE]`` may be missing, because some servers omit it after the finish reason.
        """
        if self._answer.finished and closed.ending is not Ending.LOCAL:
            return Output(self._answer.end_events())
        return super().stream_closed(channel, closed, now)

    def lost_error(self, closed: Closed) -> GradioTransportError:
        """Return the error for an answer that was cut off."""
        if closed.ending is Ending.IDLE:
            return self._timeout_error()
        how = "ended" if closed.ending is Ending.CLEAN else "was cut off"
        why = f" ({closed.reason})" if closed.reason else ""
        return StreamLost(
            f"The stream {how}{why} before the answer was complete: {len(self._answer.text)} characters had "
            f"arrived, but neither a finish reason nor [DONE]. It cannot be resumed; send the message again.",
            phase=Phase.STREAM,
            may_have_run=True,
        )

    def _timeout_error(self) -> TimeoutExpired:
        timeouts = self.context.timeouts
        bounds = {"no_heartbeat": timeouts.without_heartbeat, "total": timeouts.total}
        setting = "no_heartbeat" if timeouts.total is None else "total"
        return TimeoutExpired(
            "The answer was not complete in time, and no more data arrived. Timeouts(total=) bounds a whole "
            "call; without it Timeouts(no_heartbeat=) bounds the silence of the stream.",
            setting=setting,
            seconds=bounds[setting],
            phase=Phase.STREAM,
            may_have_run=True,
        )

    def cancel(self, now: float, *, siblings: bool = False) -> Output:
        """Close the stream. Most servers stop then, but none confirms it."""
        achieved = Achieved.UNKNOWN if self._settings.streaming else Achieved.RUNS_ON
        return Output([Cancelled(event_id=self.event_id, achieved=achieved)])


class ChatSession(Session):
    """The calls of one session; they only share knowledge about the server."""

    _usage_refused = False

    def open(self, invocation: Invocation) -> Exchange:
        """Return a new call, which does not request what the server has refused before."""
        exchange = cast("ChatExchange", super().open(invocation))
        exchange.asks_usage = not self._usage_refused
        return exchange

    def exchange_ended(self, exchange: Exchange) -> None:
        """Remember whether the server accepted the request for the usage."""
        self._usage_refused = self._usage_refused or not cast("ChatExchange", exchange).asks_usage


_UNDISCOVERED = (
    "Name openai_chat when connecting: connect(url, protocol='openai_chat'). It cannot call a Gradio app."
)


class OpenAIChat(Adapter):
    """OpenAI-compatible chat endpoints (``/chat/completions``)."""

    name = _discovery.NAME
    exchange = ChatExchange
    settings = NAMES

    def discover(self, context: DiscoveryContext) -> Handshake:
        """Find the model."""
        if context.auth is not None:
            raise LocalProtocolError(
                "auth= is the login of a Gradio app. For a chat endpoint pass the key as token=.",
                phase=Phase.DISCOVER,
            )
        return _discovery.discover(context, read_settings(context.settings))

    def match(self, config: AppConfig, endpoint: Endpoint) -> Match:
        """Match only what the adapter's own discovery has found."""
        if settings_of(config) is None:
            return Match(0, "only for servers connected with protocol='openai_chat'")
        return Match(100, "the endpoint is a chat")

    def capabilities(self, config: AppConfig) -> Capabilities:
        """Return the capabilities of a chat."""
        settings = settings_of(config) or ChatSettings()
        return Capabilities(
            generators=settings.streaming, files=bool(settings.file_types), cancel=Achieved.UNKNOWN
        )

    def session(self, context: SessionContext) -> Session:
        """Return a new session."""
        return ChatSession(context, self.exchange)

    def check(self, config: AppConfig, invocation: Invocation) -> None:
        """Reject what cannot be sent, before anything is sent.

        Raises:
            UnsupportedProtocol: The app is not a chat endpoint, or there are event data.
            ValidationFailed: The message or the history is not in a form of Gradio, or a file is rejected.
        """
        settings = settings_of(config)
        if settings is None or (invocation.event_data, invocation.oauth_token) != (None, None):
            refused = "A chat endpoint does not support event_data or oauth_token."
            why = _UNDISCOVERED if settings is None else refused
            raise UnsupportedProtocol(why, phase=Phase.JOIN, adapter=self.name)
        message, history = invocation.data
        build_messages(settings, message, history, placed=False)


__all__ = ["ChatExchange", "ChatSession", "ChatSettings", "OpenAIChat"]
