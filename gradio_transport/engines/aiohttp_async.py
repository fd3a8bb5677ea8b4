# SPDX-License-Identifier: Apache-2.0
"""The async engine over aiohttp: asyncio only, for thousands of concurrent calls, websockets without threads.

Four defaults of the library are replaced:

- It sends a GET again after the connection broke: see `aiohttp_requests`.
- It follows the redirect of a websocket handshake: see `aiohttp_requests`.
- It reuses connections that must not be reused: see `Reply`.
- It loses data that was received before a connection reset: see `aiohttp_stream`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Any, cast

import aiohttp
import attrs

from ..errors import (
    ConnectError,
    GradioTransportError,
    LocalProtocolError,
    UnsupportedProtocol,
)
from ..protocol.addresses import AddressRule
from ..protocol.commands import Request, Response
from ..protocol.headers import check_headers
from ..protocol.multipart import Multipart
from .aiohttp_requests import CLOSE_TIMEOUT, HandshakeAnswered, open_session, route_options, verbatim_url
from .aiohttp_stream import AiohttpStream, Reply, StaleConnectionError, bound_head, response_head
from .aiohttp_websocket import AiohttpWebSocket
from .base import HandshakeRefused, Patience
from .connecting import AddressRefusedError, check_address
from .content_coding import ACCEPTED
from .keep_alive import KeptConnections
from .lookups import connection_rule_async
from .open_connections import OpenConnections
from .proxies import ProxyRefusedError, describe_way, find_refusal, refusal_error
from .replies import (
    CHUNK_BYTES,
    answer_timeout,
    connect_error,
    connect_timeout,
    lost_error,
    reason,
    turn_timeout,
)
from .request_body import BLOCK_BYTES, body_seconds, form_blocks_async, request_headers
from .routes import KEPT_ALIVE_SECONDS, Route, Routes
from .settings import HTTPSettings
from .tls import ssl_context

_HEAD_BYTES = 100 * 1024
"""The most bytes of a reply's status line, and of each header; httpx allows as much for a whole head."""

_HEADERS = 1000
"""The most headers of a reply."""

_GRACE_SECONDS = 0.05
"""Seconds by which the deadline of a whole request is checked later than that of its connection.

Both may end with the call. The error should then report that there was no connection, so a retry is safe.
"""

_NO_TIMEOUT = nullcontext()

_TRANSLATED = (aiohttp.ClientError, HandshakeAnswered, OSError, ValueError)
"""The exceptions that may end a request before the head of its reply."""


class AiohttpEngine:
    """Async I/O over aiohttp."""

    def __init__(self, settings: HTTPSettings) -> None:
        self._settings = settings
        self.name = "aiohttp"
        self._sessions: dict[tuple[bool, AddressRule], aiohttp.ClientSession] = {}
        self._routes = Routes(settings)
        self.connections = OpenConnections(self._routes)
        self._kept = KeptConnections()
        self._contexts: dict[Route, ssl.SSLContext] = {}
        # Why not the limit of aiohttp's pool: the wait for a slot there counts as time to connect.
        self._slots = asyncio.Semaphore(settings.connections)
        self._tls_transports: set[asyncio.Transport] = set()
        self._closed = False

    def _open_session(
        self, url: str, addresses: AddressRule = AddressRule.ANY, *, keeps: bool = True
    ) -> aiohttp.ClientSession:
        """Return the session for a URL and an address rule of its connections.

        Args:
            url: URL of the request.
            addresses: Rule of the addresses that it may connect to.
            keeps: Whether a kept connection may be used, and the new one be kept.
        """
        if self._closed:
            raise LocalProtocolError("The transport is closed.")
        keeps = keeps and self._kept.are_trusted(url)
        key = keeps, addresses
        if key not in self._sessions:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                raise LocalProtocolError(
                    "The engine 'aiohttp' runs on asyncio only; on trio use engine='httpx'."
                ) from None
            keeping: dict[str, Any] = (
                {"keepalive_timeout": KEPT_ALIVE_SECONDS} if keeps else {"force_close": True}
            )
            new_socket = partial(self._new_socket, addresses)
            self._sessions[key] = open_session(
                aiohttp.TCPConnector(limit=0, socket_factory=new_socket, **keeping),
                timeout=aiohttp.ClientTimeout(),
                head_bytes=_HEAD_BYTES,
                head_fields=_HEADERS,
            )
        return self._sessions[key]

    def _new_socket(self, addresses: AddressRule, address: tuple[Any, ...]) -> socket.socket:
        """Return a socket for aiohttp to connect. aiohttp does not pass the host name.

        Raises:
            AddressRefusedError: The rule does not allow the address.
        """
        check_address(address, addresses)
        family, kind, protocol, _, target = address
        sock = socket.socket(family, kind, protocol)
        self.connections.add(None, target[1], sock, lambda opened: opened)
        return sock

    def _route_options(self, url: str) -> dict[str, Any]:
        """Return proxy and TLS of a URL as keyword arguments.

        Raises:
            UnsupportedProtocol: The proxy is a SOCKS proxy.
            ConnectError: The URL of the proxy is not valid.
        """
        route = self._routes.find(url)
        proxy = route.proxy
        if proxy is not None and proxy.is_socks:
            raise UnsupportedProtocol(
                f"The engine 'aiohttp' cannot use the proxy {proxy}. Use engine='httpx' with the extra: pip "
                "install 'gradio-transport[socks]'. Nothing was sent."
            )
        if route.scheme == "https" and route not in self._contexts:
            self._contexts[route] = ssl_context(self._settings, route.scheme)
        return route_options(route, self._contexts.get(route))

    async def request(self, request: Request, patience: Patience) -> Response:
        """Send a request and return the full reply."""
        if not self._sessions:
            self._open_session(
                request.url
            )  # raises if asyncio is not running; `asyncio.timeout` would not say so
        whole, stream = patience.whole_seconds, None
        try:
            # Why not always with a timeout: each makes about twenty function calls, for nothing here.
            async with asyncio.timeout(whole + _GRACE_SECONDS) if whole is not None else _NO_TIMEOUT:
                stream = await self.stream(request, patience)
                try:
                    body = await stream.read(body_seconds(request, patience))
                finally:
                    await stream.aclose()
        except GradioTransportError:  # a late one is also a TimeoutError
            raise
        except TimeoutError as error:
            if stream is None:
                raise answer_timeout(self._way(request.url, error), patience) from error
            raise patience.timeout_error(request.url) from None
        return stream.head.with_body(body)

    async def stream(self, request: Request, patience: Patience) -> AiohttpStream:
        """Send a request and return as soon as the head of its reply has arrived."""
        try:
            session = self._open_session(request.url, await self._connection_rule(request.url, patience))
            await self._acquire_slot(request.url, patience)
            try:
                response = await self._send(session, request, patience)
            except BaseException:
                self._slots.release()
                raise
        except _TRANSLATED as error:
            self._translate(error, request.url, patience)
            raise
        if request.url.startswith("https:"):
            response.track(self._tls_transports)
        route = self._routes.find(request.url)
        stream = AiohttpStream(request, patience, response, self._slots, route)
        if route.forwarder is not None:
            refused = find_refusal(stream.head.status, request.url, route.forwarder, patience)
            if refused is not None:
                await stream.aclose()
                raise refused
        return stream

    async def _connection_rule(self, url: str, patience: Patience) -> AddressRule:
        if patience.addresses is AddressRule.ANY:
            return AddressRule.ANY
        host = verbatim_url(url).raw_host or ""
        return await connection_rule_async(url, host, self._routes.find(url), patience)

    async def _acquire_slot(self, url: str, patience: Patience) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(patience.silence_seconds):
                await self._slots.acquire()
        except TimeoutError as error:
            raise turn_timeout(url.partition("?")[0], patience) from error

    async def _send(self, session: aiohttp.ClientSession, request: Request, patience: Patience) -> Reply:
        check_headers(request.headers)
        options: dict[str, Any] = {
            "headers": {"accept-encoding": ACCEPTED, **request.headers},
            "allow_redirects": False,
            **self._route_options(request.url),
            "timeout": aiohttp.ClientTimeout(connect=patience.connect_seconds),
        }
        url, body = verbatim_url(request.url), request.body
        if body is None or (isinstance(body, bytes) and len(body) <= CHUNK_BYTES):
            if patience.whole is not None:  # bounds the head too
                return cast("Reply", await session.request(request.method, url, data=body, **options))
            async with asyncio.timeout(patience.head_seconds) as deadline:
                with bound_head(deadline, patience):
                    return cast("Reply", await session.request(request.method, url, data=body, **options))
        # aiohttp has no timeout for writing, so each block of a long body extends a separate deadline.
        async with asyncio.timeout(None) as deadline:
            blocks = form_blocks_async(body) if isinstance(body, Multipart) else _body_blocks(body)
            extended = _extend_deadline(blocks, deadline, patience.silence_seconds)
            options["headers"] |= request_headers(request)
            if isinstance(body, bytes):
                options["headers"]["content-length"] = str(len(body))
            payload = _Body(extended)
            try:
                return cast("Reply", await session.request(request.method, url, data=payload, **options))
            except BaseException:
                payload.drop()
                raise

    async def websocket(
        self, url: str, headers: Mapping[str, str], patience: Patience, max_message_bytes: int
    ) -> AiohttpWebSocket:
        """Open a websocket, without a thread."""
        check_headers(headers)
        try:
            route = self._route_options(url)
            # Why not on a kept connection: while one stays open, the app is certainly the same, and the next
            # call needs no request to confirm that.
            session = self._open_session(url, keeps=False)
            async with self._bound_handshake(url, patience):
                opened = await session.ws_connect(
                    verbatim_url(url),
                    headers=headers,
                    **route,
                    autoclose=False,  # otherwise it waits 10 s for a server whose close frame has no code
                    autoping=False,
                    timeout=CLOSE_TIMEOUT,
                    max_msg_size=max_message_bytes + 1,
                    decode_text=False,
                )
        except _TRANSLATED as error:
            self._translate(error, url, attrs.evolve(patience, setting="connect", silence=patience.connect))
            raise
        return AiohttpWebSocket(opened, patience.silence_seconds, self._routes.find(url).proxy)

    @asynccontextmanager
    async def _bound_handshake(self, url: str, patience: Patience) -> AsyncGenerator[None, None]:
        """Bound the connection and handshake of a websocket together. No data of a call is sent before."""
        try:
            async with asyncio.timeout(patience.connect_seconds):
                yield
        except TimeoutError as error:
            raise connect_timeout(url.partition("?")[0], patience) from error

    def _translate(self, error: Exception, url: str, patience: Patience) -> None:
        """Raise an exception until the head of a reply has arrived as an error of the library.

        Raises:
            TransportError: There was no reply.
            HandshakeRefused: The reply to a handshake was not 101.
        """
        match error:
            case GradioTransportError():  # some are also an OSError
                pass
            case HandshakeAnswered():
                reply = response_head(error.response).with_body(error.body)
                self._check_handshake(url, reply, patience)
                raise HandshakeRefused(reply) from None
            case aiohttp.ConnectionTimeoutError():
                raise connect_timeout(self._way(url, error), patience) from error
            case TimeoutError():
                raise answer_timeout(self._way(url, error), patience) from error
            case aiohttp.ClientHttpProxyError():
                refusal = ProxyRefusedError.from_status(error.status)
                raise refusal_error(url, self._routes.find(url).proxy, refusal, patience) from error
            case aiohttp.ClientConnectorError() | aiohttp.InvalidURL():
                cause = _cause(error)
                if isinstance(cause, AddressRefusedError):
                    raise patience.address_error(url, cause.address) from None
                raise connect_error(self._way(url, error), cause, patience) from error
            case aiohttp.ClientError() | OSError():
                if isinstance(error.__cause__, GradioTransportError):  # the body could not be read
                    raise error.__cause__ from None
                stale = isinstance(error, StaleConnectionError)
                if stale:
                    self._kept.distrust(url)
                raise lost_error(self._way(url, error), _short(error), patience, stale=stale) from error
            case _:
                raise ConnectError(
                    f"Cannot reach {self._way(url, error)}: {reason(error)}.", phase=patience.phase
                ) from error

    def _way(self, url: str, error: Exception) -> str:
        """Return the words for the way to a server that a request took until an exception."""
        reached = not isinstance(error, aiohttp.ClientProxyConnectionError)
        return describe_way(url, self._routes.find(url).proxy, reached=reached)

    def _check_handshake(self, url: str, reply: Response, patience: Patience) -> None:
        """Refuse the reply of a proxy to a handshake, which is forwarded where there is no TLS."""
        refused = find_refusal(reply.status, url, self._routes.find(url).forwarder, patience)
        if refused is not None:
            raise refused

    async def aclose(self) -> None:
        """Close every connection."""
        self._closed = True
        sessions, self._sessions = list(self._sessions.values()), {}
        if not sessions:
            return
        for session in sessions:
            await session.close()
        # Why abort: a dropped TLS connection waits indefinitely for the server's close_notify.
        for transport in list(self._tls_transports):
            transport.abort()
        await asyncio.sleep(0)


class _Body(aiohttp.AsyncIterablePayload):
    """A long body that can drop its connection.

    aiohttp would close the connection of a failed request, and wait indefinitely for a server that does not
    read the rest.
    """

    _transport: asyncio.WriteTransport | None = None

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        self._transport = writer.transport
        await super().write_with_length(writer, content_length)

    def drop(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def _body_blocks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), BLOCK_BYTES):
        yield body[start : start + BLOCK_BYTES]


async def _extend_deadline(
    blocks: AsyncIterator[bytes], deadline: asyncio.Timeout, silence: float | None
) -> AsyncIterator[bytes]:
    """Yield the blocks of a body, and extend the deadline with each.

    It lags one block behind, because aiohttp stops at the announced length: otherwise the generator would
    never be resumed after its last block, and would stay open.
    """
    loop = asyncio.get_running_loop()
    held: bytes | None = None
    async for block in blocks:
        if held is not None:
            yield held
        held = block
        if silence is not None:
            deadline.reschedule(loop.time() + silence)
    if held is not None:
        yield held


def _cause(error: Exception) -> Exception:
    """Return the cause of a failed connection. The text of aiohttp's error has the repr of its objects."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return error.certificate_error
    return error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error


def _short(error: Exception) -> Exception:
    """Return an error without the full URL and query, which aiohttp's text for a bad reply contains."""
    if isinstance(error, aiohttp.ClientResponseError):
        return aiohttp.ClientError(" ".join(error.message.split()) or type(error).__name__)
    return error
