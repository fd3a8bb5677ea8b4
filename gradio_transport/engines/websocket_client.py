# SPDX-License-Identifier: Apache-2.0
"""Websockets of old servers by websocket-client: sync, and async in a worker thread for each open socket.

Four defaults of the library are replaced here:

- Its pure-Python UTF-8 check takes 400 ms for 1 MB, so texts are decoded here.
- ``recv()`` returns ``""`` for a close, so frames are received.
- ``close()`` can block for 25 s, so sockets are dropped.
- The reply to the handshake has no bound in size or time, so `_HandshakeSocket` bounds both.
"""

from __future__ import annotations

import contextlib
import math
import ssl
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

import anyio
import anyio.to_thread

from ..errors import StreamLost, TransportError
from ..protocol.commands import REDIRECTS, Closed, Ending, Response
from .base import DeferredClose, HandshakeRefused, Patience
from .httpx_common import connect_error, connect_timeout, ssl_context
from .settings import HTTPSettings

_HEAD_BYTES = 100 * 1024
"""Bound of the head of the reply to a handshake; the same as in httpx."""

_ANSWER_BYTES = 1024 * 1024
"""Bound of that reply with the body of a refusal."""

_BLOCK_BYTES = 4096


class _TooLargeError(Exception):
    """The server announces a message over the bound."""


class WebSocketClient:
    """An open websocket, sync."""

    def __init__(self, connection: Any, patience: Patience, max_message_bytes: int) -> None:
        self._connection = connection
        self._silence = patience.silence
        self._max_message_bytes = max_message_bytes
        self._in_use = DeferredClose(connection.abort, connection.shutdown)
        self._harden(connection)

    def _harden(self, connection: Any) -> None:
        """Make the library check sizes before it reads, and survive a reply that cannot be sent.

        It has no bound: it collects a frame of any length, and any number of fragments, before it returns
        them. And it raises if a pong or the reply to a close cannot be sent, although messages that the
        server sent before are still unread. The methods are replaced on this connection object; the library
        itself is not patched.
        """
        recv_strict, send = connection.frame_buffer.recv_strict, connection.send

        def recv_bounded(size: int) -> bytes:
            held = connection.cont_frame.cont_data
            if size + (len(held[1]) if held else 0) > self._max_message_bytes:
                raise _TooLargeError(f"a message of {size} bytes or more")
            return bytes(recv_strict(size))

        def send_pong(payload: str | bytes = b"", *_: Any) -> None:
            with contextlib.suppress(Exception):
                send(payload, 0xA)

        connection.frame_buffer.recv_strict = recv_bounded
        connection.pong = send_pong
        connection.send_close = _do_nothing  # the socket is dropped at once (docs/wire.md §3.3)

    def receive(self, timeout: float | None = None) -> str | Closed | None:
        """Return the next text, or how the socket ended, or None when `timeout` seconds are over."""
        import websocket

        try:
            with self._in_use:
                return self._receive(timeout)
        except _TooLargeError as error:
            return Closed(Ending.TOO_LARGE, reason=str(error))
        except websocket.WebSocketTimeoutException:
            if timeout is not None:
                return None
            return Closed(Ending.IDLE, reason=f"silent for {self._silence} s")
        except (websocket.WebSocketException, OSError, ValueError, AttributeError) as error:
            # AttributeError: another thread dropped the socket before the read; the library then has None.
            return Closed(Ending.RESET, reason=str(error) or type(error).__name__)

    def _receive(self, timeout: float | None) -> str | Closed:
        import websocket

        self._connection.settimeout(self._silence if timeout is None else max(timeout, 0.001))
        while True:
            opcode, frame = self._connection.recv_data_frame(control_frame=False)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return _parse_close(frame.data)
            if opcode in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY):
                if len(frame.data) > self._max_message_bytes:
                    return Closed(Ending.TOO_LARGE, reason=f"a message of {len(frame.data)} bytes")
                return bytes(frame.data).decode("utf-8", "replace")

    def send(self, text: str) -> Closed | None:
        """Send a text; return how the socket ended if it has."""
        import websocket

        try:
            with self._in_use:
                self._connection.send(text)
        except (websocket.WebSocketException, OSError, AttributeError) as error:
            return Closed(Ending.RESET, reason=str(error) or type(error).__name__)
        return None

    def close_descriptor(self) -> None:
        """Close the socket of this process after a fork; the connection stays open in the parent."""
        with contextlib.suppress(Exception):
            self._connection.shutdown()

    def abort(self) -> None:
        """Drop the socket at once: a close handshake blocks a worker of 3.x for 10 s (docs/wire.md §3.3)."""
        with contextlib.suppress(Exception):
            self._connection.abort()
        with contextlib.suppress(Exception):
            self._in_use.close()

    def close(self) -> None:
        """Drop the socket, as `abort`."""
        self.abort()


def _do_nothing(*_: Any) -> None:
    """Do nothing."""


def _parse_close(data: bytes) -> Closed:
    code = int.from_bytes(data[:2], "big") if len(data) >= 2 else None
    reason = data[2:].decode("utf-8", "replace")
    ending = Ending.CLEAN if code in (None, 1000, 1001) else Ending.RESET
    return Closed(ending, code, reason)


class _HandshakeSocket:
    """The socket of a handshake, with a bound of the time and size of the reply.

    Attributes:
        unread: What was received and not read by the library yet.
    """

    def __init__(self, sock: Any, seconds: float | None) -> None:
        self.sock = sock
        self.unread = b""
        self._ends = math.inf if seconds is None else time.monotonic() + seconds
        self._read = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)

    def recv(self, size: int) -> bytes:
        """Return received bytes. Buffered, because the library reads the head byte by byte."""
        import websocket

        if not self.unread:
            if self._ends != math.inf:
                left = self._ends - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                self.sock.settimeout(left)
            self.unread = self.sock.recv(_BLOCK_BYTES)
        data, self.unread = self.unread[:size], self.unread[size:]
        self._read += len(data)
        if self._read > (_HEAD_BYTES if size == 1 else _ANSWER_BYTES):
            raise websocket.WebSocketException(f"the reply has more than {self._read - 1} bytes")
        return data


@lru_cache(maxsize=1)
def _connection_class() -> Any:
    """Return the class of connections, whose sockets are bounded from the first byte of the handshake.

    A property for ``sock``, because the library connects and reads the handshake in one call and has no hook
    in between.
    """
    import websocket

    class Connection(websocket.WebSocket):
        seconds: float | None = None

        @property
        def sock(self) -> Any:
            return self._sock

        @sock.setter
        def sock(self, sock: Any) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
            self._sock: Any = None if sock is None else _HandshakeSocket(sock, self.seconds)

        def end_handshake(self) -> None:
            """Lift the bounds, and keep what arrived behind the handshake."""
            if self._sock.unread:
                buffered = cast("list[bytes]", self.frame_buffer.recv_buffer)  # pyright: ignore[reportUnknownMemberType]
                buffered.append(self._sock.unread)
            self._sock = self._sock.sock

    return Connection


def open_websocket(
    url: str,
    headers: Mapping[str, str],
    patience: Patience,
    max_message_bytes: int,
    settings: HTTPSettings,
) -> WebSocketClient:
    """Open a websocket.

    Raises:
        HandshakeRefused: The server replied with an HTTP status.
        TransportError: There was no reply.
    """
    import websocket

    sslopt: dict[str, Any] = {}
    if url.startswith("wss:"):
        sslopt["context"] = ssl_context(settings, "https")
    own = dict(headers)
    cookie = own.pop("cookie", None)
    connection = _connection_class()(sslopt=sslopt, skip_utf8_validation=True, enable_multithread=True)
    connection.seconds = patience.connect
    connection.settimeout(patience.connect)
    try:
        connection.connect(
            url, header=own, cookie=cookie, suppress_origin=True, redirect_limit=0, **_proxy_options(settings)
        )
    except (websocket.WebSocketException, OSError, ValueError) as error:
        raise _handshake_error(error, url, cast("Any", connection.handshake_response), patience) from error
    connection.end_handshake()
    connection.settimeout(patience.silence)
    return WebSocketClient(connection, patience, max_message_bytes)


def _handshake_error(
    error: Exception, url: str, reply: Any, patience: Patience
) -> HandshakeRefused | TransportError:
    """Return our error for one of the library, with the reply if that was read before."""
    import websocket

    where = url.partition("?")[0]
    if isinstance(error, websocket.WebSocketBadStatusException):
        body: Any = error.resp_body or b""
        headers = cast("Any", error.resp_headers)  # pyright: ignore[reportUnknownMemberType]
        body = body if isinstance(body, bytes) else body.encode()
        return _refusal(url, error.status_code, headers or {}, body)
    if isinstance(error, websocket.WebSocketTimeoutException | TimeoutError):
        return connect_timeout(where, patience)
    if isinstance(error, websocket.WebSocketAddressException | ConnectionRefusedError | ssl.SSLError):
        return connect_error(where, error, patience)
    # The library's error for a redirect has no status and no headers.
    if reply is not None and reply.status in REDIRECTS:
        return _refusal(url, reply.status, reply.headers, b"")
    return StreamLost(f"The websocket handshake with {where} failed: {error}.", phase=patience.phase)


def _refusal(url: str, status: int, headers: Any, body: bytes) -> HandshakeRefused:
    named = {str(name).lower(): str(value) for name, value in headers.items()}
    return HandshakeRefused(Response(status, named, body, url))


def _proxy_options(settings: HTTPSettings) -> dict[str, Any]:
    if not settings.proxy:
        return {}
    from urllib.parse import urlsplit

    parts = urlsplit(settings.proxy)
    options: dict[str, Any] = {"http_proxy_host": parts.hostname, "http_proxy_port": parts.port}
    if parts.username:
        options["http_proxy_auth"] = (parts.username, parts.password or "")
    return options


class AsyncWebSocketClient:
    """An open websocket, async: each wait is one of the sync socket in a worker thread."""

    def __init__(self, inner: WebSocketClient, limiter: anyio.CapacityLimiter) -> None:
        self._inner = inner
        self._limiter = limiter

    async def receive(self, timeout: float | None = None) -> str | Closed | None:
        """Return the next text, how the socket ended, or None at the timeout. Cancelling drops the socket."""
        try:
            return await anyio.to_thread.run_sync(
                self._inner.receive, timeout, abandon_on_cancel=True, limiter=self._limiter
            )
        except anyio.get_cancelled_exc_class():
            self._inner.abort()
            raise

    async def send(self, text: str) -> Closed | None:
        """Send a text; return how the socket ended if it has."""
        return await anyio.to_thread.run_sync(
            self._inner.send, text, abandon_on_cancel=True, limiter=self._limiter
        )

    async def abort(self) -> None:
        """Drop the socket at once."""
        self._inner.abort()

    async def aclose(self) -> None:
        """Drop the socket, as `abort`."""
        self._inner.abort()


async def open_websocket_async(
    url: str,
    headers: Mapping[str, str],
    patience: Patience,
    max_message_bytes: int,
    settings: HTTPSettings,
) -> AsyncWebSocketClient:
    """Open a websocket; see `open_websocket`.

    Each socket has a limiter of its own, for one thread that receives and one that sends. anyio's default
    limiter has 40 threads for the whole program, and idle sockets would keep them from everything else.
    """
    limiter = anyio.CapacityLimiter(2)
    inner = await anyio.to_thread.run_sync(
        open_websocket,
        url,
        headers,
        patience,
        max_message_bytes,
        settings,
        abandon_on_cancel=True,
        limiter=limiter,
    )
    return AsyncWebSocketClient(inner, limiter)
