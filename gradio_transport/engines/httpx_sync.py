# SPDX-License-Identifier: Apache-2.0
"""The sync engine over httpx (or httpx2): one pool of connections for each route."""

from __future__ import annotations

import math
import socket
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any

from ..errors import LocalProtocolError, TimeoutExpired
from ..protocol.commands import Request, Response
from ..protocol.multipart import Multipart
from . import httpx_common as common
from .base import DeferredClose, Interruption, Patience, StreamEnded, WebSocket
from .coalescing import coalesce
from .request_body import body_seconds, form_blocks
from .settings import HTTPSettings

_WRITE_BYTES = 16 * 1024
"""Bytes written between two checks of the deadline."""


class _Deadlines(threading.local):
    """The deadlines of what this thread reads.

    Thread-local, because the library has no argument that would carry them to the connection it picks: the
    wrapped reads and writes of every connection look them up here.

    Attributes:
        reply_deadline: When the whole reply must be complete.
        deadline: When what is read now must be complete: the head of a reply, or all of it.
        make_error: Returns the error to raise after the deadline.
        interruption: That of the request whose head is read now.
    """

    reply_deadline = math.inf
    deadline = math.inf
    make_error: Callable[[], TimeoutExpired]
    interruption: Interruption | None = None

    def remaining(self, timeout: float | None) -> float | None:
        """Return how many seconds the next wait may take.

        Raises:
            TimeoutExpired: The deadline has passed.
        """
        if self.deadline == math.inf:
            return timeout
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise self.make_error()
        return left if timeout is None else min(timeout, left)


class HTTPXEngine:
    """Sync I/O over httpx."""

    def __init__(self, settings: HTTPSettings, client: Any = None) -> None:
        self._settings = settings
        self._module = common.load(settings.library)
        self._lock = threading.Lock()
        self._client = client
        self._routes = common.Routes(settings)
        self._pools: dict[common.Route, Any] = {}
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._websockets: weakref.WeakSet[Any] = weakref.WeakSet()
        self._busy: weakref.WeakSet[Any] = weakref.WeakSet()
        """Connections with a request whose reply is awaited or not released yet."""
        self._closed = False
        self._forked = False
        self._deadlines = _Deadlines()

    def _pool(self, url: str) -> Any:
        """Return the pool of connections for a URL."""
        route = self._routes.find(url)
        with self._lock:
            if self._closed:
                raise LocalProtocolError("The transport is closed.")
            if route not in self._pools:
                options = common.transport_options(self._module, self._settings, route)
                self._pools[route] = self._module.HTTPTransport(**options)
            return self._pools[route]

    def _send(self, request: Request, patience: Patience) -> Any:
        self._deadlines.make_error = partial(patience.timeout_error, request.url)
        with (
            common.translate_errors(self._module, request, patience),
            self._limit_reads(),
            self._allow_interruption(patience.interruption),
        ):
            body = form_blocks(request.body) if isinstance(request.body, Multipart) else request.body
            trace = partial(self._trace, patience.silence)
            if self._client is not None:
                return self._send_by_client(request, patience, body, trace)
            prepared = common.build_request(self._module, request, patience, body, trace=trace)
            response = self._pool(request.url).handle_request(prepared)
            response.request = prepared
            return response

    def _send_by_client(self, request: Request, patience: Patience, body: Any, trace: Any) -> Any:
        if self._forked:
            raise LocalProtocolError(
                "The HTTP client passed as engine= belongs to the parent process. Connect again in this "
                "process, with a client that was made here."
            )
        prepared = self._client.build_request(
            **common.client_arguments(self._module, request, patience),
            content=body,
            extensions={"trace": trace},
        )
        return self._client.send(prepared, stream=True, follow_redirects=False)

    def _trace(self, silence: float | None, event: str, info: Mapping[str, Any]) -> None:
        # The only public way to the socket of a request without a reply yet; `close` needs the socket.
        if event.endswith(("connect_tcp.complete", "start_tls.complete", "connect_unix_socket.complete")):
            self._register(info["return_value"])
        elif silence is not None and event.endswith("receive_response_headers.started"):
            self._deadlines.deadline = min(self._deadlines.deadline, time.monotonic() + silence)

    def _register(self, stream: Any) -> None:
        connected = stream.get_extra_info("socket")
        if connected is None:
            return
        self._wrap(stream)
        with self._lock:
            self._sockets.add(connected)
            late = self._closed  # `close` went through the list while this connection was being made
        if late:
            common.shut_down_socket(connected)

    def _wrap(self, stream: Any) -> None:
        """Make a connection keep the deadlines of the thread that uses it, and close it only when unused.

        Why the library's timeouts are not enough: they bound each read and write, so a head that arrives
        byte by byte, or a server that takes a body so, may last forever. And its pool closes connections
        while other threads read from them; see `DeferredClose`.
        """
        read, write, get_info, deadlines = stream.read, stream.write, stream.get_extra_info, self._deadlines
        shut_down = partial(common.shut_down_connection, stream)
        in_use = DeferredClose(shut_down, common.recording_close(stream))

        def read_bounded(max_bytes: int, timeout: float | None = None) -> Any:
            if deadlines.interruption is not None:
                deadlines.interruption.set_wake(shut_down)
            with in_use:
                # Checked before and after the read: what arrived before another thread shut the connection
                # down must not be taken for the reply of a request that is sent on it later.
                if common.is_shut_down(stream):
                    return b""
                data = read(max_bytes, deadlines.remaining(timeout))
                return b"" if common.is_shut_down(stream) else data

        def write_bounded(buffer: bytes, timeout: float | None = None) -> None:
            size = len(buffer) if deadlines.deadline == math.inf else _WRITE_BYTES
            self._busy.add(stream)
            try:
                with in_use:
                    for start in range(0, len(buffer), max(size, 1)):
                        write(buffer[start : start + size], deadlines.remaining(timeout))
            except Exception:
                if common.is_shut_down(stream):
                    raise common.not_available_error(stream) from None
                raise

        def get_extra_info(info: str) -> Any:
            # To the pool an idle connection with something to read is one that the server has closed. It
            # checks the two one after the other, and in between a thread may send a request on the
            # connection and get a reply, which would be dropped.
            return False if info == "is_readable" and stream in self._busy else get_info(info)

        stream.read, stream.write, stream.close = read_bounded, write_bounded, in_use.close
        stream.get_extra_info = get_extra_info

    @contextmanager
    def _limit_reads(self, seconds: float | None = None) -> Generator[None, None, None]:
        """Bound what this thread reads inside the block. The head of a reply has a bound of its own in it."""
        deadlines = self._deadlines
        before = deadlines.reply_deadline
        if seconds is not None:
            deadlines.reply_deadline = deadlines.deadline = time.monotonic() + seconds
        try:
            yield
        finally:
            deadlines.reply_deadline = deadlines.deadline = before

    @contextmanager
    def _limit_body(
        self, seconds: float | None, make_error: Callable[[], TimeoutExpired]
    ) -> Generator[None, None, None]:
        """Bound what this thread reads of a reply's body; see `_limit_reads`."""
        if seconds is not None:
            self._deadlines.make_error = make_error
            seconds = min(seconds, self._deadlines.deadline - time.monotonic())
        with self._limit_reads(seconds):
            yield

    @contextmanager
    def _allow_interruption(self, interruption: Interruption | None) -> Generator[None, None, None]:
        """Let other threads wake this one while it waits for a head; later they can abort its stream."""
        self._deadlines.interruption = interruption
        try:
            yield
        finally:
            self._deadlines.interruption = None
            if interruption is not None:
                interruption.set_wake(None)

    def request(self, request: Request, patience: Patience) -> Response:
        """Send a request and return the whole reply."""
        with self._limit_reads(patience.whole):
            stream = self.stream(request, patience)
            try:
                body = stream.read(body_seconds(request, patience))
            finally:
                stream.close()
        return stream.head.with_body(body)

    def stream(self, request: Request, patience: Patience) -> HTTPXStream:
        """Send a request and return as soon as the head of its reply has come."""
        response = self._send(request, patience)
        return HTTPXStream(self._module, request, patience, response, self._limit_body, self._release)

    def _release(self, response: Any) -> None:
        """Mark the connection of a reply as idle."""
        self._busy.discard(response.extensions.get("network_stream"))

    def websocket(
        self, url: str, headers: Mapping[str, str], patience: Patience, max_message_bytes: int
    ) -> WebSocket:
        """Open a websocket, by websocket-client."""
        from .websocket_client import open_websocket

        if self._closed:
            raise LocalProtocolError("The transport is closed.")
        opened = open_websocket(url, headers, patience, max_message_bytes, self._settings)
        with self._lock:
            self._websockets.add(opened)
            late = self._closed
        if late:
            opened.abort()
        return opened

    def close(self) -> None:
        """Close every connection; blocked calls in other threads end at once."""
        with self._lock:
            self._closed = True
            pools = list(self._pools.values())
            self._pools.clear()
            sockets, websockets = list(self._sockets), list(self._websockets)
        for opened in websockets:
            opened.abort()
        if self._client is not None:
            return
        for connected in sockets:
            common.shut_down_socket(connected)
        for pool in pools:
            pool.close()

    def reset_after_fork(self) -> None:
        """Forget the parent's connections in a child of ``fork``, without ending them.

        Closing a socket here does not end its connection while the parent has it open. Shutting it down
        would. The lock is replaced because a thread of the parent may have held it during the fork.
        """
        self._forked = True
        self._lock = threading.Lock()
        sockets, self._sockets = list(self._sockets), weakref.WeakSet()
        websockets, self._websockets = list(self._websockets), weakref.WeakSet()
        for connected in sockets:
            with suppress(OSError):
                connected.close()
        for opened in websockets:
            opened.close_descriptor()
        self._pools = {}


class HTTPXStream:
    """A reply whose body is still arriving."""

    def __init__(
        self,
        module: Any,
        request: Request,
        patience: Patience,
        response: Any,
        limit_body: Callable[[float | None, Callable[[], TimeoutExpired]], AbstractContextManager[None]],
        release: Callable[[Any], None],
    ) -> None:
        self._release = release
        self._module = module
        self._limit_body = limit_body
        self._lock = threading.Lock()
        self._complete = False
        self._request = request
        self._patience = patience
        self._response = response
        self.head = common.response_head(response)
        self._deadline = math.inf if patience.whole is None else time.monotonic() + patience.whole

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes."""
        response = self._response
        if response.is_stream_consumed:  # by a client of the caller's, which has decoded it too
            for chunk in response.iter_bytes():
                yield chunk
            return
        unpacking = common.unpacker(self.head, self._patience)
        with common.translate_stream_errors(self._module, unpacking):
            for data in response.stream:
                if unpacking is None:
                    if data:
                        yield data
                    continue
                for chunk in unpacking.feed(data):
                    yield chunk
                if unpacking.failure is not None:
                    self.abort()  # but read on to the end, which is near: generators must not be left open
        self._mark_complete()

    def deliver(self, take: Callable[[bytes], bool]) -> None:
        """Hand the body on as it comes, all at once that has come at once."""
        coalesce(self.chunks(), self._response.extensions.get("network_stream"), take)

    def read(self, seconds: float | None = None) -> bytes:
        """Return the whole body, within the bound of the request, and within some seconds if given."""
        if self.head.unsupported_coding is not None and self.head.status >= 300:
            return b""  # an error status needs no body, so a coding that was not requested is no error
        make_error = partial(
            self._patience.timeout_error, self._request.url, seconds, status=self.head.status
        )
        with self._limit_body(seconds, make_error):
            return self._read(math.inf if seconds is None else time.monotonic() + seconds, make_error)

    def _read(self, deadline: float, make_error: Callable[[], TimeoutExpired]) -> bytes:
        parts: list[bytes] = []
        size = 0
        deadline = min(deadline, self._deadline)
        drop_after = common.drop_after_bytes(self.head)
        try:
            for chunk in self.chunks():
                size += len(chunk)
                if size > self._patience.max_bytes:
                    raise self._patience.size_error(self._request.url)
                if time.monotonic() > deadline:
                    raise make_error()
                parts.append(chunk)
                if size == drop_after:
                    self.abort()
        except StreamEnded as error:
            raise common.incomplete_body_error(
                self._request, self._patience, self.head, error.closed
            ) from error
        return b"".join(parts)

    def abort(self) -> None:
        """Wake a reader that is blocked in another thread: closing would not, shutting down does."""
        with self._lock:
            # After a complete reply there is no reader to wake, and the pool may give its connection to
            # another request at any moment.
            if not self._complete:
                common.shut_down_response(self._response)

    def close(self) -> None:
        """Give the connection back, or drop it if the body is not at its end."""
        self._mark_complete()
        self._release(self._response)
        with suppress(Exception):
            self._response.close()

    def _mark_complete(self) -> None:
        with self._lock:
            self._complete = True
