# SPDX-License-Identifier: Apache-2.0
"""The sync engine over httpx (or httpx2): one pool of connections for each way to go."""

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
from .base import Closing, Interruption, Patience, StreamEnded, WebSocket
from .read_batches import gather
from .request_body import for_the_rest, pieces
from .settings import HTTPSettings

_PIECE_BYTES = 16 * 1024
"""How much is written between two looks at the clock, where somebody waits for the end."""


class _Bound(threading.local):
    """Until when this thread waits for what it reads, however much comes meanwhile.

    Attributes:
        whole: For the whole reply.
        ends: For what is read now: the head of a reply, or all of it.
        error: Returns the error for what is not there by then.
        interruption: Of the request whose head is read now.
    """

    whole = math.inf
    ends = math.inf
    error: Callable[[], TimeoutExpired]
    interruption: Interruption | None = None

    def within(self, timeout: float | None) -> float | None:
        """Return how long the next wait may take.

        Raises:
            TimeoutExpired: No longer at all.
        """
        if self.ends == math.inf:
            return timeout
        left = self.ends - time.monotonic()
        if left <= 0:
            raise self.error()
        return left if timeout is None else min(timeout, left)


class HTTPXEngine:
    """Sync I/O over httpx."""

    def __init__(self, settings: HTTPSettings, client: Any = None) -> None:
        self._settings = settings
        self._module = common.load(settings.library)
        self._lock = threading.Lock()
        self._given = client
        self._routes = common.Routes(settings)
        self._pools: dict[common.Route, Any] = {}
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._websockets: weakref.WeakSet[Any] = weakref.WeakSet()
        self._asking: weakref.WeakSet[Any] = weakref.WeakSet()
        """Connections with a request that somebody holds the reply of, or waits for it."""
        self._closed = False
        self._orphaned = False
        self._bound = _Bound()

    def _pool(self, url: str) -> Any:
        """Return the connections by which a URL is reached."""
        route = self._routes.of(url)
        with self._lock:
            if self._closed:
                raise LocalProtocolError("The transport is closed.")
            if route not in self._pools:
                options = common.transport_options(self._module, self._settings, route)
                self._pools[route] = self._module.HTTPTransport(**options)
            return self._pools[route]

    def _send(self, request: Request, patience: Patience) -> Any:
        self._bound.error = partial(patience.too_late, request.url)
        with (
            common.translated(self._module, request, patience),
            self._bounded(),
            self._interruptible(patience.interruption),
        ):
            body = pieces(request.body) if isinstance(request.body, Multipart) else request.body
            trace = partial(self._traced, patience.silence)
            if self._given is not None:
                return self._send_by_client(request, patience, body, trace)
            built = common.built(self._module, request, patience, body, trace=trace)
            response = self._pool(request.url).handle_request(built)
            response.request = built
            return response

    def _send_by_client(self, request: Request, patience: Patience, body: Any, trace: Any) -> Any:
        if self._orphaned:
            raise LocalProtocolError(
                "The HTTP client that was given belongs to the parent process. Connect anew with one of this "
                "process's own."
            )
        built = self._given.build_request(
            **common.arguments(self._module, request, patience),
            content=body,
            extensions={"trace": trace},
        )
        return self._given.send(built, stream=True, follow_redirects=False)

    def _traced(self, silence: float | None, event: str, info: Mapping[str, Any]) -> None:
        # The only public way to the socket of a request whose reply has not come yet; `close` needs it.
        if event.endswith(("connect_tcp.complete", "start_tls.complete", "connect_unix_socket.complete")):
            self._connected(info["return_value"])
        elif silence is not None and event.endswith("receive_response_headers.started"):
            self._bound.ends = min(self._bound.ends, time.monotonic() + silence)

    def _connected(self, stream: Any) -> None:
        connected = stream.get_extra_info("socket")
        if connected is None:
            return
        self._hasten(stream)
        with self._lock:
            self._sockets.add(connected)
            late = self._closed  # it was on its way when `close` went through the list
        if late:
            common.shut_down_socket(connected)

    def _hasten(self, stream: Any) -> None:
        """Have a connection keep to the bounds of whoever uses it, and be closed under nobody.

        The library waits as long for each piece, and so without end for a head that comes byte by byte, or
        a server that takes a body so; and its pool closes connections under the threads that read from them.
        """
        read, write, told, bound = stream.read, stream.write, stream.get_extra_info, self._bound
        shut_down = partial(common.shut_down_connection, stream)
        in_use = Closing(shut_down, common.closing(stream))

        def hastened(max_bytes: int, timeout: float | None = None) -> Any:
            if bound.interruption is not None:
                bound.interruption.waits(shut_down)
            with in_use:
                if common.was_shut_down(stream):
                    return b""
                data = read(max_bytes, bound.within(timeout))
                return b"" if common.was_shut_down(stream) else data

        def hastened_write(buffer: bytes, timeout: float | None = None) -> None:
            size = len(buffer) if bound.ends == math.inf else _PIECE_BYTES
            self._asking.add(stream)
            try:
                with in_use:
                    for start in range(0, len(buffer), max(size, 1)):
                        write(buffer[start : start + size], bound.within(timeout))
            except Exception:
                if common.was_shut_down(stream):
                    raise common.not_available(stream) from None
                raise

        def get_extra_info(info: str) -> Any:
            # The pool takes an idle connection that has something to read for one that the server has closed.
            # It looks for both one after the other, and meanwhile a thread may have asked, and been answered.
            return False if info == "is_readable" and stream in self._asking else told(info)

        stream.read, stream.write, stream.close = hastened, hastened_write, in_use.close
        stream.get_extra_info = get_extra_info

    @contextmanager
    def _bounded(self, seconds: float | None = None) -> Generator[None, None, None]:
        """Bound what this thread reads meanwhile; within that a reply's head has a bound of its own."""
        bound = self._bound
        before = bound.whole
        if seconds is not None:
            bound.whole = bound.ends = time.monotonic() + seconds
        try:
            yield
        finally:
            bound.whole = bound.ends = before

    @contextmanager
    def _until(
        self, seconds: float | None, error: Callable[[], TimeoutExpired]
    ) -> Generator[None, None, None]:
        """Bound what this thread reads of a reply's body; see `_bounded`."""
        if seconds is not None:
            self._bound.error = error
            seconds = min(seconds, self._bound.ends - time.monotonic())
        with self._bounded(seconds):
            yield

    @contextmanager
    def _interruptible(self, interruption: Interruption | None) -> Generator[None, None, None]:
        """Let this thread be woken while it waits for a head; after that its stream can be aborted."""
        self._bound.interruption = interruption
        try:
            yield
        finally:
            self._bound.interruption = None
            if interruption is not None:
                interruption.waits(None)

    def request(self, request: Request, patience: Patience) -> Response:
        """Send a request and return the whole reply."""
        with self._bounded(patience.whole):
            stream = self.stream(request, patience)
            try:
                body = stream.read(for_the_rest(request, patience))
            finally:
                stream.close()
        return stream.head.with_body(body)

    def stream(self, request: Request, patience: Patience) -> HTTPXStream:
        """Send a request and return as soon as the head of its reply has come."""
        response = self._send(request, patience)
        return HTTPXStream(self._module, request, patience, response, self._until, self._answered)

    def _answered(self, response: Any) -> None:
        """Take note that a reply is given back: its connection may be asked again."""
        self._asking.discard(response.extensions.get("network_stream"))

    def websocket(
        self, url: str, headers: Mapping[str, str], patience: Patience, max_message_bytes: int
    ) -> WebSocket:
        """Open a websocket, by websocket-client."""
        from .websocket_client import connect

        if self._closed:
            raise LocalProtocolError("The transport is closed.")
        opened = connect(url, headers, patience, max_message_bytes, self._settings)
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
        if self._given is not None:
            return
        for connected in sockets:
            common.shut_down_socket(connected)
        for pool in pools:
            pool.close()

    def reset_after_fork(self) -> None:
        """In a child of ``fork``: open connections of its own. Those of the parent stay as they are.

        Closing a socket here does not end its connection while the parent has it; shutting it down would.
        """
        self._orphaned = True
        self._lock = threading.Lock()
        sockets, self._sockets = list(self._sockets), weakref.WeakSet()
        websockets, self._websockets = list(self._websockets), weakref.WeakSet()
        for connected in sockets:
            with suppress(OSError):
                connected.close()
        for opened in websockets:
            opened.leave()
        self._pools = {}


class HTTPXStream:
    """A reply whose body is still coming."""

    def __init__(
        self,
        module: Any,
        request: Request,
        patience: Patience,
        response: Any,
        until: Callable[[float | None, Callable[[], TimeoutExpired]], AbstractContextManager[None]],
        answered: Callable[[Any], None],
    ) -> None:
        self._answered = answered
        self._module = module
        self._until = until
        self._lock = threading.Lock()
        self._complete = False
        self._request = request
        self._patience = patience
        self._response = response
        self.head = common.head(response)
        self._ends = math.inf if patience.whole is None else time.monotonic() + patience.whole

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes."""
        response = self._response
        if response.is_stream_consumed:  # by a client of the caller's, which has unpacked it too
            for chunk in response.iter_bytes():
                yield chunk
            return
        unpacking = common.unpacker(self.head, self._patience)
        with common.stream_translated(self._module, unpacking):
            for data in response.stream:
                if unpacking is None:
                    if data:
                        yield data
                    continue
                for chunk in unpacking.feed(data):
                    yield chunk
                if unpacking.broken is not None:
                    self.abort()  # and read on to the end, which is near: generators must not be left open
        self._finished()

    def each(self, take: Callable[[bytes], bool]) -> None:
        """Hand the body on as it comes, all at once that has come at once."""
        gather(self.chunks(), self._response.extensions.get("network_stream"), take)

    def read(self, seconds: float | None = None) -> bytes:
        """Return the whole body, within the bound of the request, and within some seconds if given."""
        if self.head.foreign_coding is not None and self.head.status >= 300:
            return b""  # the status says enough
        late = partial(self._patience.too_late, self._request.url, seconds, status=self.head.status)
        with self._until(seconds, late):
            return self._read(math.inf if seconds is None else time.monotonic() + seconds, late)

    def _read(self, ends: float, late: Callable[[], TimeoutExpired]) -> bytes:
        parts: list[bytes] = []
        size = 0
        ends = min(ends, self._ends)
        spoiled_at = common.spoiled_at(self.head)
        try:
            for chunk in self.chunks():
                size += len(chunk)
                if size > self._patience.max_bytes:
                    raise self._patience.too_large(self._request.url)
                if time.monotonic() > ends:
                    raise late()
                parts.append(chunk)
                if size == spoiled_at:
                    self.abort()
        except StreamEnded as error:
            raise common.broken_off(self._request, self._patience, self.head, error.closed) from error
        return b"".join(parts)

    def abort(self) -> None:
        """Wake a reader that is blocked in another thread: closing would not, shutting down does."""
        with self._lock:
            # Nobody is blocked in a reply that is complete, and its connection may be another's any moment.
            if not self._complete:
                common.shut_down(self._response)

    def close(self) -> None:
        """Give the connection back, or drop it if the body is not at its end."""
        self._finished()
        self._answered(self._response)
        with suppress(Exception):
            self._response.close()

    def _finished(self) -> None:
        with self._lock:
            self._complete = True
