# SPDX-License-Identifier: Apache-2.0
"""The async engine over aiohttp: asyncio only, for thousands of calls at once, websockets without threads.

Four things its defaults get wrong for us, each undone below: it sends a GET again when the connection broke,
which is a second call where a GET joins the queue (docs/wire.md §4); it follows the redirect of a websocket's
handshake; it gives a connection back to its pool with the last byte of a reply, before anybody can say that
it is spoiled; and what came before a reset is lost with it.
"""

from __future__ import annotations

import asyncio
import ssl
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import attrs
from yarl import URL

from ..errors import ConnectError, GradioTransportError, LocalProtocolError, StreamLost
from ..protocol.commands import Closed, Ending, Request, Response
from ..protocol.multipart import Multipart
from . import httpx_common as common
from .base import HandshakeRefused, Patience, StreamEnded
from .content_coding import ACCEPTED, Unpacker
from .request_body import BLOCK_BYTES, for_the_rest, headers_of, pieces_async
from .settings import HTTPSettings

if TYPE_CHECKING:
    from collections.abc import Generator

_HEAD_BYTES = 100 * 1024
"""Bound of a reply's status line, and of each of its headers; what httpx allows for a whole head."""

_HEADERS = 1000
"""Bound of the number of a reply's headers."""

_REFUSAL_BYTES = 64 * 1024
"""How much of the body of a refused handshake is read: its reason."""

_GOODBYE = aiohttp.ClientWSTimeout(ws_close=1.0)  # type: ignore[call-arg,unused-ignore]  # pyright: ignore[reportCallIssue]
"""How long the other end of a socket that was dropped may take to show."""


class _Reply(aiohttp.ClientResponse):
    """A reply whose connection goes back to the pool when it is closed, not when its last byte comes."""

    async def start(self, connection: aiohttp.connector.Connection) -> Self:
        """Wait for the head; a connection that is given up has nothing more to say.

        Closing it would first wait for what is still to be written, to a server that may never read it.
        """
        try:
            await super().start(connection)
        except BaseException:
            if connection.transport is not None:
                connection.transport.abort()
            raise
        return self

    def _response_eof(self) -> None:
        """Keep the connection: whoever reads the reply says what becomes of it."""


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request once, and take no answer to a handshake but its own.

    A middleware, because aiohttp sends a GET again after errors of the kinds that are changed here, and
    follows redirects, below the surface.
    """
    try:
        response = await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(str(error)) from error
    if "upgrade" in request.headers and response.status != 101:
        try:
            body = await response.content.read(_REFUSAL_BYTES)
        except (aiohttp.ClientError, OSError):
            body = b""
        finally:
            response.close()
        raise HandshakeRefused(_head(response).with_body(body))
    return response


def _head(response: aiohttp.ClientResponse) -> Response:
    headers = {name.lower(): value for name, value in response.headers.items()}
    cookies = tuple(response.headers.getall("set-cookie")) if "set-cookie" in headers else ()
    return Response(status=response.status, headers=headers, url=str(response.url), set_cookie=cookies)


def _as_it_is(url: str) -> URL:
    """Return a URL that is sent as it was made; only one that may not be sent is quoted."""
    return URL(url, encoded=url.isascii() and url.isprintable() and " " not in url)


class AiohttpEngine:
    """Async I/O over aiohttp."""

    def __init__(self, settings: HTTPSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._routes = common.Routes(settings)
        self._contexts: dict[common.Route, ssl.SSLContext] = {}
        # Not the pool's own bound: waiting for a turn is no part of the time to connect.
        self._turns = asyncio.Semaphore(settings.connections)
        self._secured: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()
        self._closed = False

    def _client(self) -> aiohttp.ClientSession:
        if self._closed:
            raise LocalProtocolError("The transport is closed.")
        if self._session is None:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                raise LocalProtocolError(
                    "The engine 'aiohttp' runs on asyncio only; on trio use engine='httpx'."
                ) from None
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=common.KEPT_ALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                middlewares=(_once,),
                auto_decompress=False,
                response_class=_Reply,
                timeout=aiohttp.ClientTimeout(),
                read_bufsize=common.CHUNK_BYTES,
                max_line_size=_HEAD_BYTES,
                max_field_size=_HEAD_BYTES,
                max_headers=_HEADERS,
            )
        return self._session

    def _way(self, url: str) -> dict[str, Any]:
        """Return how a URL is reached, as keyword arguments. Not aiohttp's way, which reads netrc as well."""
        route = self._routes.of(url)
        if route.scheme != "https":
            return {"proxy": route.proxy}
        if route not in self._contexts:
            self._contexts[route] = common.ssl_context(self._settings, route.scheme)
        return {"proxy": route.proxy, "ssl": self._contexts[route]}

    async def request(self, request: Request, patience: Patience) -> Response:
        """Send a request and return the whole reply."""
        self._client()  # says so where there is no asyncio
        try:
            async with asyncio.timeout(patience.whole):
                stream = await self.stream(request, patience)
                try:
                    body = await stream.read(for_the_rest(request, patience))
                finally:
                    await stream.aclose()
        except TimeoutError:
            raise patience.too_late(request.url) from None
        return stream.head.with_body(body)

    async def stream(self, request: Request, patience: Patience) -> AiohttpStream:
        """Send a request and return as soon as the head of its reply has come."""
        with _translated(request.url, patience):
            session = self._client()
            await self._turn(patience)
            try:
                response = await self._send(session, request, patience)
            except BaseException:
                self._turns.release()
                raise
        connection = response.connection
        if connection is not None and connection.transport is not None and request.url.startswith("https:"):
            with suppress(TypeError):  # those of other loops may not take weak references
                self._secured.add(connection.transport)
        return AiohttpStream(request, patience, response, self._turns)

    async def _turn(self, patience: Patience) -> None:
        if self._turns.locked():
            async with asyncio.timeout(patience.silence):
                await self._turns.acquire()
        else:
            await self._turns.acquire()

    async def _send(
        self, session: aiohttp.ClientSession, request: Request, patience: Patience
    ) -> aiohttp.ClientResponse:
        options: dict[str, Any] = {
            "headers": {"accept-encoding": ACCEPTED, **request.headers},
            "allow_redirects": False,
            **self._way(request.url),
            "timeout": aiohttp.ClientTimeout(connect=patience.connect, sock_read=patience.silence),
        }
        url, body = _as_it_is(request.url), request.body
        if body is None or (isinstance(body, bytes) and len(body) <= common.CHUNK_BYTES):
            async with asyncio.timeout(patience.head):
                return await session.request(request.method, url, data=body, **options)
        # aiohttp has no bound for the time that writing takes, so each piece of a long body has one.
        async with asyncio.timeout(None) as deadline:
            pieces = pieces_async(body) if isinstance(body, Multipart) else _pieces(body)
            timed = _timed(pieces, deadline, patience.silence)
            options["headers"] |= headers_of(request)
            if isinstance(body, bytes):
                options["headers"]["content-length"] = str(len(body))
            sent = _Body(timed)
            try:
                return await session.request(request.method, url, data=sent, **options)
            except BaseException:
                sent.drop()
                raise

    async def websocket(
        self, url: str, headers: Mapping[str, str], patience: Patience, max_message_bytes: int
    ) -> AiohttpWebSocket:
        """Open a websocket, without a thread."""
        with _translated(
            url, attrs.evolve(patience, setting=patience.connect_setting, silence=patience.connect)
        ):
            way = self._way(url)
            async with asyncio.timeout(patience.connect):
                opened = await self._client().ws_connect(
                    _as_it_is(url),
                    headers=headers,
                    **way,
                    autoclose=False,  # it would wait 10 s for a server whose goodbye has no code
                    autoping=False,
                    timeout=_GOODBYE,
                    max_msg_size=max_message_bytes + 1,
                    decode_text=False,
                )
        return AiohttpWebSocket(opened, patience.silence)

    async def aclose(self) -> None:
        """Close every connection."""
        self._closed = True
        session, self._session = self._session, None
        if session is None:
            return
        await session.close()
        # A connection of TLS that was given up waits for the server's goodbye, for as long as that takes.
        for transport in list(self._secured):
            if isinstance(transport, asyncio.Transport):
                transport.abort()
        await asyncio.sleep(0)


class _Body(aiohttp.AsyncIterablePayload):
    """A long body, whose connection can be dropped under it.

    aiohttp would close that, and so wait without end for a server that takes no more of it.
    """

    _transport: asyncio.BaseTransport | None = None

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        self._transport = writer.transport
        await super().write_with_length(writer, content_length)

    def drop(self) -> None:
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), BLOCK_BYTES):
        yield body[start : start + BLOCK_BYTES]


async def _timed(
    pieces: AsyncIterator[bytes], deadline: asyncio.Timeout, silence: float | None
) -> AsyncIterator[bytes]:
    """Yield the pieces of a body, and let the deadline be as far away after each of them.

    One piece behind: aiohttp stops at the length that was announced, and so would never bring them to their
    end.
    """
    loop = asyncio.get_running_loop()
    held: bytes | None = None
    async for piece in pieces:
        if held is not None:
            yield held
        held = piece
        if silence is not None:
            deadline.reschedule(loop.time() + silence)
    if held is not None:
        yield held


def _cause(error: Exception) -> Exception:
    """Return why no connection could be made; aiohttp's own text shows the objects that it had."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return error.certificate_error
    return error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error


@contextmanager
def _translated(url: str, patience: Patience) -> Generator[None, None, None]:
    """Turn aiohttp's exceptions into ours, for the time until a reply's head has come."""
    where = url.partition("?")[0]
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise common.not_connected(where, patience) from error
    except TimeoutError as error:
        raise common.no_answer(where, patience) from error
    except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError, aiohttp.InvalidURL) as error:
        raise common.no_connection(where, _cause(error), patience) from error
    except (aiohttp.ClientError, OSError) as error:
        if isinstance(error.__cause__, GradioTransportError):  # the body could not be read
            raise error.__cause__ from None
        raise StreamLost(
            f"The connection to {where} broke before an answer came: {common.reason(error)}.",
            phase=patience.phase,
            retryable=patience.repeatable,
        ) from error
    except ValueError as error:
        raise ConnectError(f"Cannot reach {where}: {common.reason(error)}.", phase=patience.phase) from error


def _tell_of_a_broken_body(response: aiohttp.ClientResponse) -> None:
    """Have a body end with its connection, whatever ended that.

    After a chunk whose size is no number aiohttp drops the connection and the body that it was reading, and
    nobody tells who waits for more of it (3.14).
    """
    protocol = response.connection.protocol if response.connection is not None else None
    closed = protocol.closed if protocol is not None else None
    if closed is None:
        return
    content = response.content

    def tell(lost: asyncio.Future[None]) -> None:
        if not lost.cancelled():
            lost.exception()  # taken, so that nobody complains that it never was
        error = protocol.exception() if protocol is not None else None
        if error is not None and not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError(str(error)))

    closed.add_done_callback(tell)


class AiohttpStream:
    """A reply whose body is still coming."""

    def __init__(
        self,
        request: Request,
        patience: Patience,
        response: aiohttp.ClientResponse,
        turns: asyncio.Semaphore,
    ) -> None:
        self._request = request
        self._patience = patience
        self._response = response
        self._turns: asyncio.Semaphore | None = turns
        _tell_of_a_broken_body(response)
        self._spoiled = False
        self._ended: StreamEnded | None = None
        self._unpacking: Unpacker | None = None
        self._pieces: Iterator[bytes] = iter(())
        self.head = _head(response)

    async def _unpacked(self) -> bytes:
        """Return what has come, unpacked, or nothing once the body is complete."""
        unpacking = self._unpacking = self._unpacking or common.unpacker(self.head, self._patience)
        while (chunk := next(self._pieces, None)) is None:
            if unpacking is not None and unpacking.broken is not None:
                self.abort()
                raise StreamEnded(Closed(Ending.RESET, reason=unpacking.broken))
            data = await self._next()
            if unpacking is None or not data:
                return data
            self._pieces = unpacking.feed(data)
        return chunk

    async def _next(self) -> bytes:
        """Return what has come, or nothing once the body is complete."""
        if self._ended is not None:
            raise self._ended
        error: Exception | None = None
        try:
            chunk = await self._response.content.readany()
            if chunk or not (error := self._broken()):
                return chunk
        except (aiohttp.ClientError, OSError, RuntimeError) as caught:
            error = caught
        ending = Ending.IDLE if isinstance(error, TimeoutError) else Ending.RESET
        self._ended = StreamEnded(Closed(ending, reason=common.reason(error)))
        self._ended.__cause__ = error
        return self._rest() or await self._next()

    def _broken(self) -> Exception | None:
        """Return why the connection broke under a body that has no end but that of its connection."""
        headers, connection = self.head.headers, self._response.connection
        if connection is None or "content-length" in headers or "transfer-encoding" in headers:
            return None
        error = connection.protocol.exception() if connection.protocol is not None else None
        return error if isinstance(error, OSError) else None

    def _rest(self) -> bytes:
        """Return what had come when the connection broke; aiohttp keeps it back behind the error."""
        content = self._response.content
        with suppress(aiohttp.ClientError, OSError, RuntimeError):
            content.set_exception(None)  # type: ignore[arg-type]
            return content.read_nowait()
        return b""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        while chunk := await self._unpacked():
            yield chunk

    async def each(self, take: Callable[[bytes], Awaitable[None]]) -> None:
        """Hand the body on as it comes, all at once that has come at once."""
        async for chunk in self.chunks():
            await take(chunk)

    async def read(self, seconds: float | None = None) -> bytes:
        """Return the whole body, within the bound of the request, and within some seconds if given."""
        if self.head.foreign_coding is not None and self.head.status >= 300:
            return b""  # the status says enough
        try:
            async with asyncio.timeout(seconds):
                return await self._read()
        except TimeoutError:
            raise self._patience.too_late(self._request.url, seconds, status=self.head.status) from None

    async def _read(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        self._spoiled = common.spoiled_at(self.head) is not None
        try:
            while chunk := await self._unpacked():
                size += len(chunk)
                if size > self._patience.max_bytes:
                    raise self._patience.too_large(self._request.url)
                parts.append(chunk)
        except StreamEnded as error:
            raise common.broken_off(self._request, self._patience, self.head, error.closed) from error
        return b"".join(parts)

    def abort(self) -> None:
        """Drop the connection: whoever reads the body comes to its end at once."""
        self._response.close()

    async def aclose(self) -> None:
        """Give the connection back, or drop it if the body is not at its end."""
        if self._turns is None:
            return
        if self._spoiled:
            self._response.close()
        else:
            self._response.release()
        self._turns.release()
        self._turns = None


_PINGS = (aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG)


class AiohttpWebSocket:
    """An open websocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[Any], silence: float | None) -> None:
        self._socket = socket
        self._silence = silence

    async def receive(self, timeout: float | None = None) -> str | Closed | None:
        """Return the next text, or how the socket ended, or None when `timeout` seconds are over."""
        seconds = self._silence if timeout is None else max(timeout, 0.001)
        try:
            while (message := await self._socket.receive(seconds)).type in _PINGS:
                # By hand: what the server said before would be lost for an answer that cannot be sent.
                if message.type is aiohttp.WSMsgType.PING:
                    with suppress(aiohttp.ClientError, OSError, RuntimeError):
                        await self._socket.pong(message.data)
        except TimeoutError:
            if timeout is not None:
                return None
            return Closed(Ending.IDLE, reason=f"silent for {self._silence} s")
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            return Closed(Ending.RESET, reason=common.reason(error))
        data: Any = message.data
        match message.type:
            case aiohttp.WSMsgType.TEXT | aiohttp.WSMsgType.BINARY:
                return bytes(data).decode("utf-8", "replace")
            case aiohttp.WSMsgType.CLOSE:
                code = data or None
                ending = Ending.CLEAN if code in (None, 1000, 1001) else Ending.RESET
                return Closed(ending, code, message.extra or "")
            case aiohttp.WSMsgType.ERROR:
                too_large = getattr(data, "code", None) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
                return Closed(Ending.TOO_LARGE if too_large else Ending.RESET, reason=str(data))
            case _:
                return Closed(Ending.RESET, reason="the connection was lost")

    async def send(self, text: str) -> Closed | None:
        """Send a text; return how the socket ended if it has."""
        try:
            async with asyncio.timeout(self._silence):
                await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            return Closed(Ending.RESET, reason=common.reason(error))
        return None

    async def abort(self) -> None:
        """Drop the socket at once: a polite goodbye holds a worker of 3.x for 10 s (docs/wire.md §3.3)."""
        connected = self._socket.get_extra_info("socket")
        if connected is not None:
            common.shut_down_socket(connected)
        with suppress(aiohttp.ClientError, OSError, RuntimeError):
            await self._socket.close()
