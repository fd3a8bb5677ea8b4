# SPDX-License-Identifier: Apache-2.0
"""Connections of the sync engine: a ``NetworkBackend`` and ``NetworkStream`` of httpcore over plain sockets.

Why not httpcore's own: their timeouts bound each read and write, so a head that arrives byte by byte, or a
server that reads a body like that, may take forever; and they close sockets while other threads read from
them.
"""

from __future__ import annotations

import socket
import ssl
import threading
import weakref
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from .base import DeferredClose
from .bounds import Bounds, BrokenError, Stage, Wait
from .chunk_joining import ChunkJoiner
from .connecting import connect
from .layers import TLS, Layer, Plain, is_ready
from .open_connections import OpenConnections
from .replies import shut_down_socket
from .stream_state import BODY_BYTES, StreamState

_LARGE_BODY_BYTES = 4 * 1024 * 1024
"""Bytes of a body after which more are read at once.

Why not from its start: the memory of such a read is new to the process, and the system clears it first.
"""


class SocketStream(StreamState):
    """A connection over a socket."""

    def __init__(self, sock: socket.socket, bounds: Bounds, write_error: type[Exception]) -> None:
        self._sock = sock
        self._layer: Layer = Plain(sock)
        self._in_use = DeferredClose(partial(shut_down_socket, sock), sock.close)
        self._body_bytes = 0
        self._was_full = False
        super().__init__(bounds, write_error)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send a part of a request, or hold it back if it is small.

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
        held = self._take_held()
        self._check()
        for data in held:
            self._layer.send(data, self._bounds)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the bytes of one read, or no bytes at the end.

        Raises:
            LateError: No data arrived in time.
            BrokenError: The connection broke, or the client shut it down.
        """
        with self._in_use:
            if self._held:
                # After a failure there may still be a reply; if not, the read fails too.
                with suppress(OSError):
                    self._send_held()
            try:
                return self._read(max_bytes, *self._begin_reading(timeout))
            except OSError as error:
                raise BrokenError(error) from error

    def _read(self, size: int, bounds: Bounds, joiner: ChunkJoiner | None) -> bytes:
        if bounds.stage is not Stage.BODY:
            self._body_bytes = 0
        wanted = BODY_BYTES if self._was_full and self._body_bytes >= _LARGE_BODY_BYTES else size
        while True:
            # Checked before and after: data that arrived before another thread shut the connection down must
            # not count as the reply to a later request.
            self._check()
            data = self._layer.receive(wanted, bounds)
            self._check()
            self._was_full = len(data) >= size
            self._body_bytes += len(data)
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
            LateError: It took longer than the time to connect.
            BrokenError: The server does not support TLS, or its certificate is not valid.
        """
        bounds = self._bounds_of(timeout)
        try:
            with self._in_use:
                layer = TLS(self._layer, ssl_context, server_hostname)
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
            return self._layer.has_unread or is_ready(self._sock, 0)
        except (OSError, ValueError):
            return True

    def open_socket(self) -> socket.socket | None:
        """Return the socket, or None after the connection is shut down."""
        return None if self._is_shut_down else self._sock

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
        """End every wait on the connection, which cannot be used again."""
        self._is_shut_down = True
        shut_down_socket(self._sock)

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
    """A backend that opens the connections of an engine, and closes them all at once."""

    def __init__(self, write_error: type[Exception], connections: OpenConnections | None = None) -> None:
        self._write_error = write_error
        self._connections = connections
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
            LateError: There was no connection in time, over all addresses of the host.
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
        if self._connections is not None:
            self._connections.add(host, port, stream, SocketStream.open_socket)
        return stream

    def close(self) -> None:
        """Shut down every connection, including those being opened."""
        with self._lock:
            self._is_closed = True
            streams = list(self._streams)
        for stream in streams:
            stream.shut_down()

    def forget(self) -> None:
        """Close the sockets of this process after a fork; the connections stay open in the parent."""
        for stream in list(self._streams):
            stream.close_descriptor()
