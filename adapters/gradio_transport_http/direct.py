# SPDX-License-Identifier: Apache-2.0
"""Direct HTTP: one POST, one reply (atlas §2.1, §2.3). For endpoints that do not go through the queue."""

from __future__ import annotations

from typing import Any, cast

from gradio_transport.adapter import Adapter, Capabilities, Exchange, Match, Output
from gradio_transport.commands import OpenStream, OpenWebSocket, Request, Response, SendRequest
from gradio_transport.config import AppConfig, Endpoint
from gradio_transport.errors import MalformedMessage, Phase, ServerRefused, excerpt
from gradio_transport.events import Failed, ProcessCompleted
from gradio_transport.messages import from_output
from gradio_transport.refusals import app_error, refusal


class DirectExchange(Exchange):
    """One call in one request."""

    def start(self, now: float) -> Output:
        """Send the call."""
        endpoint = self.invocation.endpoint
        urls = self.context.urls
        body: dict[str, Any] = {
            "data": list(self.invocation.data),
            "fn_index": endpoint.fn_index,
            "session_hash": self.context.session_hash,
        }
        if self.invocation.event_data is not None:
            body["event_data"] = self.invocation.event_data
        if self.invocation.trigger_id is not None:
            body["trigger_id"] = self.invocation.trigger_id
        # With fn_index in the body the name in the path is ignored, so any name will do.
        url = urls.named("run", endpoint.name or "predict")
        return Output(commands=[SendRequest(self.channel("run"), Request.post_json(url, body), Phase.COMPLETE)])

    def reply(self, command: SendRequest | OpenStream | OpenWebSocket, response: Response, now: float) -> Output:
        """Take the result."""
        if response.status == 500:
            return Output([self._failure(response)])
        if response.status != 200:
            return Output([Failed(error=self._refused(response))])
        try:
            value = response.json()
            if not isinstance(value, dict):
                raise ValueError("no JSON object")
        except ValueError as error:
            return Output([self._not_json(response, error)])
        return Output([from_output(cast("dict[str, Any]", value))])

    def _failure(self, response: Response) -> ProcessCompleted | Failed:
        """Tell the app's own error (a JSON object) from a server that broke (text)."""
        try:
            value = response.json()
        except ValueError:
            value = None
        if isinstance(value, dict) and "error" in value:
            raw = cast("dict[str, Any]", value)
            error = app_error(raw, quoted=not self.context.config.at_least(5, 2))
            error.status = response.status
            return ProcessCompleted(raw=raw, success=False, error=error)
        refused = refusal(response, Phase.JOIN)
        refused.may_have_run = True
        return Failed(error=refused)

    def _refused(self, response: Response) -> Exception:
        # 401 (3.7 to 3.42) and 404 (3.43+) mean "join the queue" here, not what they say (atlas §2.3).
        if response.status == 404 and self.context.config.at_least(4, 0):
            return ServerRefused(
                f"{self.invocation.endpoint.display_name} does not accept direct calls on this server; leave "
                "protocol='auto', which joins the queue where that is needed.",
                phase=Phase.JOIN,
                status=404,
                body=excerpt(response.body),
            )
        return refusal(response, Phase.JOIN)

    def _not_json(self, response: Response, error: ValueError) -> Failed:
        return Failed(
            error=MalformedMessage(
                f"The reply is not JSON as Gradio writes it ({error}): {excerpt(response.body)!r}.",
                phase=Phase.COMPLETE,
                status=response.status,
                body=excerpt(response.body),
                may_have_run=True,
            )
        )


class Direct(Adapter):
    """Direct HTTP for endpoints with ``queue: false``."""

    name = "direct"
    exchange = DirectExchange

    def match(self, config: AppConfig, endpoint: Endpoint) -> Match:
        """Match endpoints outside the queue; queued generators cannot be had this way."""
        if not config.at_least(4, 0):
            return Match(0, "not yet for servers before 4.0")
        if endpoint.queue:
            return Match(10, "the endpoint is queued; direct HTTP may be closed for it")
        if endpoint.generator:
            return Match(20, "direct HTTP gives only the first value of a generator")
        return Match(120, "the endpoint has queue: false")

    def capabilities(self, config: AppConfig) -> Capabilities:
        """Return what a single request can do."""
        return Capabilities(files=True, event_data=config.at_least(3, 21))


