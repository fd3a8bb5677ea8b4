# SPDX-License-Identifier: Apache-2.0
"""The sync engine: pools of httpcore for each route, over the library's own connections."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from ..errors import LocalProtocolError, StreamLost
from ..protocol.addresses import AddressRule
from ..protocol.commands import Ending, Request, Response
from ..protocol.multipart import Multipart
from .base import Patience, StreamEnded, WebSocket
from .bounds import Bounds, NotSentError
from .chunk_joining import ChunkJoiner
from .httpcore_common import SEND_ATTEMPTS, build_request, parse_url, request_error, translate_body_errors
from .keep_alive import KeptConnections
from .libraries import load_core
from .lookups import connection_rule
from .open_connections import OpenConnections
from .pools import Pool, PoolKey, Pools
from .proxies import describe_way, find_refusal
from .replies import WholeBody, incomplete_body_error, lost_error, response_head, unpacker
from .request_body import body_seconds, form_blocks
from .routes import Route, Routes, pool_options
from .settings import HTTPSettings
from .sockets import SocketBackend
from .socks import route_backend


class HTTPEngine:
    """Sync I/O over httpcore."""

    def __init__(self, settings: HTTPSettings) -> None:
        self._settings = settings
        self.name = settings.library
        self._core = load_core(settings.library)
        self._routes = Routes(settings)
        self._kept = KeptConnections()
        self._lock = threading.Lock()
        self._websockets: weakref.WeakSet[Any] = weakref.WeakSet()
        self._closed = False
        self._start_without_connections()

    def _start_without_connections(self) -> None:
        self.connections = OpenConnections(self._routes)
        self._backend = SocketBackend(self._core.WriteError, self.connections)
        self._pools = Pools(self._settings.connections)
        self._slots = threading.Semaphore(self._settings.connections)

    def _take_pool(self, url: str, addresses: AddressRule, seconds: float | None) -> Pool:
        """Wait until a connection may be used, and return a pool for a URL and an address rule."""
        if not self._slots.acquire(timeout=seconds):
            raise self._core.PoolTimeout("no connection became free")
        try:
            key = self._routes.find(url), self._kept.are_trusted(url), addresses
            with self._lock:
                if self._closed:
                    raise LocalProtocolError("The transport is closed.")
                return self._pools.take(key, partial(self._make_pool, key))
        except BaseException:
            self._slots.release()
            raise

    def _make_pool(self, key: PoolKey, room: int) -> Any:
        route, keeps, _ = key
        options = pool_options(self._core, self._settings, route, keeps) | {"max_connections": room}
        return self._core.ConnectionPool(network_backend=route_backend(self._backend, route), **options)

    def _release(self, pool: Pool) -> None:
        with self._lock:
            unused = self._pools.release(pool)
        self._slots.release()
        if unused is not None:
            unused.close()

    def request(self, request: Request, patience: Patience) -> Response:
        """Send a request and return the full reply."""
        stream = self._open(request, patience, None)
        try:
            body = stream.read(body_seconds(request, patience))
        finally:
            stream.close()
        return stream.head.with_body(body)

    def stream(self, request: Request, patience: Patience) -> HTTPStream:
        """Send a request and return as soon as the head of its reply has arrived."""
        return self._open(request, patience, ChunkJoiner())

    def _open(self, request: Request, patience: Patience, joiner: ChunkJoiner | None) -> HTTPStream:
        bounds = Bounds(patience, is_form=isinstance(request.body, Multipart), joiner=joiner)
        interruption = patience.interruption
        if interruption is not None:
            interruption.set_wake(bounds.shut_down)
        try:
            response, pool = self._send(request, patience, bounds)
        except BaseException as error:
            bounds.release()
            ours = request_error(self._core, error, request, patience, bounds, self._routes)
            if ours is error:
                raise
            if isinstance(ours, StreamLost) and ours.stale:
                self._kept.distrust(request.url)
            raise ours from getattr(error, "error", error)
        finally:
            if interruption is not None:
                interruption.set_wake(None)  # from here on the stream can be aborted
        bounds.begin_body()
        route = self._routes.find(request.url)
        stream = HTTPStream(
            self._core,
            request,
            patience,
            bounds,
            response,
            self._settings.library,
            route,
            partial(self._release, pool),
        )
        if route.forwarder is not None:
            refused = find_refusal(stream.head.status, request.url, route.forwarder, patience)
            if refused is not None:
                stream.close()
                raise refused
        return stream

    def _send(self, request: Request, patience: Patience, bounds: Bounds) -> tuple[Any, Pool]:
        """Send a request, and return the reply and the pool to release after it."""
        if patience.addresses is not AddressRule.ANY:
            host = parse_url(self._settings.library, request.url).url.host.decode()
            route = self._routes.find(request.url)
            bounds.addresses = connection_rule(request.url, host, route, patience)
        timeouts = bounds.timeouts()
        for _ in range(SEND_ATTEMPTS):
            body = form_blocks(request.body) if isinstance(request.body, Multipart) else request.body
            prepared = build_request(self._core, self._settings.library, request, timeouts, body)
            pool = self._take_pool(request.url, bounds.addresses, timeouts["pool"])
            try:
                return pool.core.handle_request(prepared), pool
            except BaseException as error:
                self._release(pool)
                if not isinstance(error, NotSentError):
                    raise
        way = describe_way(request.url, self._routes.find(request.url).proxy)
        raise lost_error(way, NotSentError("no connection stays open"), patience, sent=False)

    def websocket(
        self, url: str, headers: Mapping[str, str], patience: Patience, max_message_bytes: int
    ) -> WebSocket:
        """Open a websocket, by websocket-client."""
        from .websocket_client import open_websocket

        if self._closed:
            raise LocalProtocolError("The transport is closed.")
        opened = open_websocket(
            url, headers, patience, max_message_bytes, self._settings, self._backend, self._routes
        )
        with self._lock:
            self._websockets.add(opened)
            late = self._closed
        if late:
            opened.abort()
        return opened

    def close(self) -> None:
        """Close all connections. Blocked calls in other threads end at once."""
        with self._lock:
            self._closed = True
            pools = self._pools.clear()
            websockets = list(self._websockets)
        for opened in websockets:
            opened.abort()
        self._backend.close()
        for pool in pools:
            pool.close()

    def reset_after_fork(self) -> None:
        """Forget the parent's connections in a child of ``fork``, without ending them.

        Closing a socket here does not end its connection while the parent has it open. Shutting it down
        would. The lock is replaced because a thread of the parent may have held it during the fork.
        """
        self._lock = threading.Lock()
        websockets, self._websockets = list(self._websockets), weakref.WeakSet()
        self._backend.forget()
        for opened in websockets:
            opened.close_descriptor()
        self._start_without_connections()


class HTTPStream:
    """A reply whose body is still arriving."""

    def __init__(
        self,
        core: Any,
        request: Request,
        patience: Patience,
        bounds: Bounds,
        response: Any,
        library: str,
        route: Route,
        release: Callable[[], object],
    ) -> None:
        self._core = core
        self._release: Callable[[], object] | None = release
        self._request = request
        self._patience = patience
        self._bounds = bounds
        self._response = response
        self._proxy = route.proxy
        shown = parse_url(library, request.url).shown
        self.head = response_head(response.status, response.headers, shown, route.forwarder)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it arrives."""
        unpacking = unpacker(self.head, self._patience)
        with translate_body_errors(self._core, unpacking, self._proxy):
            for data in self._response.stream:
                if unpacking is None:
                    if data:
                        yield data
                    continue
                for piece in unpacking.feed(data):
                    if self._bounds.is_shut_down:  # the rest is not needed, and may be endless
                        break
                    self._bounds.seconds_left()
                    yield piece
                if unpacking.failure is not None:
                    self.abort()  # but read to the end, which is near, because generators must not stay open
        self._bounds.release()

    def read(self, seconds: float | None = None) -> bytes:
        """Return the full body, within the bound of the request, and within a timeout if given."""
        if self.head.status >= 300 and self.head.unsupported_coding is not None:
            return b""  # an error status needs no body, so an unrequested coding is not an error
        self._bounds.limit_body(seconds)
        body = WholeBody(self._request, self._patience, self.head)
        if body.is_to_drop:
            self.abort()
        try:
            for chunk in self.chunks():
                is_needed = body.add(chunk)
                if body.is_to_drop:
                    self.abort()
                if not is_needed:
                    break
        except StreamEnded as error:
            if error.closed.ending is Ending.IDLE and self._bounds.is_over:
                raise self._patience.timeout_error(
                    self._request.url, seconds, status=self.head.status
                ) from error
            raise incomplete_body_error(self._request, self._patience, self.head, error.closed) from error
        return body.content

    def abort(self) -> None:
        """Wake a reader that is blocked in another thread. Shutting down does that; closing would not."""
        self._bounds.shut_down()

    def close(self) -> None:
        """Return the connection to the pool, or drop it if the body has not ended."""
        self._bounds.release()
        release, self._release = self._release, None
        try:
            with suppress(Exception):
                self._response.close()
        finally:
            if release is not None:
                release()
