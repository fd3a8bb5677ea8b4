# SPDX-License-Identifier: Apache-2.0
"""The async engine over httpx (or httpx2), on asyncio and trio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

import anyio

from ..errors import LocalProtocolError
from ..protocol.commands import Request, Response
from ..protocol.multipart import Multipart
from . import httpx_common as common
from .base import AsyncWebSocket, Patience, StreamEnded
from .coalescing import coalesce_async
from .request_body import body_seconds, form_blocks_async
from .settings import HTTPSettings


class AsyncHTTPXEngine:
    """Async I/O over httpx."""

    def __init__(self, settings: HTTPSettings, client: Any = None) -> None:
        self._settings = settings
        self._module = common.load(settings.library)
        self._client = client
        self._routes = common.Routes(settings)
        self._pools: dict[common.Route, Any] = {}
        self._closed = False

    def _pool(self, url: str) -> Any:
        """Return the pool of connections for a URL."""
        if self._closed:
            raise LocalProtocolError("The transport is closed.")
        route = self._routes.find(url)
        if route not in self._pools:
            options = common.transport_options(self._module, self._settings, route)
            self._pools[route] = self._module.AsyncHTTPTransport(**options)
        return self._pools[route]

    async def request(self, request: Request, patience: Patience) -> Response:
        """Send a request and return the whole reply."""
        with anyio.move_on_after(patience.whole) as scope:
            if patience.whole is None or isinstance(request.body, Multipart):
                stream = await self.stream(request, patience)
            else:  # the bound of the whole request bounds its head too
                stream = await self._stream(request, patience, scope)
            try:
                body = await stream.read(body_seconds(request, patience))
            finally:
                await stream.aclose()
            return stream.head.with_body(body)
        raise patience.timeout_error(request.url)

    async def stream(self, request: Request, patience: Patience) -> AsyncHTTPXStream:
        """Send a request and return as soon as the head of its reply has come."""
        # Sending a form may take any time; the wait for the head is bounded by `_upload_trace`.
        seconds = None if isinstance(request.body, Multipart) else patience.head
        with anyio.move_on_after(seconds) as scope:
            return await self._stream(request, patience, scope)
        raise patience.timeout_error(request.url)

    async def _stream(
        self, request: Request, patience: Patience, scope: anyio.CancelScope
    ) -> AsyncHTTPXStream:
        with common.translate_errors(self._module, request, patience):
            body = None if isinstance(request.body, Multipart) else request.body
            extensions = _upload_trace(scope, request, patience)
            if self._client is not None:
                prepared = self._client.build_request(
                    **common.client_arguments(self._module, request, patience),
                    content=body,
                    extensions=extensions,
                )
                prepared.stream = _body_class(self._module)(request.body)
                response = await self._client.send(prepared, stream=True, follow_redirects=False)
            else:
                prepared = common.build_request(self._module, request, patience, body, **extensions)
                prepared.stream = _body_class(self._module)(request.body)
                response = await self._pool(request.url).handle_async_request(prepared)
                response.request = prepared
        return AsyncHTTPXStream(self._module, request, patience, response)

    async def websocket(
        self, url: str, headers: Mapping[str, str], patience: Patience, max_message_bytes: int
    ) -> AsyncWebSocket:
        """Open a websocket: websocket-client in a worker thread for each live socket."""
        from .websocket_client import open_websocket_async

        return await open_websocket_async(url, headers, patience, max_message_bytes, self._settings)

    async def aclose(self) -> None:
        """Close every connection."""
        self._closed = True
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            await pool.aclose()


def _upload_trace(scope: anyio.CancelScope, request: Request, patience: Patience) -> dict[str, Any]:
    """Return the request extensions that bound the wait for the head from when a form is sent."""
    silence = patience.silence
    if silence is None or not isinstance(request.body, Multipart):
        return {}

    async def trace(event: str, info: Mapping[str, Any]) -> None:
        if event.endswith("receive_response_headers.started"):
            scope.deadline = anyio.current_time() + silence

    return {"trace": trace}


@lru_cache(maxsize=2)
def _body_class(module: Any) -> Any:
    """Return the class of request bodies.

    Why not the library's own: they are iterated by async generators, and a request that is cancelled while
    it is sent would leave those open.
    """

    class Body(module.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, body: bytes | Multipart | None) -> None:
            self._body = body

        def __aiter__(self) -> AsyncIterator[bytes]:
            if isinstance(self._body, Multipart):
                return form_blocks_async(self._body)
            return _SingleBlock(self._body or b"")

    return Body


class _SingleBlock:
    def __init__(self, block: bytes) -> None:
        self._blocks = iter((block,))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return next(self._blocks)
        except StopIteration:
            raise StopAsyncIteration from None


class AsyncHTTPXStream:
    """A reply whose body is still arriving."""

    def __init__(self, module: Any, request: Request, patience: Patience, response: Any) -> None:
        self._module = module
        self._request = request
        self._patience = patience
        self._response = response
        self.head = common.response_head(response)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        response = self._response
        if response.is_stream_consumed:  # by a client of the caller's, which has decoded it too
            async for chunk in response.aiter_bytes():
                yield chunk
            return
        unpacking = common.unpacker(self.head, self._patience)
        with common.translate_stream_errors(self._module, unpacking):
            async for data in response.stream:
                if unpacking is None:
                    if data:
                        yield data
                    continue
                for chunk in unpacking.feed(data):
                    yield chunk
                if unpacking.failure is not None:
                    self.abort()  # but read on to the end, which is near: generators must not be left open

    async def deliver(self, take: Callable[[bytes], Awaitable[None]]) -> None:
        """Hand the body on as it comes, all at once that has come at once."""
        await coalesce_async(self.chunks(), self._response.extensions.get("network_stream"), take)

    async def read(self, seconds: float | None = None) -> bytes:
        """Return the whole body, within the bound of the request, and within some seconds if given."""
        if self.head.unsupported_coding is not None and self.head.status >= 300:
            return b""  # an error status needs no body, so a coding that was not requested is no error
        with anyio.move_on_after(seconds):
            return await self._read()
        raise self._patience.timeout_error(self._request.url, seconds, status=self.head.status)

    async def _read(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        drop_after = common.drop_after_bytes(self.head)
        try:
            async for chunk in self.chunks():
                size += len(chunk)
                if size > self._patience.max_bytes:
                    # Read on to the end, which is near now: generators must not be left open.
                    self.abort()
                    continue
                parts.append(chunk)
                if size == drop_after:
                    self.abort()
        except StreamEnded as error:
            if size > self._patience.max_bytes:
                raise self._patience.size_error(self._request.url) from None
            raise common.incomplete_body_error(
                self._request, self._patience, self.head, error.closed
            ) from error
        if size > self._patience.max_bytes:
            raise self._patience.size_error(self._request.url)
        return b"".join(parts)

    def abort(self) -> None:
        """Shut down the connection of the reply. The pool finds it closed and does not use it again."""
        common.shut_down_response(self._response)

    async def aclose(self) -> None:
        """Give the connection back, or drop it if the body is not at its end."""
        with anyio.CancelScope(shield=True), suppress(Exception):
            await self._response.aclose()
