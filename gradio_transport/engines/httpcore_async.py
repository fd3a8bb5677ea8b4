# SPDX-License-Identifier: Apache-2.0
"""The async engine: pools of httpcore for each route, over its own connections, for asyncio and trio."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel

from ..errors import LocalProtocolError, StreamLost
from ..protocol.addresses import AddressRule
from ..protocol.commands import Ending, Request, Response
from ..protocol.multipart import Multipart
from .base import AsyncWebSocket, Patience, StreamEnded
from .bounds import Bounds, NotSentError
from .chunk_joining import ChunkJoiner
from .httpcore_common import SEND_ATTEMPTS, build_request, parse_url, request_error, translate_body_errors
from .keep_alive import KeptConnections
from .libraries import load_core
from .lookups import connection_rule_async
from .open_connections import OpenConnections
from .pools import Pool, PoolKey, Pools
from .proxies import describe_way, find_refusal
from .replies import WholeBody, incomplete_body_error, lost_error, response_head, unpacker
from .request_body import AsyncBody, body_seconds
from .routes import Route, Routes, pool_options
from .settings import HTTPSettings
from .sockets_async import AsyncSocketBackend
from .socks import async_route_backend


class AsyncHTTPEngine:
    """Async I/O over httpcore."""

    def __init__(self, settings: HTTPSettings) -> None:
        self._settings = settings
        self.name = settings.library
        self._core = load_core(settings.library)
        self._routes = Routes(settings)
        self.connections = OpenConnections(self._routes)
        self._kept = KeptConnections()
        self._backend = AsyncSocketBackend(self._core.WriteError, self.connections)
        self._pools = Pools(settings.connections)
        self._slots = anyio.Semaphore(settings.connections)
        self._closed = False

    async def _take_pool(self, url: str, addresses: AddressRule, seconds: float | None) -> Pool:
        """Wait until a connection may be used, and return a pool for a URL and an address rule."""
        try:
            # Why not always with a timeout: a cancel scope for each request takes time.
            self._slots.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(seconds) as waiting:
                await self._slots.acquire()
            if waiting.cancelled_caught:
                raise self._core.PoolTimeout("no connection became free") from None
        try:
            if self._closed:
                raise LocalProtocolError("The transport is closed.")
            key = self._routes.find(url), self._kept.are_trusted(url), addresses
            return self._pools.take(key, partial(self._make_pool, key))
        except BaseException:
            self._slots.release()
            raise

    def _make_pool(self, key: PoolKey, room: int) -> Any:
        route, keeps, _ = key
        options = pool_options(self._core, self._settings, route, keeps) | {"max_connections": room}
        backend = async_route_backend(self._backend, route)
        return self._core.AsyncConnectionPool(network_backend=backend, **options)

    async def _release(self, pool: Pool) -> None:
        unused = self._pools.release(pool)
        self._slots.release()
        if unused is not None:
            await unused.aclose()

    async def request(self, request: Request, patience: Patience) -> Response:
        """Send a request and return the full reply."""
        stream = await self._open(request, patience, None)
        try:
            body = await stream.read(body_seconds(request, patience))
        finally:
            await stream.aclose()
        return stream.head.with_body(body)

    async def stream(self, request: Request, patience: Patience) -> AsyncHTTPStream:
        """Send a request and return as soon as the head of its reply has arrived."""
        return await self._open(request, patience, ChunkJoiner())

    async def _open(
        self, request: Request, patience: Patience, joiner: ChunkJoiner | None
    ) -> AsyncHTTPStream:
        bounds = Bounds(patience, is_form=isinstance(request.body, Multipart), joiner=joiner)
        try:
            response, pool = await self._send(request, patience, bounds)
        except BaseException as error:
            bounds.release()
            ours = request_error(self._core, error, request, patience, bounds, self._routes)
            if ours is error:
                raise
            if isinstance(ours, StreamLost) and ours.stale:
                self._kept.distrust(request.url)
            raise ours from getattr(error, "error", error)
        bounds.begin_body()
        route = self._routes.find(request.url)
        stream = AsyncHTTPStream(
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
                await stream.aclose()
                raise refused
        return stream

    async def _send(self, request: Request, patience: Patience, bounds: Bounds) -> tuple[Any, Pool]:
        """Send a request, and return the reply and the pool to release after it."""
        if patience.addresses is not AddressRule.ANY:
            host = parse_url(self._settings.library, request.url).url.host.decode()
            route = self._routes.find(request.url)
            bounds.addresses = await connection_rule_async(request.url, host, route, patience)
        timeouts = bounds.timeouts()
        for _ in range(SEND_ATTEMPTS):
            body = AsyncBody(request.body)
            prepared = build_request(self._core, self._settings.library, request, timeouts, body)
            pool = await self._take_pool(request.url, bounds.addresses, timeouts["pool"])
            try:
                return await pool.core.handle_async_request(prepared), pool
            except BaseException as error:
                await self._release(pool)
                if not isinstance(error, NotSentError):
                    raise
        way = describe_way(request.url, self._routes.find(request.url).proxy)
        raise lost_error(way, NotSentError("no connection stays open"), patience, sent=False)

    async def websocket(
        self, url: str, headers: Mapping[str, str], patience: Patience, max_message_bytes: int
    ) -> AsyncWebSocket:
        """Open a websocket: websocket-client in a worker thread for each live socket."""
        from .websocket_client import open_websocket_async

        return await open_websocket_async(
            url, headers, patience, max_message_bytes, self._settings, routes=self._routes
        )

    async def aclose(self) -> None:
        """Close every connection."""
        self._closed = True
        for pool in self._pools.clear():
            await pool.aclose()
        await anyio.lowlevel.cancel_shielded_checkpoint()  # in which asyncio closes the sockets


class AsyncHTTPStream:
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
        release: Callable[[], Awaitable[object]],
    ) -> None:
        self._core = core
        self._release: Callable[[], Awaitable[object]] | None = release
        self._request = request
        self._patience = patience
        self._bounds = bounds
        self._response = response
        self._proxy = route.proxy
        shown = parse_url(library, request.url).shown
        self.head = response_head(response.status, response.headers, shown, route.forwarder)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives."""
        unpacking = unpacker(self.head, self._patience)
        received = aiter(self._response.stream)
        try:
            with translate_body_errors(self._core, unpacking, self._proxy):
                async for data in received:
                    if unpacking is None:
                        if data:
                            yield data
                        continue
                    for place, piece in enumerate(unpacking.feed(data)):
                        if place:  # a read may decompress to any number of pieces
                            self._bounds.seconds_left()
                            await anyio.lowlevel.checkpoint()
                        yield piece
                    if unpacking.failure is not None:
                        self.abort()
            self._bounds.release()
        except BaseException:
            await self._run_out(received)
            raise

    async def _run_out(self, received: AsyncIterator[bytes]) -> None:
        """Read to the end, which is near after the connection is shut down.

        The generators of httpcore must not stay open: the event loop would close them at some later time.
        """
        self.abort()
        with anyio.CancelScope(shield=True), suppress(Exception):
            async for _ in received:
                pass

    async def read(self, seconds: float | None = None) -> bytes:
        """Return the full body, within the bound of the request, and within a timeout if given."""
        if self.head.status >= 300 and self.head.unsupported_coding is not None:
            return b""  # an error status needs no body, so an unrequested coding is not an error
        self._bounds.limit_body(seconds)
        try:
            async with aclosing(self.chunks()) as chunks:
                return await self._join(chunks)
        except StreamEnded as error:
            if error.closed.ending is Ending.IDLE and self._bounds.is_over:
                raise self._patience.timeout_error(
                    self._request.url, seconds, status=self.head.status
                ) from error
            raise incomplete_body_error(self._request, self._patience, self.head, error.closed) from error

    async def _join(self, chunks: AsyncIterator[bytes]) -> bytes:
        body = WholeBody(self._request, self._patience, self.head)
        if body.is_to_drop:
            self.abort()
        async for chunk in chunks:
            is_needed = body.add(chunk)
            if body.is_to_drop:
                self.abort()
            if not is_needed:
                break
        return body.content

    def abort(self) -> None:
        """Shut down the connection of the reply. The pool finds it closed and does not reuse it."""
        self._bounds.shut_down()

    async def aclose(self) -> None:
        """Return the connection to the pool, or drop it if the body has not ended."""
        self._bounds.release()
        release, self._release = self._release, None
        try:
            with suppress(Exception):
                await self._response.aclose()
        finally:
            if release is not None:
                await release()
