# SPDX-License-Identifier: Apache-2.0
"""What both faces know of requests beside the calls: which may be repeated, and what their replies mean."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from ..backoff import delays, retry_after
from ..commands import OpenStream, OpenWebSocket, Request, Response, SendRequest
from ..config import AppConfig
from ..errors import (
    ConnectError,
    EndpointNotFound,
    GradioTransportError,
    InvalidPayload,
    MalformedMessage,
    Phase,
    RemoteProtocolError,
    StreamLost,
    Timeout,
    TransportError,
    excerpt,
)
from ..files import FetchFile
from ..policy import Limits, RetryPolicy, Timeouts
from ..refusals import refusal
from ..urls import AppURLs, is_internal

REASON_SECONDS = 2.0
"""How long the reason of a refusal is waited for; what is refused is known without it."""


def repeatable(command: SendRequest | OpenStream | OpenWebSocket, outcome: Response | TransportError) -> bool:
    """Return whether a request may be made again: it is safe by itself, or was proven not to be accepted."""
    safe = isinstance(command, SendRequest) and command.idempotent
    if isinstance(outcome, ConnectError):
        return outcome.retryable
    if isinstance(outcome, TransportError):  # retryable: there was no connection to send it by
        return safe or outcome.retryable
    # Opening a stream or socket joins the queue, or follows a join.
    joins = command.phase is Phase.JOIN or not isinstance(command, SendRequest)
    if outcome.status == 429:
        return safe or joins
    if outcome.status == 503 and joins:
        return "queue is full" in outcome.text.lower()
    return safe and outcome.status in (502, 503, 504)


class Retries:
    """The tries of one request under a `RetryPolicy`: says how long to wait before the next, if any."""

    def __init__(
        self,
        policy: RetryPolicy,
        command: SendRequest | OpenStream | OpenWebSocket,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._policy = policy
        self._command = command
        self._clock = clock
        self._delays = delays(policy, rng)
        self._left = policy.budget
        # One repeat at once is free where it is safe: an idle connection may have been closed by the server.
        self._free = isinstance(command, SendRequest) and command.idempotent

    def pause(self, outcome: Response | TransportError, remaining: float | None = None) -> float | None:
        """Return the seconds to wait before the request is made again; None: this outcome stands.

        Args:
            outcome: Of the last try.
            remaining: Seconds that the call has left; no pause reaches beyond.
        """
        pause = self._wanted(outcome)
        if pause is None or pause > self._left or (remaining is not None and pause >= remaining):
            return None
        self._left -= pause
        return pause

    def _wanted(self, outcome: Response | TransportError) -> float | None:
        if not repeatable(self._command, outcome):
            return None
        if self._free and isinstance(outcome, StreamLost):
            self._free = False
            return 0.0
        delay = next(self._delays, None)
        if delay is None or isinstance(outcome, TransportError):
            return delay
        asked = retry_after(outcome.headers.get("retry-after"), self._clock()) or 0.0
        return max(delay, asked) if asked <= self._policy.cap else None


def left(until: float | None, timeouts: Timeouts, phase: Phase) -> float | None:
    """Return the seconds that a call has left for what comes next; None: there is no bound.

    Args:
        until: When its time is over, by `time.monotonic`.
        timeouts: Of the call.
        phase: Of what comes next.

    Raises:
        Timeout: None is left.
    """
    if until is None:
        return None
    rest = until - time.monotonic()
    if rest <= 0:
        raise too_late(timeouts, phase)
    return rest


def too_late(timeouts: Timeouts, phase: Phase) -> Timeout:
    """Return the error for a call whose time is over before a request of it was sent."""
    return Timeout(
        f"The {timeouts.total} s for the whole call were over before the request was sent ({phase.value}). "
        "Raise Timeouts(total=) if it may take longer.",
        knob="total",
        seconds=timeouts.total,
        phase=phase,
        retryable=True,
    )


def renewable(command: SendRequest) -> bool:
    """Return whether a request that was refused for an expired login may be made again after a new one."""
    return command.phase not in (Phase.DISCOVER, Phase.LOGIN)


def check_addresses(url: str, addresses: Sequence[str]) -> None:
    """Refuse a file whose host is an address inside a machine or cloud.

    Raises:
        RemoteProtocolError: It is.
    """
    if any(is_internal(address) for address in addresses):
        raise RemoteProtocolError(
            f"The server names {url!r} as the place of a file; its host is an address inside a machine or "
            "cloud, which is never fetched.",
            phase=Phase.DOWNLOAD,
        )


def input_request(command: FetchFile) -> SendRequest:
    """Return the request for a URL of the caller's, for what it may take."""
    return SendRequest("input", Request("GET", command.url), Phase.UPLOAD, idempotent=True)


def input_content(response: Response, command: FetchFile) -> bytes:
    """Return what a URL of the caller's held.

    Raises:
        InvalidPayload: It could not be had.
    """
    if response.status == 200 and response.body:
        return response.body
    raise InvalidPayload(
        f"The input {command.url} could not be fetched (HTTP {response.status}, {len(response.body)} bytes). "
        "Nothing was called.",
        phase=Phase.UPLOAD,
        status=response.status,
        body=excerpt(response.body),
    )


def component_request(
    urls: AppURLs, config: AppConfig, session_hash: str, component_id: int, fn_name: str, data: Any
) -> SendRequest:
    """Return the request to a component's own function on the server (3.47+, docs/wire.md §13).

    Raises:
        EndpointNotFound: The app has no such component; servers say only that something failed.
    """
    if component_id not in config.components:
        raise EndpointNotFound(
            f"The app has no component {component_id!r}, as far as this session knows. "
            "The ids are the keys of config.components.",
            phase=Phase.JOIN,
        )
    body = {"session_hash": session_hash, "component_id": component_id, "fn_name": fn_name, "data": data}
    return SendRequest(
        "component_server", Request.post_json(urls.api("component_server/"), body), Phase.COMPLETE
    )


def component_reply(response: Response, fn_name: str, limits: Limits) -> Any:
    """Return the JSON that a component's function gave.

    Raises:
        EndpointNotFound: The component has no such function.
        ServerRefused: The function failed.
    """
    if response.status != 200:
        raise refusal(response, Phase.COMPLETE, what=f"The component's function {fn_name!r}")
    try:
        return response.json(limits.max_json_depth)
    except ValueError as error:
        raise MalformedMessage(
            f"The component's function {fn_name!r} gave no JSON ({error}): {excerpt(response.body)!r}.",
            phase=Phase.COMPLETE,
        ) from None


@contextmanager
def timed(adapter: str | None = None, began: float | None = None) -> Generator[None, None, None]:
    """Tell errors of what is no part of a call's own messages how long it took, and for which protocol.

    Args:
        adapter: The protocol of the call that it is done for, if there is one already.
        began: When it began, by `time.monotonic`; None: now.
    """
    began = time.monotonic() if began is None else began
    try:
        yield
    except GradioTransportError as error:
        error.adapter = error.adapter or adapter
        if error.elapsed is None:
            error.elapsed = time.monotonic() - began
        raise


def is_event_stream(response: Response) -> bool:
    """Return whether the head is that of an event stream, which can be read."""
    kind = response.headers.get("content-type", "")
    if response.foreign_coding is not None:
        return False
    return response.status == 200 and kind.partition(";")[0].strip().lower() == "text/event-stream"
