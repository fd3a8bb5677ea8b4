# SPDX-License-Identifier: Apache-2.0
"""The proxy's own requests to the app, over aiohttp."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import Any, cast

import aiohttp
import attrs
from aiohttp import WSMessage
from multidict import CIMultiDict

from ..engines.aiohttp_requests import (
    CLOSE_TIMEOUT,
    HandshakeAnswered,
    open_session,
    route_options,
    verbatim_url,
)
from ..engines.aiohttp_stream import AiohttpStream, Reply
from ..engines.base import Patience, StreamEnded
from ..engines.routes import KEPT_ALIVE_SECONDS, Routes
from ..engines.settings import HTTPSettings
from ..engines.tls import ssl_context
from ..errors import Phase, UnsupportedProtocol
from ..protocol.commands import Request, Response
from .headers import Headers

CONNECT_SECONDS = 30.0

HEAD_BYTES = 64 * 1024
"""The longest line of a head, in requests and replies."""

HEAD_FIELDS = 500
"""The most headers."""

CHUNK_BYTES = 64 * 1024

WEBSOCKET_BYTES = 1024 * 1024 * 1024
"""The largest message; servers of 3.11 to 3.50 have the same limit (docs/wire.md §3.3)."""


class UnreachableError(Exception):
    """There is no connection to the app; nothing was sent."""


class BrokenError(Exception):
    """The connection broke before a reply arrived.

    Attributes:
        is_reset: Whether it was reset, not just closed.
    """

    def __init__(self, message: str, *, is_reset: bool) -> None:
        super().__init__(message)
        self.is_reset = is_reset


class InvalidReplyError(Exception):
    """The app's reply is not valid HTTP, or cannot be forwarded."""


class HandshakeRefusedError(Exception):
    """The app replied to the handshake of a websocket with another status than 101."""

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes) -> None:
        super().__init__(status)
        self.status, self.reason, self.headers, self.body = status, reason, headers, body


@attrs.define
class Incoming:
    """A reply of the app whose body is still arriving."""

    reply: Reply
    _stream: AiohttpStream

    @property
    def headers(self) -> Headers:
        """Its headers, in order."""
        return [*self.reply.headers.items()]

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, with its content coding.

        Raises:
            BrokenError: The connection broke before the end.
        """
        try:
            async for piece in self._stream.chunks():
                yield piece
        except StreamEnded as ended:
            # aiohttp names a reset only in the text of the body's error, but its connection keeps the error.
            protocol = self.reply.protocol
            error = protocol.exception() if protocol is not None else None
            is_reset = _is_reset(error) or _is_reset(ended.__cause__)
            raise BrokenError(ended.closed.reason, is_reset=is_reset) from ended

    async def close(self) -> None:
        """Return the connection to the pool, or drop it if the body has not ended."""
        await self._stream.aclose()


class AppClient:
    """A client that sends each request to the app once, and follows no redirects.

    Requests that may start a call use a new connection: the server may be closing a kept one, and then it is
    unknown whether it read the request.
    """

    def __init__(self, settings: HTTPSettings, base: str) -> None:
        self._settings = settings
        self._base = base
        route = Routes(settings).find(base)
        if route.proxy is not None and route.proxy.is_socks:
            raise UnsupportedProtocol(
                f"The recording proxy cannot use the proxy {route.proxy}: aiohttp has no SOCKS. Set NO_PROXY "
                "for this host, or use an HTTP proxy."
            )
        self._route = route
        self._kept = self._open(keepalive_timeout=KEPT_ALIVE_SECONDS)
        self._fresh = self._open(force_close=True)

    def _open(self, **keeping: Any) -> aiohttp.ClientSession:
        return open_session(
            aiohttp.TCPConnector(limit=0, **keeping),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            head_bytes=HEAD_BYTES,
            head_fields=HEAD_FIELDS,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )

    def _options(self) -> dict[str, Any]:
        route = self._route
        return route_options(route, ssl_context(self._settings, "https") if route.scheme == "https" else None)

    async def send(
        self, method: str, url: str, headers: Headers, body: AsyncIterable[bytes] | None
    ) -> Incoming:
        """Send a request, and return the reply as soon as its head has arrived.

        Raises:
            UnreachableError: There is no connection.
            BrokenError: The connection broke before the head was complete.
            InvalidReplyError: The head is not valid.
        """
        may_call = method not in ("GET", "HEAD", "OPTIONS") or "/queue/join" in url
        session = self._fresh if may_call else self._kept
        payload = None if body is None else aiohttp.AsyncIterablePayload(body)
        try:
            reply = await self._request(session, method, url, headers, payload)
        except BrokenError as error:
            # The server has just closed a kept connection. The request starts no call, so it is sent again.
            if may_call or payload is not None or error.is_reset:
                raise
            reply = await self._request(self._fresh, method, url, headers, None)
        patience = Patience(None, None, "idle", Phase.STREAM, 0)
        stream = AiohttpStream(
            Request(method, url, {}, None), patience, reply, asyncio.Semaphore(), self._route
        )
        # The body is forwarded unchanged; without this the stream would decode it.
        coded = ("content-encoding",)
        kept = {name: value for name, value in stream.head.headers.items() if name not in coded}
        stream.head = Response(reply.status, kept)
        return Incoming(reply, stream)

    async def _request(
        self, session: aiohttp.ClientSession, method: str, url: str, headers: Headers, payload: Any
    ) -> Reply:
        with _translated():
            reply = await session.request(
                method,
                verbatim_url(url),
                headers=CIMultiDict(headers),
                data=payload,
                allow_redirects=False,
                **self._options(),
            )
        return cast("Reply", reply)

    async def websocket(
        self, url: str, headers: Headers, protocols: tuple[str, ...]
    ) -> aiohttp.ClientWebSocketResponse[Any]:
        """Open a websocket.

        Raises:
            HandshakeRefusedError: The app replied with another status than 101.
            UnreachableError: There is no connection.
            BrokenError: The connection broke.
            InvalidReplyError: The head of the reply, or its key, is not valid.
        """
        with _translated():
            opened: aiohttp.ClientWebSocketResponse[Any] = await self._fresh.ws_connect(
                verbatim_url(url),
                headers=CIMultiDict(headers),
                protocols=protocols,
                autoclose=False,
                autoping=False,
                timeout=CLOSE_TIMEOUT,
                max_msg_size=WEBSOCKET_BYTES,
                decode_text=False,
                **self._options(),
            )
        return opened

    async def close(self) -> None:
        """Close every connection."""
        await self._kept.close()
        await self._fresh.close()


class _translated:  # noqa: N801 - reads as a statement
    """Translate aiohttp's exceptions."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(
            error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
        ):
            raise UnreachableError(_reason(error)) from error
        if isinstance(error, aiohttp.ClientHttpProxyError):
            raise UnreachableError(f"the proxy refused: HTTP {error.status}") from error
        if isinstance(error, HandshakeAnswered):
            reply = error.response
            raise HandshakeRefusedError(
                reply.status, reply.reason or "", [*reply.headers.items()], error.body
            ) from None
        if isinstance(error, aiohttp.ClientResponseError):  # in the head, or in the handshake's key
            raise InvalidReplyError(_reason(error)) from error
        if isinstance(error, (aiohttp.ClientError, OSError)):
            raise BrokenError(_reason(error), is_reset=_is_reset(error)) from error


def _reason(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    if isinstance(error, aiohttp.ClientResponseError):
        return " ".join(error.message.split()) or type(error).__name__
    return str(error) or type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen = 0
    while error is not None and seen < 10:
        yield error
        error, seen = error.__cause__ or error.__context__, seen + 1


def _is_reset(error: BaseException | None) -> bool:
    return any(
        isinstance(one, ConnectionResetError) or getattr(one, "errno", None) == errno.ECONNRESET
        for one in _chain(error)
    )


__all__ = [
    "CHUNK_BYTES", "HEAD_BYTES", "HEAD_FIELDS", "WEBSOCKET_BYTES", "AppClient", "BrokenError",
    "HandshakeRefusedError", "Incoming", "InvalidReplyError", "UnreachableError", "WSMessage",
]  # fmt: skip
