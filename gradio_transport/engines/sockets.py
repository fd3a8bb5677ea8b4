# SPDX-License-Identifier: Apache-2.0
"""Connections of the sync engine: a ``NetworkBackend`` and ``NetworkStream`` of httpcore over plain sockets.

Why not httpcore's own: their timeouts bound each read and write, so a head that arrives byte by byte, or a
server that takes a body so, may last forever; and they close sockets while other threads read from them.
"""

from __future__ import annotations

import errno
import itertools
import math
import os
import select
import selectors
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from .base import DeferredClose
from .bounds import Bounds, BrokenError, LateError, Wait
from .chunk_joining import ChunkJoiner
from .stream_state import SEND_BYTES, StreamState

T = TypeVar("T")

NEXT_ADDRESS_SECONDS = 0.25
"""Head start of each address of a host before the next one is tried too (RFC 8305 §5)."""

RECEIVE_BYTES = 64 * 1024

Address: TypeAlias = tuple[Any, ...]
"""An item of `socket.getaddrinfo`."""


def alternate_families(addresses: Iterable[Address]) -> list[Address]:
    """Return addresses with IPv6 and IPv4 in turn, beginning as the system does (RFC 8305 §4)."""
    families: dict[Any, list[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    turns = itertools.zip_longest(*families.values())
    return [address for turn in turns for address in turn if address is not None]


def connect(host: str, port: int, bounds: Bounds) -> socket.socket:
    """Return a connected socket, not blocking.

    Raises:
        OSError: No address could be connected to.
        LateError: None could in time.
    """
    addresses = alternate_families(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    with selectors.DefaultSelector() as selector:
        try:
            connected = _race(selector, iter(addresses), bounds)
        finally:
            for key in list(selector.get_map().values()):
                if isinstance(key.fileobj, socket.socket):
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
    with suppress(OSError):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


def _race(selector: selectors.BaseSelector, addresses: Iterator[Address], bounds: Bounds) -> socket.socket:
    """Return the first socket that connects; the selector keeps the others."""
    failure = OSError("the host has no address")
    next_at = 0.0
    while True:
        if time.monotonic() >= next_at:
            address = next(addresses, None)
            next_at = math.inf if address is None else time.monotonic() + NEXT_ADDRESS_SECONDS
            try:
                if address is not None:
                    selector.register(_begin(address), selectors.EVENT_WRITE)
            except OSError as error:
                failure, next_at = error, 0.0
        if not selector.get_map():
            if next_at == math.inf:
                raise failure
            next_at = 0.0
            continue
        seconds = min(bounds.seconds_left(), max(next_at - time.monotonic(), 0.0))
        for key, _ in selector.select(None if seconds == math.inf else seconds):
            tried: Any = key.fileobj
            selector.unregister(tried)
            code = tried.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                return cast("socket.socket", tried)
            tried.close()
            failure, next_at = OSError(code, os.strerror(code)), 0.0


def _begin(address: Address) -> socket.socket:
    family, kind, protocol, _, target = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        code = sock.connect_ex(target)
        if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock


def is_ready(sock: socket.socket, seconds: float, *, to_write: bool = False) -> bool:
    """Wait until a socket can be read from (or written to, or has failed); return whether it can in time."""
    limit = None if seconds == math.inf else seconds
    if hasattr(select, "poll"):  # `select.select` is all that Windows has, and fails above 1024 descriptors
        poll = select.poll()
        poll.register(sock, select.POLLOUT if to_write else select.POLLIN)
        return bool(poll.poll(None if limit is None else math.ceil(limit * 1000)))
    lists: Any = ([], [sock], []) if to_write else ([sock], [], [])
    return any(any(found) for found in select.select(lists[0], lists[1], lists[2], limit))


class _Layer(Protocol):
    """Bytes in order: a socket, or TLS over another layer."""

    def receive(self, size: int, bounds: Bounds) -> bytes:
        """Return at most so many bytes, or none at the end."""
        ...

    def send(self, data: bytes, bounds: Bounds) -> None:
        """Send all bytes."""
        ...

    @property
    def ssl_object(self) -> ssl.SSLObject | None:
        """What encrypts, or None."""
        ...


class _Plain:
    """A socket that does not block."""

    ssl_object = None

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def receive(self, size: int, bounds: Bounds) -> bytes:
        while True:
            seconds = bounds.seconds_left()
            with suppress(BlockingIOError):
                return self._sock.recv(size)
            if not is_ready(self._sock, seconds):
                raise LateError

    def send(self, data: bytes, bounds: Bounds) -> None:
        view = memoryview(data)
        while view:
            seconds = bounds.seconds_left()
            try:
                view = view[self._sock.send(view[:SEND_BYTES]) :]
            except BlockingIOError:
                if not is_ready(self._sock, seconds, to_write=True):
                    raise LateError from None


class _TLS:
    """TLS over another layer. Why no `ssl.SSLSocket`: it cannot encrypt again what is encrypted already."""

    def __init__(self, below: _Layer, context: ssl.SSLContext, hostname: str | None) -> None:
        self._below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl_object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)

    def shake_hands(self, bounds: Bounds) -> None:
        self._perform(self.ssl_object.do_handshake, bounds)

    def receive(self, size: int, bounds: Bounds) -> bytes:
        try:
            parts = [self._perform(lambda: self.ssl_object.read(size), bounds)]
        except ssl.SSLEOFError:  # servers that close without the goodbye of TLS; h11 knows what is missing
            return b""
        left = size - len(parts[0])
        with suppress(ssl.SSLError):  # one record a call: take what else has arrived; an error comes again
            while parts[-1] and left:
                parts.append(self.ssl_object.read(left))
                left -= len(parts[-1])
        return b"".join(parts)

    def send(self, data: bytes, bounds: Bounds) -> None:
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


class SocketStream(StreamState):
    """A connection over a socket."""

    def __init__(self, sock: socket.socket, bounds: Bounds, write_error: type[Exception]) -> None:
        self._sock = sock
        self._layer: _Layer = _Plain(sock)
        self._in_use = DeferredClose(self._shut_down_socket, sock.close)
        super().__init__(bounds, write_error)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send a part of a request, or hold it if it is small.

        Raises:
            NotSentError: The connection was shut down before this request; none of it was sent.
            LateError: It cannot be sent in time.
            Exception: The ``WriteError`` of httpcore: it cannot be sent at all.
        """
        if self._hold(buffer, timeout):
            try:
                with self._in_use:
                    self._send_held()
            except OSError as error:
                raise self._write_error(str(error)) from error

    def _send_held(self) -> None:
        data = self._take_held()
        self._check()
        self._layer.send(data, self._bounds)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what one read brings, or no bytes at the end.

        Raises:
            LateError: Nothing came in time.
            BrokenError: The connection broke, or was shut down by this side.
        """
        with self._in_use:
            if self._held:
                # After a failure there may be a reply all the same, and if there is none the read fails too.
                with suppress(OSError):
                    self._send_held()
            try:
                return self._read(max_bytes, *self._begin_reading(timeout))
            except OSError as error:
                raise BrokenError(error) from error

    def _read(self, size: int, bounds: Bounds, joiner: ChunkJoiner | None) -> bytes:
        while True:
            # Checked before and after: what arrived before another thread shut the connection down must not
            # be taken for the reply of a request that is sent on it later.
            self._check()
            data = self._layer.receive(size, bounds)
            self._check()
            if joiner is None:
                return data
            joined = joiner.feed(data) if data else joiner.finish()
            if joined or not data:
                return joined

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> SocketStream:
        """Encrypt the connection.

        Raises:
            LateError: Not within the time to connect.
            BrokenError: The server cannot, or its certificate is not valid.
        """
        bounds = self._bounds_of(timeout)
        try:
            with self._in_use:
                layer = _TLS(self._layer, ssl_context, server_hostname)
                layer.shake_hands(bounds)
                self._check()
        except OSError as error:
            self.close()
            raise BrokenError(error) from error
        except BaseException:
            self.close()
            raise
        self._layer = layer
        return self

    def _is_over(self) -> bool:
        try:
            return is_ready(self._sock, 0)
        except (OSError, ValueError):
            return True

    def _get_info(self, info: str) -> Any:
        match info:
            case "ssl_object":
                return self._layer.ssl_object
            case "socket":
                return self._sock
            case "client_addr":
                return self._sock.getsockname()
            case "server_addr":
                return self._sock.getpeername()
            case _:
                return None

    def shut_down(self) -> None:
        """End every wait on the connection; it cannot be used again."""
        self._is_shut_down = True
        self._shut_down_socket()

    def _shut_down_socket(self) -> None:
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection: at once, or when the last thread that uses it has left."""
        self._is_shut_down = True
        self._in_use.close()

    def close_descriptor(self) -> None:
        """Close the socket of this process after a fork; the connection stays open in the parent."""
        self._is_shut_down = True
        with suppress(OSError):
            self._sock.close()


class SocketBackend:
    """Makes the connections of an engine, and closes them all at once."""

    def __init__(self, write_error: type[Exception]) -> None:
        self._write_error = write_error
        self._lock = threading.Lock()
        self._streams: weakref.WeakSet[SocketStream] = weakref.WeakSet()
        self._is_closed = False

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> SocketStream:
        """Return a connection to a host.

        Raises:
            LateError: There was none in time, over all addresses of the host.
            BrokenError: The host is not known, or none of its addresses can be connected to.
        """
        if not isinstance(timeout, Wait):
            raise TypeError("timeout= must be the Wait of a request")
        bounds = timeout.bounds
        bounds.begin_connecting()
        try:
            sock = connect(host, port, bounds)
        except OSError as error:
            raise BrokenError(error) from error
        stream = SocketStream(sock, bounds, self._write_error)
        with self._lock:
            self._streams.add(stream)
            late = self._is_closed  # `close` went through the set while this connection was being made
        if late:
            stream.shut_down()
        return stream

    def close(self) -> None:
        """Shut every connection down, and those that are being made once they are."""
        with self._lock:
            self._is_closed = True
            streams = list(self._streams)
        for stream in streams:
            stream.shut_down()

    def forget(self) -> None:
        """Close the sockets of this process after a fork; the connections stay open in the parent."""
        for stream in list(self._streams):
            stream.close_descriptor()
