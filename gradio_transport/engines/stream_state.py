# SPDX-License-Identifier: Apache-2.0
"""The state of a connection, for sync and async streams: its request, and held-back data."""

from __future__ import annotations

from typing import Any

from .bounds import Bounds, NotSentError, Stage, Wait
from .chunk_joining import ChunkJoiner

HELD_BYTES = 16 * 1024
"""Bytes of a request that are held back until the reply is read, so that a small request is one packet."""

SEND_BYTES = 64 * 1024
"""Bytes passed to the system at once, between two checks of the deadline."""

BODY_BYTES = 512 * 1024
"""The most bytes of one read of a large body.

httpcore asks for 64 KiB, but accepts any number, and most of the cost of a read there is the same for each.
"""


class StreamState:
    """A connection of a pool of httpcore. At most one request uses it at a time.

    Args:
        bounds: Bounds of the request it is opened for.
        write_error: The ``WriteError`` of httpcore. After it httpcore reads the reply, because a server may
            refuse a request before it has read all of it.
    """

    def __init__(self, bounds: Bounds, write_error: type[Exception]) -> None:
        self._bounds = bounds
        self._write_error = write_error
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._is_busy = False
        self._is_used = False
        self._is_shut_down = False
        bounds.attach(self)

    def _bounds_of(self, timeout: float | None) -> Bounds:
        """Return the bounds of a timeout; httpcore gives none for the handshake of SOCKS."""
        if isinstance(timeout, Wait):
            self._bounds = timeout.bounds
        return self._bounds

    def _hold(self, buffer: bytes, timeout: float | None) -> bool:
        """Hold back a part of a request. Return whether there is enough to send.

        Raises:
            NotSentError: The connection was shut down before this request, of which nothing was sent.
        """
        if not buffer:
            return False
        bounds = self._bounds_of(timeout)
        if timeout is not None and bounds.stage not in (Stage.SENDING, Stage.UPGRADED):
            self._begin(bounds, buffer)
        self._held.append(buffer)
        self._held_bytes += len(buffer)
        return self._held_bytes > HELD_BYTES or bounds.stage is Stage.UPGRADED

    def _begin(self, bounds: Bounds, buffer: bytes) -> None:
        # Set busy first: the pool treats an idle connection with readable data as closed by the server, and
        # between its two checks a thread may have sent a request and got the reply.
        self._is_busy = True
        if self._is_shut_down and not bounds.is_shut_down:
            raise NotSentError
        bounds.attach(self)
        if not buffer.startswith(b"CONNECT "):  # a request to a proxy is part of connecting
            bounds.is_reused, self._is_used = self._is_used, True
            bounds.begin_sending()

    def _take_held(self) -> list[bytes]:
        """Return the held-back data, in one piece unless that would copy a large body."""
        held, size = self._held, self._held_bytes
        self._held, self._held_bytes = [], 0
        return [b"".join(held)] if size <= SEND_BYTES else held

    def _begin_reading(self, timeout: float | None) -> tuple[Bounds, ChunkJoiner | None]:
        bounds = self._bounds_of(timeout)
        if bounds.stage is Stage.SENDING:
            bounds.begin_head()
        elif bounds.stage is Stage.HEAD:  # the previous read returned data
            bounds.is_answered = True
        return bounds, None if bounds.stage is Stage.CONNECTING else bounds.joiner

    def _check(self) -> None:
        if self._is_shut_down:
            raise ConnectionAbortedError("the client closed the connection")

    def _is_over(self) -> bool:
        """Return whether the idle connection ended, or has unexpected bytes."""
        raise NotImplementedError

    def get_extra_info(self, info: str) -> Any:
        """Return an attribute for httpcore: ``is_readable``, ``ssl_object``, ``socket`` or an address."""
        if info == "is_readable":
            return self._is_shut_down or (not self._is_busy and self._is_over())
        return self._get_info(info)

    def _get_info(self, info: str) -> Any:
        raise NotImplementedError

    def release(self) -> None:
        """Mark the connection as idle."""
        self._is_busy = False

    def shut_down(self) -> None:
        """End every wait on the connection, which cannot be used again."""
        raise NotImplementedError
