# SPDX-License-Identifier: Apache-2.0
"""The simple API ``/call`` (4.20+) and ``/call/v2`` (6.13+): often used with curl (docs/wire.md §6).

It is a queue that reports little: no place in the queue, no progress, no logs, and up to 6.12 no error text.
So it is never chosen automatically; it is for programs that need this API, and for comparison.
"""

from __future__ import annotations

from typing import Any, cast

from gradio_transport.adapter import (
    Achieved,
    Adapter,
    AppConfig,
    AppError,
    Cancelled,
    Capabilities,
    Endpoint,
    Event,
    Exchange,
    Failed,
    GradioTransportError,
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
    ProcessCompleted,
    ProcessGenerating,
    Request,
    Response,
    SendRequest,
    ServerSentEvent,
    Session,
    SessionContext,
    SessionNotFound,
    State,
    StreamLost,
    Turn,
    UnknownMessage,
    UnsupportedProtocol,
    app_error,
    decode_json,
    event_id_of,
    excerpt,
    percent_encode,
    refusal,
)

from ._reply import has_state


class CallExchange(Exchange):
    """One call: a POST that returns its id, and a GET that returns its values."""

    route = "call"

    def start(self, now: float) -> Output:
        """Join, unless another process did."""
        if self.invocation.event_id is not None:
            self.event_id = self.invocation.event_id
            return Output([Joined(event_id=self.event_id)], [self._stream()] if self.fetched else [])
        url = self.context.urls.named(self.route, self._name)
        return Output(
            commands=[SendRequest(self.channel("join"), Request.post_json(url, self.body()), Phase.JOIN)]
        )

    @property
    def _name(self) -> str:
        return self.invocation.endpoint.name or ""

    @property
    def shares_session(self) -> bool:
        """Whether the call belongs to the session: only if State needs it.

        Before 6.18 its stream cannot be found then. From 6.18 on it is found, but has the messages of all
        calls of the session, without their ids. Without a hash, each call has its own session.
        """
        return self.context.config.at_least(6, 18) and has_state(self.invocation.endpoint)

    @property
    def _has_cancel_route(self) -> bool:
        return self.context.config.at_least(4, 31)

    def body(self) -> dict[str, Any]:
        """Return the JSON of the join; State inputs are sent as null, which every version accepts."""
        body: dict[str, Any] = {"data": list(self.invocation.data)}
        if self.shares_session:
            body["session_hash"] = self.context.session_hash
        return body | self._oauth_token()

    def _oauth_token(self) -> dict[str, str]:
        token = self.invocation.oauth_token
        return {} if token is None else {"oauth_token": token}

    def reply(
        self, command: SendRequest | OpenStream | OpenWebSocket, response: Response, now: float
    ) -> Output:
        """Process the reply to the join, or the refusal of the stream. The reply to a cancel is ignored."""
        if command.phase is Phase.CANCEL:
            return Output()
        if isinstance(command, OpenStream) or response.status != 200:
            return Output([Failed(event_id=self.event_id, error=refusal(response, command.phase))])
        try:
            event_id = event_id_of(response.json())
        except ValueError:
            event_id = None
        if event_id is None:
            return Output([Failed(error=self._no_event_id_end(response))])
        self.event_id = event_id
        return Output([Joined(event_id=event_id)], [self._stream()] if self.fetched else [])

    def _stream(self) -> OpenStream:
        # The path's name is not checked, and this route serves both versions of the API.
        url = f"{self.context.urls.named('call', self._name)}/{percent_encode(self.event_id or '')}"
        return OpenStream(self.channel("stream"), Request.get(url, accept="text/event-stream"), joined=True)

    def fetch(self, now: float) -> Output:
        """Open the stream. Before the join's reply, that reply will open it."""
        return Output(commands=[self._stream()] if self.event_id is not None else [])

    def _no_event_id_end(self, response: Response) -> MalformedMessage:
        return MalformedMessage(
            f"The reply to the call has no event_id: {excerpt(response.body)!r}.",
            phase=Phase.JOIN,
            status=response.status,
        )

    def server_sent_event(self, event: ServerSentEvent, now: float) -> Output:
        """Process one event: its name is the kind, its data are the plain values."""
        try:
            value = decode_json(event.data, self.context.limits.max_json_depth)
        except ValueError as error:
            return Output([self.malformed_message(event.data, str(error))])
        raw = {"event": event.event, "data": value}
        match event.event:
            case "heartbeat":
                return Output([Heartbeat(event_id=self.event_id, raw=raw)])
            case "generating" if isinstance(value, list):
                data = cast("list[object]", value)
                return Output([ProcessGenerating(event_id=self.event_id, raw=raw, data=data)])
            case "complete" if isinstance(value, list):
                result = cast("list[object]", value)
                return Output([ProcessCompleted(event_id=self.event_id, raw=raw, data=result)])
            case "complete" if value is None and self._has_cancel_route:  # it was cancelled
                return Output([Cancelled(event_id=self.event_id, raw=raw, achieved=Achieved.STOPPING)])
            case "error":
                return Output([self._error(value, raw)])
            case "generating" | "complete":
                return Output([self.malformed_message(event.data, "not a list of outputs")])
            case other:
                return Output([UnknownMessage(event_id=self.event_id, raw=raw, msg=other[:100])])

    def _error(self, value: Any, raw: dict[str, Any]) -> Event:
        """Distinguish the app's error (an object, or null) from that of the stream (a text)."""
        if isinstance(value, str):
            kind = SessionNotFound if value.startswith("404: ") else StreamLost
            error = kind(
                f"The server abandoned the call: {excerpt(value)}", phase=Phase.STREAM, may_have_run=True
            )
            return Failed(event_id=self.event_id, raw=raw, error=error)
        if isinstance(value, dict):
            app = app_error(cast("dict[str, Any]", value), quoted=False)
        elif self.context.config.at_least(6, 13):
            app = app_error({"error": None}, quoted=False)
        else:
            app = AppError(
                "The app's function raised an error. The /call API loses its text before Gradio 6.13. Use "
                "protocol='auto' to see it.",
                hidden=True,
                phase=Phase.COMPLETE,
            )
        return ProcessCompleted(event_id=self.event_id, raw=raw, success=False, error=app)

    def cancel(self, now: float, *, siblings: bool = False) -> Output:
        """Cancel by ``/cancel`` (4.31+), before that by ``/reset``, and close the stream.

        ``/cancel`` also kills the siblings of a call (docs/wire.md §8), but here none shares a session.
        """
        if self.event_id is None:
            return Output([Cancelled(achieved=Achieved.UNKNOWN)])
        endpoint = self.invocation.endpoint
        body: dict[str, Any] = {"event_id": self.event_id}
        if self._has_cancel_route:
            own = self.context.session_hash if self.shares_session else self.event_id
            body |= {"session_hash": own, "fn_index": endpoint.fn_index}
        request = Request.post_json(
            self.context.urls.api("cancel" if self._has_cancel_route else "reset"), body
        )
        # This API does not distinguish a queued call from a running one, so the effect on a plain function is
        # unknown.
        achieved = Achieved.UNKNOWN if endpoint.generator is False else Achieved.STOPPING
        return Output(
            [Cancelled(event_id=self.event_id, achieved=achieved)],
            [SendRequest(self.channel("cancel"), request, Phase.CANCEL)],
        )


class NamedCallExchange(CallExchange):
    """A call with named arguments, in its own session."""

    route = "call/v2"

    @property
    def shares_session(self) -> bool:
        """Never, because the body has no session hash."""
        return False

    def body(self) -> dict[str, Any]:
        """Return the arguments by name; the server fills skipped inputs in."""
        endpoint = self.invocation.endpoint
        values = list(self.invocation.data)
        if len(values) == len(endpoint.inputs):
            values = [value for value, slot in zip(values, endpoint.inputs, strict=True) if not slot.skipped]
        names = [parameter.name for parameter in endpoint.parameters]
        return {**dict(zip(names, values, strict=False)), **self._oauth_token()}


class CallSession(Session):
    """Calls that keep State in one session, one at a time, because their messages cannot be distinguished."""

    def __init__(self, context: SessionContext, exchange: type[Exchange]) -> None:
        super().__init__(context, exchange)
        self._given_up = False

    @property
    def usable(self) -> bool:
        """False after a call was abandoned: its late messages would look like those of the next call."""
        return not self._given_up

    def start(self, exchange: Exchange, now: float) -> Turn:
        """Start a call, unless its messages would mix with another's."""
        if _shares_session_hash(exchange) and any(
            other is not exchange and _shares_session_hash(other) for other in self.active
        ):
            error = LocalProtocolError(
                "A call of an endpoint with State is in progress in this session, and /call cannot "
                "distinguish two of them. Wait for it, use another session, or use protocol='auto'.",
                phase=Phase.JOIN,
            )
            return super().abandon(exchange, error)
        return super().start(exchange, now)

    def cancel(self, exchange: Exchange, now: float) -> Turn:
        """Cancel a call."""
        self._given_up = self._given_up or _shares_session_hash(exchange)
        return super().cancel(exchange, now)

    def abandon(
        self, exchange: Exchange, error: GradioTransportError, *, tell_at: float | None = None
    ) -> Turn:
        """End a call with an error of the client."""
        self._given_up = self._given_up or _shares_session_hash(exchange)
        return super().abandon(exchange, error, tell_at=tell_at)

    def exchange_ended(self, exchange: Exchange) -> None:
        """Remember that a call ended before its completion was read."""
        if exchange.state is State.FAILED and exchange.event_id is not None:
            self._given_up = self._given_up or _shares_session_hash(exchange)


def _shares_session_hash(exchange: Exchange) -> bool:
    return cast("CallExchange", exchange).shares_session


class CallV1(Adapter):
    """``/call/{name}``."""

    name = "call"
    exchange = CallExchange
    since: tuple[int, ...] = (4, 20)

    def match(self, config: AppConfig, endpoint: Endpoint) -> Match:
        """Match named endpoints, with a lower score than every queue, because this API reports less."""
        why = self._why_impossible(config, endpoint)
        if why:
            return Match(0, why)
        return Match(5, "the endpoint has a name; the queue reports more than this API")

    def _why_impossible(self, config: AppConfig, endpoint: Endpoint) -> str:
        if not config.at_least(*self.since):
            return f"only Gradio {'.'.join(map(str, self.since))} and later have this API"
        if endpoint.name is None:
            return "the API calls endpoints by name, and this one has none"
        if endpoint.visibility == "private":
            return "the API refuses private endpoints"
        if "/" in endpoint.name.strip("/"):
            return "the API does not support a name with a slash"
        return ""

    def capabilities(self, config: AppConfig) -> Capabilities:
        """Return the few capabilities of the API."""
        return Capabilities(
            generators=True,
            late_attach=True,
            files=True,
            oauth_token=config.at_least(6, 21),
            cancel=Achieved.STOPPING,
        )

    def session(self, context: SessionContext) -> Session:
        """Return a session that separates calls with State."""
        return CallSession(context, self.exchange)

    def check(self, config: AppConfig, invocation: Invocation) -> None:
        """Reject what the API does not support."""
        why = self._why_impossible(config, invocation.endpoint)
        if not why and invocation.event_data is not None:
            why = "the API does not support event_data"
        if not why and invocation.oauth_token is not None and not config.at_least(6, 21):
            why = "it does not support oauth_token before Gradio 6.21"
        if why:
            raise UnsupportedProtocol(
                f"{self.name} cannot call {invocation.endpoint.display_name}: {why}. Use protocol='auto'.",
                phase=Phase.JOIN,
                adapter=self.name,
            )


class CallV2(CallV1):
    """``/call/v2/{name}``, with named arguments."""

    name = "call_v2"
    exchange = NamedCallExchange
    since = (6, 13)


__all__ = ["CallExchange", "CallV1", "CallV2", "NamedCallExchange"]
