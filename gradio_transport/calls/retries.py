# SPDX-License-Identifier: Apache-2.0
"""Which requests may be repeated, and after how long."""

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
    """Return whether a request may be made again: it is safe by itself, or was proven not to be accepted."""
    safe = not isinstance(command, OpenWebSocket) and command.idempotent
    if isinstance(outcome, ConnectError):
        return outcome.retryable
    if isinstance(outcome, TransportError):  # retryable: there was no connection to send it by
        return safe or outcome.retryable
    # Opening a stream or socket joins the queue, or follows a join.
    joins = command.phase is Phase.JOIN or not isinstance(command, SendRequest)
    return (joins and is_refused_for_now(outcome)) or (safe and outcome.status in (429, *TEMPORARY))


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
        self._free = not isinstance(command, OpenWebSocket)

    def connected(self) -> None:
        """Note that a reply has begun: the connection was not one that the server had closed."""
        self._free = False

    def pause(self, outcome: Response | TransportError, remaining: float | None = None) -> float | None:
        """Return the seconds to wait before the request is made again; None: this outcome stands.

        Args:
            outcome: Of the last try.
            remaining: Seconds that the call has left; no pause reaches beyond.
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
        # The longer of both: a server that asks for a second is not to be met by a crowd in that second.
        asked = retry_after(outcome.headers.get("retry-after"), self._clock()) or 0.0
        return max(delay, asked) if asked <= self._policy.cap else None

    def _is_harmless(self, lost: StreamLost) -> bool:
        """Return whether the request may be made again at once, as no new call can come of it.

        The stream of joined calls only where it met a connection that was being closed: a server that has
        taken the request may have dropped the calls with it.
        """
        command = self._command
        if isinstance(command, OpenStream) and command.joined:
            return lost.stale
        return not isinstance(command, OpenWebSocket) and command.idempotent
