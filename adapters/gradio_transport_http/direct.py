# SPDX-License-Identifier: Apache-2.0
"""Direct HTTP, 2.0 to now: one POST, one reply; for generators one POST for each yield (docs/wire.md §2)."""

from __future__ import annotations

from typing import Any

import attrs

from gradio_transport.adapter import (
    Achieved,
    Adapter,
    AppConfig,
    AppURLs,
    Cancelled,
    Capabilities,
    DiffDecoder,
    Endpoint,
    Exchange,
    Invocation,
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
    SessionContext,
    UnsupportedProtocol,
)

from ._reply import completion, has_state, json_object, not_json_end, refusal_end


class DirectExchange(Exchange):
    """One call in one request, or in one request per yield of its generator."""

    def __init__(self, context: SessionContext, invocation: Invocation, key: str) -> None:
        super().__init__(context, invocation, key)
        self._frames = DiffDecoder()
        self._yielded: ProcessGenerating | None = None

    def start(self, now: float) -> Output:
        """Send the call."""
        config, urls = self.context.config, self.context.urls
        url = direct_url(urls, config, self.invocation.endpoint)
        request = Request.post_json(url, self._body(config))
        return Output(commands=[SendRequest(self.channel("run"), request, Phase.COMPLETE)])

    def _body(self, config: AppConfig) -> dict[str, Any]:
        body: dict[str, Any] = {"data": list(self.invocation.data)}
        if config.at_least(2, 8, 8):
            body["session_hash"] = self._session_hash(config)
        if config.at_least(3, 0):
            # Up to 3.2 a missing fn_index means function 0, whatever the path says (docs/wire.md §2.3).
            body["fn_index"] = self.invocation.endpoint.fn_index
        if self.invocation.event_data is not None:
            body["event_data"] = self.invocation.event_data
        if self.invocation.trigger_id is not None and config.at_least(4, 3):
            body["trigger_id"] = self.invocation.trigger_id
        if self._iterators_have_event_ids(config):
            body["event_id"] = f"{self.context.session_hash}-{self.key}"
        return body

    def _session_hash(self, config: AppConfig) -> str:
        """Return the session hash to send: a generator of 3.x without State gets its own.

        These servers keep one iterator for each session and function, so two runs in one session would take
        each other's values, and the next run would get the rest of an abandoned one (notes F1).
        """
        endpoint, own = self.invocation.endpoint, self.context.session_hash
        apart = config.at_least(3, 3) and not config.at_least(4, 0) and endpoint.generator is not False
        return f"{own}-{self.key}" if apart and not has_state(endpoint) else own

    def _iterators_have_event_ids(self, config: AppConfig) -> bool:
        """Return whether iterators are kept by event id: 4.0 to 6.26 (6.27+ always start over)."""
        if not config.at_least(4, 0) or config.at_least(6, 27):
            return False
        # Async generators are not flagged before 4.2.
        return self.invocation.endpoint.generator is not False or not config.at_least(4, 2)

    def reply(
        self, command: SendRequest | OpenStream | OpenWebSocket, response: Response, now: float
    ) -> Output:
        """Process the result, or one yield of it."""
        if response.status != 200:
            return Output([refusal_end(response, self.invocation.endpoint, self.context.config)])
        try:
            raw = json_object(response.body, self.context.limits.max_json_depth)
        except ValueError as error:
            return Output([not_json_end(response, error)])
        event = completion(raw)
        if not event.success:
            return Output([event])
        if raw.get("is_generating") is True and continues_generators(self.context.config):
            return self._take_yield(event, command)
        return Output([self._complete_last(event)])

    def _take_yield(
        self, event: ProcessCompleted, command: SendRequest | OpenStream | OpenWebSocket
    ) -> Output:
        """Deliver a yield and request the next one."""
        data = self._frames.next(event.data) if self.context.config.at_least(4, 17) else event.data
        self._yielded = ProcessGenerating(
            raw=event.raw, data=data, duration=event.duration, render_config=event.render_config
        )
        return Output([self._yielded], [command])  # the same request gets the next one

    def _complete_last(self, event: ProcessCompleted) -> ProcessCompleted:
        """Complete the last reply of a generator, which up to 4.16 has only placeholders."""
        if self._yielded is None or self.context.config.at_least(4, 17):
            return event
        return attrs.evolve(event, data=list(self._yielded.data))

    def cancel(self, now: float, *, siblings: bool = False) -> Output:
        """Stop sending requests. A generator waits for the next request, so it stops after its current step.

        On 3.6 to 3.50 its iterator is dropped by ``/reset``, or the next run in the session would continue
        it; 4.0+ keep it by event id, which is not used again.
        """
        config, endpoint = self.context.config, self.invocation.endpoint
        if self._yielded is None and endpoint.generator is not True:
            return Output([Cancelled(achieved=Achieved.RUNS_ON)])
        event = Cancelled(achieved=Achieved.STOPPING)
        if config.at_least(4, 0) or not config.at_least(3, 6) or (siblings and has_state(endpoint)):
            return Output([event])
        body = {"session_hash": self._session_hash(config), "fn_index": endpoint.fn_index}
        request = Request.post_json(self.context.urls.api("reset"), body)
        return Output([event], [SendRequest(self.channel("reset"), request, Phase.CANCEL)])


def direct_url(urls: AppURLs, config: AppConfig, endpoint: Endpoint) -> str:
    """Return the URL of a direct call. With ``fn_index`` in the body any name works."""
    if not config.at_least(3, 0, 13):
        return urls.api("api/predict/")  # without the slash it redirects, and a redirected POST is lost
    name = (endpoint.name or "predict").strip("/")
    # A slash inside a name would be another route, even percent-encoded.
    return urls.named("run" if config.at_least(3, 9) else "api", "predict" if "/" in name else name)


def continues_generators(config: AppConfig) -> bool:
    """Return whether repeated requests get the next yields (3.3 to 6.26)."""
    return config.at_least(3, 3) and not config.at_least(6, 27)


class Direct(Adapter):
    """Direct HTTP, for endpoints outside the queue, and for apps from before the queue."""

    name = "direct"
    exchange = DirectExchange

    def match(self, config: AppConfig, endpoint: Endpoint) -> Match:
        """Match endpoints outside the queue. For queued ones the server may refuse it."""
        if endpoint.queue:
            return self._match_queued(config, endpoint)
        if endpoint.generator and not continues_generators(config):
            return Match(5, "direct HTTP returns only the first value of a generator here")
        if not endpoint.generator:
            return Match(120, "the endpoint does not go through a queue")
        if config.at_least(4, 0):
            return Match(20, "the endpoint has queue: false, but a generator is better joined in the queue")
        if not config.enable_queue:
            return Match(50, "the endpoint is a generator, which 3.x refuses while the app's queue is off")
        return Match(120, "the endpoint has queue: false; each value of its generator takes a request")

    def _match_queued(self, config: AppConfig, endpoint: Endpoint) -> Match:
        if not config.at_least(3, 0) and has_state(endpoint):
            return Match(10, "the app is queued, but only direct HTTP keeps the state of each session apart")
        return Match(
            10, "the endpoint is queued; direct HTTP bypasses the queue, and the server may refuse it"
        )

    def capabilities(self, config: AppConfig) -> Capabilities:
        """Return the capabilities of plain requests."""
        return Capabilities(
            generators=continues_generators(config),
            diffs=config.at_least(4, 17) and continues_generators(config),
            files=True,
            event_data=config.at_least(3, 21),
            cancel=Achieved.STOPPING if continues_generators(config) else Achieved.RUNS_ON,
        )

    def check(self, config: AppConfig, invocation: Invocation) -> None:
        """Reject generators if direct HTTP cannot get their second value."""
        super().check(config, invocation)
        if not invocation.endpoint.generator:
            return
        if not continues_generators(config):
            why = "returns only the first value of a generator; use protocol='auto'"
        elif not config.at_least(4, 0) and not config.enable_queue:
            why = "refuses generators while the app's queue is off (the app must call .queue())"
        else:
            return
        raise UnsupportedProtocol(
            f"{invocation.endpoint.display_name} is a generator: direct HTTP on Gradio {config.version} "
            f"{why}.",
            phase=Phase.JOIN,
            adapter=self.name,
        )


__all__ = ["Direct", "DirectExchange", "direct_url"]
