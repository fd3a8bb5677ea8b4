# SPDX-License-Identifier: Apache-2.0
"""The async engine over the caller's ``AsyncClient`` of httpx or httpx2.

A client has its own connections, so some guarantees of the default engine do not hold:

- The wait for the reply to a form is bounded for each read, not in total.
- A file of another origin is requested by the address of its host; see `client_sync`.
- Chunks that arrive together are passed on one by one.
- A stream that meets a kept connection which the server is closing is lost, because a client does not report
  which of its connections were kept.
- A request that is cancelled while it is sent may leave a generator of the library to the event loop.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from typing import Any

import anyio
import anyio.lowlevel

from ..errors import LocalProtocolError
from ..protocol.addresses import AddressRule
from ..protocol.commands import Request, Response
from ..protocol.multipart import Multipart
from . import client_common as common
from .base import AsyncWebSocket, Patience, StreamEnded
from .libraries import load
from .lookups import allowed_hosts, check_host, look_up_async
from .replies import WholeBody, incomplete_body_error, unpacker
from .request_body import AsyncBody, body_seconds
from .settings import HTTPSettings


class AsyncClientEngine:
    """Async I/O over the caller's client, which stays open."""

    def __init__(self, settings: HTTPSettings, client: Any) -> None:
        self._settings = settings
        self.name = f"{settings.library}.AsyncClient of the caller"
        self._module = load(settings.library)
        self._client = client
        self._closed = False

    async def request(self, request: Request, patience: Patience) -> Response:
        """Send a request and return the full reply."""
        with anyio.move_on_after(patience.whole_seconds):
            stream = await self.stream(request, patience)
            try:
                body = await stream.read(body_seconds(request, patience))
            finally:
                await stream.aclose()
            return stream.head.with_body(body)
        raise patience.timeout_error(request.url)

    async def stream(self, request: Request, patience: Patience) -> AsyncClientStream:
        """Send a request and return as soon as the head of its reply has arrived."""
        if self._closed:
            raise LocalProtocolError("The transport is closed.")
        is_form = isinstance(request.body, Multipart)
        body = AsyncBody(request.body) if is_form else request.body
        # Sending a form may take any time.
        with (
            anyio.move_on_after(patience.whole_seconds if is_form else patience.head_seconds),
            common.translate_errors(self._module, request, patience),
        ):
            arguments = common.client_arguments(self._module, request, patience, body)
            prepared = self._client.build_request(**arguments)
            url = str(prepared.url)
            response = await self._send(prepared, request.url, patience)
            return AsyncClientStream(self._module, request, patience, response, url)
        raise patience.timeout_error(request.url)

    async def _send(self, prepared: Any, url: str, patience: Patience) -> Any:
        """Send a request to its host, or to the first reachable one of its allowed addresses."""
        if patience.addresses is AddressRule.ANY:
            return await self._client.send(prepared, stream=True, follow_redirects=False)
        host = prepared.url.raw_host.decode()
        check_host(url, host, patience)
        *others, last = allowed_hosts(url, await look_up_async(host), patience)
        for address in others:
            with suppress(self._module.ConnectError, self._module.ConnectTimeout):
                return await self._send_to(address, prepared)
        return await self._send_to(last, prepared)

    async def _send_to(self, address: str, prepared: Any) -> Any:
        common.pin(prepared, address)
        response = await self._client.send(prepared, stream=True, follow_redirects=False)
        if common.is_of_another_name(response):
            common.shut_down_response(response)
            await response.aclose()
            raise self._module.ReadError("the client used a connection to another host with that address")
        return response

    async def websocket(
        self, url: str, headers: Mapping[str, str], patience: Patience, max_message_bytes: int
    ) -> AsyncWebSocket:
        """Open a websocket: websocket-client in a worker thread for each live socket."""
        from .websocket_client import open_websocket_async

        return await open_websocket_async(url, headers, patience, max_message_bytes, self._settings)

    async def aclose(self) -> None:
        """End the use of the client, which stays open."""
        self._closed = True


class AsyncClientStream:
    """A reply whose body is still arriving."""

    def __init__(self, module: Any, request: Request, patience: Patience, response: Any, url: str) -> None:
        self._module = module
        self._request = request
        self._patience = patience
        self._response = response
        self.head = common.response_head(response, url)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives."""
        if self._response.is_stream_consumed:  # by the client, which also decoded it
            async for data in self._response.aiter_bytes():
                yield data
            return
        unpacking = unpacker(self.head, self._patience)
        received = self._response.aiter_raw()
        try:
            with common.translate_body_errors(self._module, unpacking):
                async for data in received:
                    if unpacking is None:
                        yield data
                        continue
                    for place, piece in enumerate(unpacking.feed(data)):
                        if place:  # a read may decompress to any number of pieces
                            await anyio.lowlevel.checkpoint()
                        yield piece
                    if unpacking.failure is not None:
                        self.abort()
        except BaseException:
            await self._run_out(received)
            raise

    async def _run_out(self, received: AsyncIterator[bytes]) -> None:
        """Read to the end, which is near after the connection is shut down; see `AsyncHTTPStream`."""
        self.abort()
        with anyio.CancelScope(shield=True), suppress(Exception):
            async for _ in received:
                pass

    async def read(self, seconds: float | None = None) -> bytes:
        """Return the full body, within the bound of the request, and within a timeout if given."""
        if self.head.status >= 300 and self.head.unsupported_coding is not None:
            return b""  # an error status needs no body, so an unrequested coding is not an error
        with anyio.move_on_after(seconds):
            return await self._read()
        raise self._patience.timeout_error(self._request.url, seconds, status=self.head.status)

    async def _read(self) -> bytes:
        body = WholeBody(self._request, self._patience, self.head)
        if body.is_to_drop:
            self.abort()
        try:
            async with aclosing(self.chunks()) as chunks:
                async for chunk in chunks:
                    is_needed = body.add(chunk)
                    if body.is_to_drop:
                        self.abort()
                    if not is_needed:
                        break
        except StreamEnded as error:
            raise incomplete_body_error(self._request, self._patience, self.head, error.closed) from error
        return body.content

    def abort(self) -> None:
        """Shut down the connection of the reply. The client finds it closed and does not reuse it."""
        common.shut_down_response(self._response)

    async def aclose(self) -> None:
        """Return the connection to the pool; drop it if the body has not ended or it serves only one name."""
        if common.is_pinned(self._response):
            self.abort()
        with anyio.CancelScope(shield=True), suppress(Exception):
            await self._response.aclose()
