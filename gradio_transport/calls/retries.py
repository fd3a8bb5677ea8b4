# SPDX-License-Identifier: Apache-2.0
"""Which requests may be repeated, and after which delay."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from ..errors import (
    ConnectError,
    Phase,
    StreamLost,
    TransportError,
)
from ..policy import RetryPolicy
from ..protocol.commands import OpenStream, OpenWebSocket, Response, SendRequest
from ..protocol.reach import TEMPORARY, is_refused_for_now
from ..protocol.retry_after import retry_after
from .backoff import delays


def is_repeatable(
    command: SendRequest | OpenStream | OpenWebSocket, outcome: Response | TransportError
) -> bool:
    """Return whether a request may be repeated: it is safe, or was certainly not accepted."""
    safe = not isinstance(command, OpenWebSocket) and command.idempotent
    if isinstance(outcome, ConnectError):
        return outcome.retryable
    if isinstance(outcome, TransportError):  # retryable: there was no connection
        return safe or outcome.retryable
    # Opening a stream or socket joins the queue, or follows a join.
    joins = command.phase is Phase.JOIN or not isinstance(command, SendRequest)
    return (joins and is_refused_for_now(outcome)) or (safe and outcome.status in (429, *TEMPORARY))


class Retries:
    """The attempts of one request under a `RetryPolicy`, and the delay before the next."""

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
        # One immediate repeat is free if it is safe, because the server may have closed an idle connection.
        self._free = not isinstance(command, OpenWebSocket)

    def connected(self) -> None:
        """Record that a reply has started, so the server had not closed the connection."""
        self._free = False

    def pause(self, outcome: Response | TransportError, remaining: float | None = None) -> float | None:
        """Return the seconds to wait before the next attempt, or None if this outcome is final.

        Args:
            outcome: Outcome of the last attempt.
            remaining: Remaining seconds of the call; no pause exceeds them.
        """
        if isinstance(outcome, Response) and outcome.status < 400:
            return None
        pause = self._next_pause(outcome)
        if pause is None or pause > self._left or (remaining is not None and pause >= remaining):
            return None
        self._left -= pause
        return pause

    def _next_pause(self, outcome: Response | TransportError) -> float | None:
        if self._free and isinstance(outcome, StreamLost) and self._is_harmless(outcome):
            self._free = False
            return 0.0
        if not is_repeatable(self._command, outcome):
            return None
        delay = next(self._delays, None)
        if delay is None or isinstance(outcome, TransportError):
            return delay
        # The longer of both, so that clients do not all return right after the second that a server asks for.
        asked = retry_after(outcome.headers.get("retry-after"), self._clock()) or 0.0
        return max(delay, asked) if asked <= self._policy.cap else None

    def _is_harmless(self, lost: StreamLost) -> bool:
        """Return whether the request may be repeated at once, because it cannot start a new call.

        The stream of joined calls only if the connection was being closed: a server that has read the request
        may have dropped the calls with it.
        """
        command = self._command
        if isinstance(command, OpenStream) and command.joined:
            return lost.stale
        return not isinstance(command, OpenWebSocket) and command.idempotent
