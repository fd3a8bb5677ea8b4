# SPDX-License-Identifier: Apache-2.0
"""The reply of the async engine over aiohttp, while its body is still arriving."""

from __future__ import annotations

import asyncio
import math
import time
import weakref
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Self

import aiohttp
import anyio.lowlevel

from ..errors import GradioTransportError
from ..protocol.commands import Closed, Ending, Request, Response
from .base import Patience, StreamEnded
from .cancel_checks import cancel_checks
from .content_coding import Unpacker
from .proxies import Proxy, add_proxy
from .replies import WholeBody, drop_after_bytes, incomplete_body_error, reason, unpacker
from .routes import Route

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection


def response_head(response: aiohttp.ClientResponse, proxy: Proxy | None = None) -> Response:
    """Return the head of a reply in the library's type.

    Args:
        response: The reply of aiohttp.
        proxy: A proxy that may have replied in place of the server.
    """
    headers = {name.lower(): value for name, value in response.headers.items()}
    cookies = tuple(response.headers.getall("set-cookie")) if "set-cookie" in headers else ()
    shown = "" if proxy is None else str(proxy)
    return Response(response.status, headers, url=str(response.url), set_cookie=cookies, proxy=shown)


_used: weakref.WeakSet[ResponseHandler] = weakref.WeakSet()
"""Connections that have served a request."""


class StaleConnectionError(aiohttp.ClientConnectionError):
    """A reused connection ended before the head of the reply arrived."""


def _is_unanswered(error: BaseException) -> bool:
    """Return whether a connection ended before the first byte of a reply.

    After a reset aiohttp does not report whether a part of a head had arrived.
    """
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return isinstance(error.message, str)  # else the received part of the head
    return isinstance(error, aiohttp.ClientOSError)


_head_deadline: ContextVar[tuple[asyncio.Timeout, Patience] | None] = ContextVar(
    "head_deadline", default=None
)


@contextmanager
def bound_head(deadline: asyncio.Timeout, patience: Patience) -> Generator[None, None, None]:
    """Make a reply of this task set a deadline for its head when there is a connection.

    Why not aiohttp's ``sock_read``: each byte of the head extends that.
    """
    token = _head_deadline.set((deadline, patience))
    try:
        yield
    finally:
        _head_deadline.reset(token)


class Reply(aiohttp.ClientResponse):
    """A reply that tracks its connection, and drops it if it must not be reused.

    aiohttp returns the connection to its pool after the last byte of the body; `connection` is then None.

    Attributes:
        protocol: aiohttp's end of the connection, or None if that was lost at once.
        transport: asyncio's end of it.
    """

    protocol: ResponseHandler | None = None
    transport: asyncio.Transport | None = None

    async def start(self, connection: Connection) -> Self:
        """Wait for the head, and abort the connection if the wait ends early.

        Why not close it: that first waits until pending data is written to a server that may never read it.
        """
        self.protocol, self.transport = connection.protocol, connection.transport
        is_reused = self.protocol in _used
        if (bound := _head_deadline.get()) is not None:
            deadline, patience = bound
            seconds = patience.silence_seconds
            deadline.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)
        try:
            await super().start(connection)
        except BaseException as error:
            if self.transport is not None:
                self.transport.abort()
            if is_reused and _is_unanswered(error):
                raise StaleConnectionError(str(error)) from error
            raise
        if self.protocol is not None:
            _used.add(self.protocol)
        # Only the connection of an error is dropped, and most replies need no head here.
        is_error = self.status >= 500
        if is_error and self.transport is not None and drop_after_bytes(response_head(self)) is not None:
            # Called after aiohttp returned the connection to the pool, but in the same step of the event
            # loop, even for a body that arrived with its head. The pool skips a closing connection.
            self.content.on_eof(self.transport.abort)
        self._end_with_connection()
        return self

    def track(self, transports: set[asyncio.Transport]) -> None:
        """Keep the connection in a set until it has ended.

        Why not a set of weak references: transports of uvloop have none.
        """
        protocol, transport = self.protocol, self.transport
        closed = None if protocol is None else protocol.closed
        if transport is None or closed is None or transport in transports:
            return

        def forget(closed: asyncio.Future[None]) -> None:
            transports.discard(transport)
            _retrieve_error(closed)

        transports.add(transport)
        closed.add_done_callback(forget)

    def _end_with_connection(self) -> None:
        """End the body when its connection ends for any reason.

        After an invalid chunk size aiohttp 3.14 drops the connection and the body, but does not wake a task
        that waits for more of it. That task would wait forever.
        """
        protocol, content = self.protocol, self.content
        closed = protocol.closed if protocol is not None and not content.is_eof() else None
        if protocol is None or closed is None:
            return

        def end_body(_: asyncio.Future[None]) -> None:
            error = protocol.exception()
            if error is not None and not content.is_eof() and content.exception() is None:
                content.set_exception(aiohttp.ClientPayloadError(str(error)))

        def forget_body() -> None:
            closed.remove_done_callback(end_body)

        closed.remove_done_callback(_retrieve_error)  # that of an earlier reply on the same connection
        closed.add_done_callback(_retrieve_error)
        closed.add_done_callback(end_body)
        content.on_eof(forget_body)


def _retrieve_error(closed: asyncio.Future[None]) -> None:
    """Read the error of a lost connection; asyncio would log one that is never read."""
    if not closed.cancelled():
        closed.exception()


class _Silence:
    """The bound of each wait for bytes of a body.

    Why not aiohttp's ``sock_read``: that replaces a timer with each packet. Here one timer serves a body. If
    bytes came before it fires, it only looks again later.
    """

    def __init__(self, patience: Patience, content: aiohttp.StreamReader) -> None:
        self._patience = patience
        self._content = content
        self._until: float | None = None
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Start to wait."""
        seconds = self._patience.silence_seconds
        if seconds is not None:
            self._until = time.monotonic() + seconds
            if self._until < self._due:  # no timer, or one that fires too late
                self._set_timer(seconds)

    def end(self) -> None:
        """Stop to wait, because there are bytes."""
        self._until = None

    def stop(self) -> None:
        """Remove the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self, seconds: float) -> None:
        self.stop()
        self._due = time.monotonic() + seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        self._due = math.inf
        if self._until is None:
            return
        left = self._until - time.monotonic()
        if left > 0:
            self._set_timer(left)
        else:
            self._content.set_exception(aiohttp.SocketTimeoutError("no data arrived in time"))


class AiohttpStream:
    """A reply whose body is still arriving."""

    def __init__(
        self,
        request: Request,
        patience: Patience,
        response: Reply,
        slots: asyncio.Semaphore,
        route: Route,
    ) -> None:
        self._request = request
        self._patience = patience
        self._response = response
        self._slots: asyncio.Semaphore | None = slots
        self._end: StreamEnded | None = None
        self._unpacking: Unpacker | None = None
        self._is_unpacked = False
        self._is_check_due = cancel_checks()
        self._chunks: Iterator[bytes] = iter(())
        self._silence = _Silence(patience, response.content)
        self._proxy = route.proxy
        self.head = response_head(response, route.forwarder)
        self._is_chunked = "transfer-encoding" in self.head.headers

    async def _next_chunk(self) -> bytes:
        """Return the next decoded bytes, or no bytes at the end of the body."""
        if not self._is_unpacked:
            self._unpacking, self._is_unpacked = unpacker(self.head, self._patience), True
        unpacking = self._unpacking
        if unpacking is None:
            return await self._next_data()
        await asyncio.sleep(0)  # one read may decompress to any number of chunks
        while (chunk := next(self._chunks, None)) is None:
            if unpacking.failure is not None:
                self.abort()
                raise StreamEnded(Closed(Ending.RESET, reason=unpacking.failure))
            data = await self._next_data()
            if not data:
                return data
            self._chunks = unpacking.feed(data)
        return chunk

    async def _next_data(self) -> bytes:
        """Return the next bytes as received, or no bytes at the end of the body."""
        if self._end is not None:
            raise self._end
        if self._is_check_due():
            await anyio.lowlevel.checkpoint_if_cancelled()
        error: Exception | None = None
        try:
            chunk = await self._read_any()
            if chunk or not (error := self._connection_error()):
                return chunk
        except (aiohttp.ClientError, OSError, RuntimeError) as caught:
            error = caught
        ending = Ending.IDLE if isinstance(error, TimeoutError) else Ending.RESET
        self._end = StreamEnded(Closed(ending, reason=add_proxy(reason(error), self._proxy)))
        self._end.__cause__ = error
        return self._take_buffered() or await self._next_data()

    async def _read_any(self) -> bytes:
        """Return received data. That of several reads is joined only if it may be small."""
        content = self._response.content
        if self._is_chunked and (data := content.read_nowait()):
            return data
        if not content.is_eof():
            self._silence.begin()
        try:
            return await content.readany() if self._is_chunked else (await content.readchunk())[0]
        finally:
            self._silence.end()

    def _connection_error(self) -> Exception | None:
        """Return why the connection broke, for a body that ends with its connection.

        aiohttp ends such a body cleanly after a reset too.
        """
        headers, protocol = self.head.headers, self._response.protocol
        if protocol is None or "content-length" in headers or "transfer-encoding" in headers:
            return None
        error = protocol.exception()
        return error if isinstance(error, OSError) else None

    def _take_buffered(self) -> bytes:
        """Return the data received before the connection broke.

        aiohttp raises the error from every read method instead, and keeps the data behind it. Only removing
        the error gives access to the data, although `set_exception` is not documented to accept None. If it
        stopped accepting None, the data would be lost, as with plain aiohttp.
        """
        content = self._response.content
        with suppress(aiohttp.ClientError, OSError, RuntimeError, TypeError, AttributeError):
            content.set_exception(None)  # type: ignore[arg-type]
            return content.read_nowait()
        return b""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives."""
        while chunk := await self._next_chunk():
            yield chunk

    async def read(self, seconds: float | None = None) -> bytes:
        """Return the full body, within the bound of the request, and within a timeout if given."""
        if self.head.status >= 300 and self.head.unsupported_coding is not None:
            return b""  # an error status needs no body, so an unrequested coding is not an error
        if seconds is None:
            return await self._read()
        try:
            async with asyncio.timeout(seconds):
                return await self._read()
        except GradioTransportError:  # a late one is also a TimeoutError
            raise
        except TimeoutError:
            raise self._patience.timeout_error(self._request.url, seconds, status=self.head.status) from None

    async def _read(self) -> bytes:
        body = WholeBody(self._request, self._patience, self.head)
        try:
            while (chunk := await self._next_chunk()) and body.add(chunk):
                pass
        except StreamEnded as error:
            raise incomplete_body_error(self._request, self._patience, self.head, error.closed) from error
        return body.content

    def abort(self) -> None:
        """Drop the connection: a pending read of the body ends at once."""
        self._response.close()

    async def aclose(self) -> None:
        """Return the connection to the pool, or drop it if the body has not ended."""
        if self._slots is None:
            return
        self._silence.stop()
        self._response.release()
        self._slots.release()
        self._slots = None
