# SPDX-License-Identifier: Apache-2.0
"""The protocol `shout`: one request, and a stream of server-sent events for its reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradio_transport.adapter import (
    Achieved,
    Adapter,
    AppConfig,
    AppError,
    Cancelled,
    Capabilities,
    Endpoint,
    Exchange,
    Failed,
    Joined,
    Match,
    OpenStream,
    OpenWebSocket,
    Output,
    Phase,
    ProcessCompleted,
    ProcessGenerating,
    ProcessStarts,
    Request,
    Response,
    SendRequest,
    UnknownMessage,
    percent_encode,
    refusal,
)


class ShoutExchange(Exchange):
    """One call: is fed replies and messages, and answers with events and commands."""

    def start(self, now: float) -> Output:
        """Send the arguments. The reply is the stream of the call."""
        body = {"fn_index": self.invocation.endpoint.fn_index, "data": list(self.invocation.data)}
        request = Request.post_json(self.context.urls.api("shout"), body)
        return Output(commands=[OpenStream(self.channel("shout"), request, Phase.STREAM, heartbeats=False)])

    def reply(
        self, command: SendRequest | OpenStream | OpenWebSocket, response: Response, now: float
    ) -> Output:
        """Take a reply that is no stream: the server refused the call."""
        return Output([Failed(error=refusal(response, command.phase))])

    def message(self, message: Mapping[str, Any], now: float) -> Output:
        """Take one message of the stream; `Exchange` has decoded it."""
        match message:
            case {"kind": "accepted", "id": str(event_id)}:
                self.event_id = event_id
                return Output([Joined(event_id=event_id), ProcessStarts(event_id=event_id, raw=message)])
            case {"kind": "word", "text": str(text)}:
                return Output([ProcessGenerating(event_id=self.event_id, raw=message, data=[text])])
            case {"kind": "done", "text": str(text)}:
                return Output([ProcessCompleted(event_id=self.event_id, raw=message, data=[text])])
            case {"kind": "error", "text": str(text)}:
                error = AppError(text, phase=Phase.COMPLETE)
                return Output(
                    [ProcessCompleted(event_id=self.event_id, raw=message, success=False, error=error)]
                )
            case _:
                # A server of a later version may say more; nothing that is unknown ends a call.
                kind = str(message.get("kind"))
                return Output([UnknownMessage(event_id=self.event_id, raw=message, msg=kind)])

    def cancel(self, now: float, *, siblings: bool = False) -> Output:
        """Stop waiting at once, and tell the server if it has named the call."""
        if self.event_id is None:
            return Output([Cancelled(achieved=Achieved.UNKNOWN)])
        url = self.context.urls.api(f"shout/{percent_encode(self.event_id)}")
        request = SendRequest(self.channel("cancel"), Request("DELETE", url), Phase.CANCEL, idempotent=True)
        return Output([Cancelled(event_id=self.event_id, achieved=Achieved.STOPPING)], [request])


class Shout(Adapter):
    """Servers that shout."""

    name = "shout"
    exchange = ShoutExchange

    def match(self, config: AppConfig, endpoint: Endpoint) -> Match:
        """Match apps whose config says so."""
        if config.protocol == self.name:
            return Match(100, "the config says protocol 'shout'")
        return Match(0, "the config does not say protocol 'shout'")

    def capabilities(self, config: AppConfig) -> Capabilities:
        """Return what the protocol can do."""
        return Capabilities(generators=True, cancel=Achieved.STOPPING)


__all__ = ["Shout", "ShoutExchange"]
