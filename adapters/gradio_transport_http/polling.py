# SPDX-License-Identifier: Apache-2.0
"""The polling queue of Gradio 2.2.10 to 3.1.4: push a call, then poll its status (docs/wire.md §2.2)."""

from __future__ import annotations

from typing import Any, cast

from gradio_transport.adapter import (
    Achieved,
    Adapter,
    AppConfig,
    Cancelled,
    Capabilities,
    Command,
    Endpoint,
    Estimation,
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
    ProcessStarts,
    Request,
    Response,
    SendRequest,
    ServerRefused,
    SessionContext,
    State,
    TransportError,
    UnsupportedProtocol,
    WakeAt,
    excerpt,
    refusal,
)

from ._reply import app_failure, completion, has_state, json_object, not_json_end

FIRST_POLL_SECONDS = 0.2
"""Short first delays: an idle worker needs up to a second to notice a call."""

POLL_SECONDS = 1.0
"""The delay of Gradio's own front ends of that time."""

FAILURES_IN_A_ROW = 3
"""The most polls without a reply: these servers drop a kept connection after every error (notes B8)."""


class PollingExchange(Exchange):
    """One call: a push, and polls until its result has been read."""

    def __init__(self, context: SessionContext, invocation: Invocation, key: str) -> None:
        super().__init__(context, invocation, key)
        self._hash = ""
        self._rank: int | None = None
        self._failures = 0

    def start(self, now: float) -> Output:
        """Push the call."""
        body: dict[str, Any] = {"action": "predict", "data": list(self.invocation.data)}
        if self.context.config.at_least(3, 0):
            body |= {
                "fn_index": self.invocation.endpoint.fn_index,
                "session_hash": self.context.session_hash,
            }
        request = Request.post_json(self.context.urls.api("api/queue/push/"), body)
        return Output(commands=[SendRequest(self.channel("push"), request, Phase.JOIN)])

    def reply(
        self, command: SendRequest | OpenStream | OpenWebSocket, response: Response, now: float
    ) -> Output:
        """Process the reply to the push or to a poll."""
        self._failures = 0
        pushed = command.phase is Phase.JOIN
        if response.status != 200:
            return Output([Failed(error=self._refusal_error(response, command.phase))])
        try:
            raw = json_object(response.body, self.context.limits.max_json_depth)
        except ValueError as error:
            return Output([not_json_end(response, error, command.phase)])
        return self._take_push_reply(raw, now) if pushed else self._take_status(raw, now)

    def _refusal_error(self, response: Response, phase: Phase) -> GradioTransportError:
        # These servers themselves only send 500, for a hash that they do not know (any more).
        if phase is not Phase.JOIN and response.status == 500:
            return self._job_lost_error(response)
        return refusal(response, phase)

    def _job_lost_error(self, response: Response) -> ServerRefused:
        return ServerRefused(
            "The server does not know the call any more: it restarted, or an earlier poll whose reply was "
            "lost consumed the result (a result can be read only once).",
            phase=Phase.STREAM,
            status=response.status,
            body=excerpt(response.body),
        )

    def _take_push_reply(self, raw: dict[str, Any], now: float) -> Output:
        name = raw.get("hash")
        if not isinstance(name, str) or not name:
            error = MalformedMessage(
                f"The reply to the push has no hash: {excerpt(raw)!r}.",
                phase=Phase.JOIN,
            )
            return Output([Failed(error=error)])
        self._hash = name
        events: list[Event] = [Joined(raw=raw), *self._estimate_rank(raw.get("queue_position"), raw)]
        return Output(events, [self._schedule_poll(now, FIRST_POLL_SECONDS)])

    def _estimate_rank(self, position: Any, raw: dict[str, Any]) -> list[Event]:
        """Return the place in the queue if it has changed; 2.3 counts from -1 on an idle queue."""
        if not isinstance(position, int) or isinstance(position, bool):
            return []
        rank = max(position, 0)
        if rank == self._rank or self.state is State.RUNNING:
            return []
        self._rank = rank
        return [Estimation(raw=raw, rank=rank)]

    def _schedule_poll(self, now: float, delay: float | None = None) -> Command:
        return WakeAt(self.channel("poll"), now + (POLL_SECONDS if delay is None else delay))

    def wake(self, now: float) -> Output:
        """Request the status."""
        request = Request.post_json(self.context.urls.api("api/queue/status/"), {"hash": self._hash})
        return Output(commands=[SendRequest(self.channel("status"), request, Phase.STREAM, idempotent=True)])

    def failed(
        self, command: SendRequest | OpenStream | OpenWebSocket, error: TransportError, now: float
    ) -> Output:
        """Process a request without a reply. A few polls may be lost."""
        self._failures += 1
        if command.phase is Phase.JOIN or self._failures > FAILURES_IN_A_ROW:
            return super().failed(command, error, now)
        return Output(commands=[self._schedule_poll(now)])

    def _take_status(self, raw: dict[str, Any], now: float) -> Output:
        data = raw.get("data")
        match raw.get("status"):
            case "QUEUED":
                return Output(self._estimate_rank(data, raw), [self._schedule_poll(now)])
            case "PENDING":
                starts: list[Event] = [] if self.state is State.RUNNING else [ProcessStarts(raw=raw)]
                return Output(starts, [self._schedule_poll(now)])
            case "NOT FOUND":  # taken from the queue but not registered as a job yet
                return Output(commands=[self._schedule_poll(now)])
            case "COMPLETE" if isinstance(data, dict):
                return Output([completion(cast("dict[str, Any]", data))])
            case "FAILED" if isinstance(data, str):
                return Output([self._failure(data)])
            case _:
                error = MalformedMessage(
                    f"The server sent an unknown status: {excerpt(raw)!r}.",
                    phase=Phase.STREAM,
                )
                return Output([Failed(error=error)])

    def _failure(self, text: str) -> Event:
        """Return the error of a failed call: the raw body of the queue's own request, JSON or not."""
        event = app_failure(text, self.context.config)
        if event is not None:
            return event
        error = ServerRefused(f"The queue's own call failed: {excerpt(text)}", phase=Phase.COMPLETE)
        return Failed(error=error)

    def cancel(self, now: float, *, siblings: bool = False) -> Output:
        """Stop polling. These servers cannot cancel a call."""
        achieved = Achieved.NOT_STARTED if self.state is State.JOINING else Achieved.RUNS_ON
        return Output([Cancelled(achieved=achieved if not self._hash else Achieved.RUNS_ON)])


class Polling(Adapter):
    """The first queue, before websockets."""

    name = "polling"
    exchange = PollingExchange

    def match(self, config: AppConfig, endpoint: Endpoint) -> Match:
        """Match queued endpoints of servers with this queue."""
        if not config.at_least(2, 2, 10) or config.at_least(3, 1, 5):
            return Match(0, "only Gradio 2.2.10 to 3.1.4 have a polling queue")
        if not endpoint.queue:
            return Match(0, "the endpoint does not go through the queue")
        if not config.at_least(3, 0) and has_state(endpoint):
            # The queue makes the call without a session hash, and 2.8.8+ keep one state for all of those.
            lost = "is one for all callers" if config.at_least(2, 8, 8) else "is lost"
            return Match(100, f"the app is queued; its state {lost} there, use 'direct' to keep it")
        return Match(100, "the endpoint is queued, and this server version polls")

    def capabilities(self, config: AppConfig) -> Capabilities:
        """Return the capabilities of the polling queue."""
        return Capabilities(queue_position=True, files=True)

    def check(self, config: AppConfig, invocation: Invocation) -> None:
        """Reject apps without a queue, where a pushed call would wait forever."""
        super().check(config, invocation)
        if not (invocation.endpoint.queue or config.enable_queue):
            raise UnsupportedProtocol(
                "The queue of this app is off, so the call would never run. Use protocol='auto' or 'direct'.",
                phase=Phase.JOIN,
                adapter=self.name,
            )


__all__ = ["Polling", "PollingExchange"]
