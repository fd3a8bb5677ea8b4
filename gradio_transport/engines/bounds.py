# SPDX-License-Identifier: Apache-2.0
"""The deadlines of one request, and their way to its connection.

httpcore passes the values of a request's ``timeout`` to the connection unchanged. The values here are numbers
that also contain the `Bounds` of the request, so a connection knows its request.
"""

from __future__ import annotations

import enum
import math
import threading
import time
from typing import Protocol, Self

from .base import Patience
from .chunk_joining import ChunkJoiner


class Stage(enum.Enum):
    """The stage of a request."""

    CONNECTING = enum.auto()
    """A connection, with its proxies and TLS."""
    SENDING = enum.auto()
    """The server to read the request."""
    HEAD = enum.auto()
    """The head of the reply."""
    BODY = enum.auto()
    """The body of the reply."""
    UPGRADED = enum.auto()
    """Any data of the peer: the connection belongs to a websocket now."""


class LateError(Exception):
    """The deadline of a request expired. For engines, never for drivers."""


class BrokenError(Exception):
    """The connection broke, or could not be made. For engines, never for drivers."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class NotSentError(Exception):
    """The pool picked a connection that had just been shut down, so the request was not sent."""


class Connected(Protocol):
    """The interface of a connection for `Bounds`."""

    def shut_down(self) -> None:
        """Wake its reader, and make the pool drop it."""
        ...

    def release(self) -> None:
        """Mark it as idle."""
        ...


class Bounds:
    """The deadlines of one request, by `time.monotonic`; `math.inf` is no deadline.

    Args:
        patience: The bounds of the driver.
        is_form: Whether the body is a form, which is sent as long as the server reads its blocks.
        joiner: Joins the chunks of one read, or None.

    Attributes:
        addresses: The address rule of the connection.
        until: The deadline of the current stage.
        reached: Whether there was a connection, at least to a proxy.
        is_reused: Whether the connection has served another request before.
        is_answered: Whether a byte of the reply has arrived.
    """

    def __init__(
        self, patience: Patience, *, is_form: bool = False, joiner: ChunkJoiner | None = None
    ) -> None:
        self.stage = Stage.CONNECTING
        self.joiner = joiner
        self.addresses = patience.addresses
        self.until = math.inf
        self.reached = self.is_reused = self.is_answered = False
        self._connect = math.inf if patience.connect is None else patience.connect
        self._silence = math.inf if patience.silence is None else patience.silence
        self._deadline = self._whole_until = patience.deadline.at
        if patience.whole is not None:
            self._whole_until = min(self._deadline, time.monotonic() + patience.whole)
            self._silence = min(self._silence, patience.whole)
        self._is_form = is_form
        self._lock = threading.Lock()
        self._connected: Connected | None = None
        self._is_shut_down = False

    def timeouts(self) -> dict[str, float | None]:
        """Return the ``timeout`` of a request, with a plain number for the pool, which waits itself."""
        wait, pool = Wait(self), self._silence
        if self._whole_until != math.inf:
            pool = min(pool, max(self._whole_until - time.monotonic(), 0.001))
        return {"connect": wait, "read": wait, "write": wait, "pool": None if pool == math.inf else pool}

    def begin_connecting(self) -> None:
        """Start the time to connect."""
        self.stage, self.until = Stage.CONNECTING, min(self._deadline, time.monotonic() + self._connect)

    def begin_sending(self) -> None:
        """Start the time to send: one bound in total, or for a form one for each wait."""
        self.stage, self.until = Stage.SENDING, self._whole_until
        if not self._is_form:
            self.until = min(self.until, time.monotonic() + self._silence)

    def begin_head(self) -> None:
        """Start the time for the head: one bound in total, because it may arrive byte by byte."""
        self.stage = Stage.HEAD
        self.until = min(self._whole_until, time.monotonic() + self._silence)

    def begin_body(self) -> None:
        """Start to wait for the body, bounded by silence and the deadline of the call."""
        self.stage, self.until = Stage.BODY, self._deadline

    def begin_upgraded(self) -> None:
        """Hand the connection to a websocket. The time to connect continues, for its handshake."""
        self.stage = Stage.UPGRADED

    def limit_wait(self, seconds: float | None) -> None:
        """Bound the next waits of a websocket by a total of some seconds."""
        self.until = math.inf if seconds is None else time.monotonic() + seconds

    def limit_body(self, seconds: float | None) -> None:
        """Bound the rest of the body by the whole request, and by a timeout if given."""
        self.until = self._whole_until
        if seconds is not None:
            self.until = min(self.until, time.monotonic() + seconds)

    @property
    def is_stale(self) -> bool:
        """Whether the request probably met a kept connection that its server was closing."""
        return self.is_reused and not self.is_answered and self.stage in (Stage.SENDING, Stage.HEAD)

    @property
    def is_over(self) -> bool:
        """Whether the deadline of the current stage has passed."""
        return self.until != math.inf and time.monotonic() >= self.until

    def seconds_left(self) -> float:
        """Return how many seconds the next wait may take, or `math.inf`.

        Raises:
            LateError: The deadline has passed.
        """
        silence = math.inf if self.stage is Stage.CONNECTING else self._silence
        if self.until == math.inf:
            return silence
        left = self.until - time.monotonic()
        if left <= 0:
            raise LateError
        return min(left, silence)

    def attach(self, connected: Connected) -> None:
        """Set the connection of the request, for `shut_down`."""
        with self._lock:
            self._connected = connected
            self.reached = True
            if self._is_shut_down:
                connected.shut_down()

    def shut_down(self) -> None:
        """Shut down the connection of the request. It ends current and later waits of other threads.

        It does nothing after the connection is released, because another request may have it then.
        """
        with self._lock:
            self._is_shut_down = True
            if self._connected is not None:
                self._connected.shut_down()

    def release(self) -> None:
        """Leave the connection to other requests."""
        with self._lock:
            connected, self._connected = self._connected, None
        if connected is not None:
            connected.release()

    @property
    def is_shut_down(self) -> bool:
        """Whether `shut_down` was called."""
        return self._is_shut_down


class Wait(float):
    """A timeout that knows its request."""

    bounds: Bounds

    def __new__(cls, bounds: Bounds) -> Self:
        """Return the timeout of a request. As a number it is infinite."""
        self = super().__new__(cls, math.inf)
        self.bounds = bounds
        return self
