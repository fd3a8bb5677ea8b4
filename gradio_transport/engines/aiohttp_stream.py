# SPDX-License-Identifier: Apache-2.0
"""The reply of the async engine over aiohttp, while its body is still arriving."""

from __future__ import annotations

import asyncio
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
from .content_coding import Unpacker
from .proxies import Proxy, add_proxy
from .replies import WholeBody, drop_after_bytes, incomplete_body_error, reason, unpacker
from .routes import Route

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection


def response_head(response: aiohttp.ClientResponse, proxy: Proxy | None = None) -> Response:
    """Return the head of a reply in our own type.

    Args:
        response: That of aiohttp.
        proxy: One that may have replied in the server's place.
    """
    headers = {name.lower(): value for name, value in response.headers.items()}
    cookies = tuple(response.headers.getall("set-cookie")) if "set-cookie" in headers else ()
    shown = "" if proxy is None else str(proxy)
    return Response(response.status, headers, url=str(response.url), set_cookie=cookies, proxy=shown)


_used: weakref.WeakSet[ResponseHandler] = weakref.WeakSet()
"""The connections that have served a request."""


class StaleConnectionError(aiohttp.ClientConnectionError):
    """A connection that had served another request ended before the head of the reply came."""


def _is_unanswered(error: BaseException) -> bool:
    """Return whether a connection ended before a byte of a reply came.

    After a reset aiohttp does not say whether a part of a head had come.
    """
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return isinstance(error.message, str)  # else the part of the head that came
    return isinstance(error, aiohttp.ClientOSError)


_head_deadline: ContextVar[tuple[asyncio.Timeout, Patience] | None] = ContextVar(
    "head_deadline", default=None
)


@contextmanager
def bound_head(deadline: asyncio.Timeout, patience: Patience) -> Generator[None, None, None]:
    """Have a reply of this task move a deadline to when its head is due, once there is a connection.

    Why not aiohttp's ``sock_read``: each byte of the head extends that.
    """
    token = _head_deadline.set((deadline, patience))
    try:
        yield
    finally:
        _head_deadline.reset(token)


class Reply(aiohttp.ClientResponse):
    """A reply that keeps its connection in view, and drops one that must not be used again.

    aiohttp gives the connection back to its pool with the last byte of the body; `connection` is None then.

    Attributes:
        protocol: aiohttp's end of the connection, or None if that was lost at once.
        transport: asyncio's end of it.
    """

    protocol: ResponseHandler | None = None
    transport: asyncio.Transport | None = None

    async def start(self, connection: Connection) -> Self:
        """Wait for the head, and abort the connection if the wait ends early.

        Why not close it: that first waits until pending data is written, to a server that may never read it.
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
        if self.transport is not None and drop_after_bytes(response_head(self)) is not None:
            # Called after aiohttp gave the connection back, but in the same step of the event loop, also for
            # a body that came with its head. The pool passes over a connection that is being closed.
            self.content.on_eof(self.transport.abort)
        self._end_with_connection()
        return self

    def _end_with_connection(self) -> None:
        """End the body when its connection ends, whatever ended that.

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

        closed.remove_done_callback(_retrieve_error)  # that of a reply before on the same connection
        closed.add_done_callback(_retrieve_error)
        closed.add_done_callback(end_body)
        content.on_eof(forget_body)


def _retrieve_error(closed: asyncio.Future[None]) -> None:
    """Read the error of a lost connection; asyncio would log one that is never read."""
    if not closed.cancelled():
        closed.exception()


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
        self._chunks: Iterator[bytes] = iter(())
        self._proxy = route.proxy
        self.head = response_head(response, route.forwarder)

    async def _next_chunk(self) -> bytes:
        """Return the next decoded bytes, or none once the body is complete."""
        unpacking = self._unpacking = self._unpacking or unpacker(self.head, self._patience)
        if unpacking is not None:
            await asyncio.sleep(0)  # one read may unpack to any number of chunks
        while (chunk := next(self._chunks, None)) is None:
            if unpacking is not None and unpacking.failure is not None:
                self.abort()
                raise StreamEnded(Closed(Ending.RESET, reason=unpacking.failure))
            data = await self._next_data()
            if unpacking is None or not data:
                return data
            self._chunks = unpacking.feed(data)
        return chunk

    async def _next_data(self) -> bytes:
        """Return the next bytes as received, or none once the body is complete."""
        if self._end is not None:
            raise self._end
        await anyio.lowlevel.checkpoint_if_cancelled()  # see `AsyncioStream`
        error: Exception | None = None
        try:
            chunk = await self._response.content.readany()
            if chunk or not (error := self._connection_error()):
                return chunk
        except (aiohttp.ClientError, OSError, RuntimeError) as caught:
            error = caught
        ending = Ending.IDLE if isinstance(error, TimeoutError) else Ending.RESET
        self._end = StreamEnded(Closed(ending, reason=add_proxy(reason(error), self._proxy)))
        self._end.__cause__ = error
        return self._take_buffered() or await self._next_data()

    def _connection_error(self) -> Exception | None:
        """Return why the connection broke, for a body whose only end is that of its connection.

        aiohttp ends such a body cleanly after a reset too.
        """
        headers, protocol = self.head.headers, self._response.protocol
        if protocol is None or "content-length" in headers or "transfer-encoding" in headers:
            return None
        error = protocol.exception()
        return error if isinstance(error, OSError) else None

    def _take_buffered(self) -> bytes:
        """Return what was received before the connection broke.

        aiohttp raises the error instead, from every way to read, and keeps the data behind it. Removing the
        error is the only way to that data, though `set_exception` does not say that it takes None. If it did
        not, the data would be lost as it is with aiohttp alone.
        """
        content = self._response.content
        with suppress(aiohttp.ClientError, OSError, RuntimeError, TypeError, AttributeError):
            content.set_exception(None)  # type: ignore[arg-type]
            return content.read_nowait()
        return b""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        while chunk := await self._next_chunk():
            yield chunk

    async def read(self, seconds: float | None = None) -> bytes:
        """Return the whole body, within the bound of the request, and within some seconds if given."""
        if self.head.status >= 300 and self.head.unsupported_coding is not None:
            return b""  # an error status needs no body, so a coding that was not requested is no error
        try:
            async with asyncio.timeout(seconds):
                return await self._read()
        except GradioTransportError:  # one that is late is a TimeoutError too
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
        """Give the connection back, or drop it if the body is not at its end."""
        if self._slots is None:
            return
        self._response.release()
        self._slots.release()
        self._slots = None
