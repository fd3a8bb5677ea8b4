# SPDX-License-Identifier: Apache-2.0
"""Bytes of a non-blocking socket, plain or TLS, within the bounds of a request."""

from __future__ import annotations

import math
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from .bounds import Bounds, LateError
from .stream_state import SEND_BYTES

T = TypeVar("T")

RECEIVE_BYTES = 64 * 1024


def is_ready(sock: socket.socket, seconds: float, *, to_write: bool = False) -> bool:
    """Wait until a socket is ready to read (or write, or has failed). Return whether that was in time."""
    limit = None if seconds == math.inf else seconds
    if hasattr(select, "poll"):  # Windows only has `select.select`, which fails above 1024 descriptors
        poll = select.poll()
        poll.register(sock, select.POLLOUT if to_write else select.POLLIN)
        return bool(poll.poll(None if limit is None else math.ceil(limit * 1000)))
    lists: Any = ([], [sock], []) if to_write else ([sock], [], [])
    return any(any(found) for found in select.select(lists[0], lists[1], lists[2], limit))


class Layer(Protocol):
    """Bytes in order: a socket, or TLS over another layer."""

    def receive(self, size: int, bounds: Bounds) -> bytes:
        """Return up to `size` bytes, or no bytes at the end.

        Raises:
            LateError: No data arrived in time.
            OSError: The connection broke.
        """
        ...

    def send(self, data: bytes, bounds: Bounds) -> None:
        """Send all bytes; it raises what `receive` does."""
        ...

    @property
    def has_unread(self) -> bool:
        """Whether received bytes are still unread."""
        ...

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        """The TLS object, or None."""
        ...


class Plain:
    """A non-blocking socket."""

    ssl_object = None
    has_unread = False

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def receive(self, size: int, bounds: Bounds) -> bytes:
        """Return up to `size` bytes, or no bytes at the end."""
        while True:
            seconds = bounds.seconds_left()
            with suppress(BlockingIOError):
                return self._sock.recv(size)
            if not is_ready(self._sock, seconds):
                raise LateError

    def send(self, data: bytes, bounds: Bounds) -> None:
        """Send all bytes."""
        view = memoryview(data)
        while view:
            seconds = bounds.seconds_left()
            try:
                view = view[self._sock.send(view[:SEND_BYTES]) :]
            except BlockingIOError:
                if not is_ready(self._sock, seconds, to_write=True):
                    raise LateError from None


class TLS:
    """TLS over another layer. Why not `ssl.SSLSocket`: it cannot encrypt an encrypted stream again."""

    def __init__(self, below: Layer, context: ssl.SSLContext, hostname: str | None) -> None:
        self._below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl_object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)

    @property
    def has_unread(self) -> bool:
        """Whether received bytes are still unread."""
        return bool(self.ssl_object.pending() or self._incoming.pending or self._below.has_unread)

    def shake_hands(self, bounds: Bounds) -> None:
        """Do the handshake, and check the certificate of the server.

        Raises:
            LateError: It took too long.
            OSError: The connection broke, or the certificate is not valid.
        """
        self._perform(self.ssl_object.do_handshake, bounds)

    def receive(self, size: int, bounds: Bounds) -> bytes:
        """Return up to `size` bytes, or no bytes at the end."""
        try:
            parts = [self._perform(lambda: self.ssl_object.read(size), bounds)]
        except ssl.SSLEOFError:  # servers that close without close_notify; h11 knows what is missing
            return b""
        left = size - len(parts[0])
        with suppress(ssl.SSLError):  # one record per call: read the rest; an error recurs
            while parts[-1] and left:
                parts.append(self.ssl_object.read(left))
                left -= len(parts[-1])
        return b"".join(parts)

    def send(self, data: bytes, bounds: Bounds) -> None:
        """Send all bytes."""
        view = memoryview(data)
        while view:
            block = view[:SEND_BYTES]
            view = view[self._perform(lambda block=block: self.ssl_object.write(block), bounds) :]  # type: ignore[misc]

    def _perform(self, operate: Callable[[], T], bounds: Bounds) -> T:
        while True:
            try:
                result = operate()
            except ssl.SSLWantReadError:
                self._below.send(self._outgoing.read(), bounds)
                data = self._below.receive(RECEIVE_BYTES, bounds)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                self._below.send(self._outgoing.read(), bounds)
                return result
