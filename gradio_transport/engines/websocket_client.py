# SPDX-License-Identifier: Apache-2.0
"""Legacy websockets by websocket-client: sync as it is, async by one worker thread for each live socket.

Four things its defaults get wrong for us (measured, see docs): its pure-Python UTF-8 check costs 400 ms for
1 MB, so texts are decoded here; ``recv()`` returns ``""`` for a close, so frames are received; ``close()``
can block for 25 s, so sockets are dropped; and the answer to its handshake may be of any length, and
come byte by byte.
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

from ..errors import StreamLost
from ..protocol.commands import REDIRECTS, Closed, Ending, Response
from .base import Closing, HandshakeRefused, Patience
from .httpx_common import no_connection, not_connected, ssl_context
from .settings import HTTPSettings

_HEAD_BYTES = 100 * 1024
"""Bound of the head of the answer to a handshake; what httpx allows."""

_ANSWER_BYTES = 1024 * 1024
"""Bound of that answer with the body of a refusal."""

_BLOCK_BYTES = 4096


class _TooLargeError(Exception):
    """The server announces more than it may send."""


class WebSocketClient:
    """An open websocket of the sync face."""

    def __init__(self, connection: Any, patience: Patience, max_message_bytes: int) -> None:
        self._connection = connection
        self._silence = patience.silence
        self._max_message_bytes = max_message_bytes
        self._in_use = Closing(connection.abort, connection.shutdown)
        self._harden(connection)

    def _harden(self, connection: Any) -> None:
        """Have the library look at sizes before it reads, and not lose messages for an answer that fails.

        It would collect a frame of any length, and any number of fragments, before it hands them over; and
        when a pong or the reply to a close cannot be sent, what the server said before would stay unread.
        """
        exactly, send = connection.frame_buffer.recv_strict, connection.send

        def bounded(size: int) -> bytes:
            held = connection.cont_frame.cont_data
            if size + (len(held[1]) if held else 0) > self._max_message_bytes:
                raise _TooLargeError(f"a message of {size} bytes or more")
            return bytes(exactly(size))

        def answer(payload: str | bytes = b"", *_: Any) -> None:
            with contextlib.suppress(Exception):
                send(payload, 0xA)

        connection.frame_buffer.recv_strict = bounded
        connection.pong = answer
        connection.send_close = _nothing  # the socket is dropped at once (docs/wire.md §3.3)

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
            # AttributeError: another thread dropped the socket before the read.
            return Closed(Ending.RESET, reason=str(error) or type(error).__name__)

    def _receive(self, timeout: float | None) -> str | Closed:
        import websocket

        self._connection.settimeout(self._silence if timeout is None else max(timeout, 0.001))
        while True:
            opcode, frame = self._connection.recv_data_frame(control_frame=False)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return _close_frame(frame.data)
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

    def leave(self) -> None:
        """Close this process's end only, not the connection, which is the parent's."""
        with contextlib.suppress(Exception):
            self._connection.shutdown()

    def abort(self) -> None:
        """Drop the socket at once: a polite goodbye holds a worker of 3.x for 10 s (docs/wire.md §3.3)."""
        with contextlib.suppress(Exception):
            self._connection.abort()
        with contextlib.suppress(Exception):
            self._in_use.close()


def _nothing(*_: Any) -> None:
    """Do nothing."""


def _close_frame(data: bytes) -> Closed:
    code = int.from_bytes(data[:2], "big") if len(data) >= 2 else None
    reason = data[2:].decode("utf-8", "replace")
    ending = Ending.CLEAN if code in (None, 1000, 1001) else Ending.RESET
    return Closed(ending, code, reason)


class _Answering:
    """A socket that answers a handshake, as long as it may take and as large as that may be.

    Attributes:
        rest: What has come and was not asked for yet.
    """

    def __init__(self, connected: Any, seconds: float | None) -> None:
        self.connected = connected
        self.rest = b""
        self._ends = math.inf if seconds is None else time.monotonic() + seconds
        self._read = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connected, name)

    def recv(self, size: int) -> bytes:
        """Read; the library asks for the head byte by byte, which comes in blocks all the same."""
        import websocket

        if not self.rest:
            if self._ends != math.inf:
                left = self._ends - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                self.connected.settimeout(left)
            self.rest = self.connected.recv(_BLOCK_BYTES)
        data, self.rest = self.rest[:size], self.rest[size:]
        self._read += len(data)
        if self._read > (_HEAD_BYTES if size == 1 else _ANSWER_BYTES):
            raise websocket.WebSocketException(f"the answer has more than {self._read - 1} bytes")
        return data


@lru_cache(maxsize=1)
def _connection_class() -> Any:
    """Return the class of connections: their sockets are bounded from when they are connected."""
    import websocket

    class Connection(websocket.WebSocket):
        seconds: float | None = None

        @property
        def sock(self) -> Any:
            return self._connected

        @sock.setter
        def sock(self, connected: Any) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
            answering = None if connected is None else _Answering(connected, self.seconds)
            self._connected: Any = answering

        def answered(self) -> None:
            """Lift the bounds: the handshake is over."""
            if self._connected.rest:
                buffered = cast("list[bytes]", self.frame_buffer.recv_buffer)  # pyright: ignore[reportUnknownMemberType]
                buffered.append(self._connected.rest)
            self._connected = self._connected.connected

    return Connection


def connect(
    url: str,
    headers: Mapping[str, str],
    patience: Patience,
    max_message_bytes: int,
    settings: HTTPSettings,
) -> WebSocketClient:
    """Open a websocket.

    Raises:
        HandshakeRefused: The server answered with an HTTP status.
        TransportError: There was no answer.
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
    where = url.partition("?")[0]
    try:
        connection.connect(
            url, header=own, cookie=cookie, suppress_origin=True, redirect_limit=0, **_proxy(settings)
        )
    except websocket.WebSocketBadStatusException as error:
        body: Any = error.resp_body or b""
        headers_of_reply = cast("Any", error.resp_headers)  # pyright: ignore[reportUnknownMemberType]
        body = body if isinstance(body, bytes) else body.encode()
        raise _refused(url, error.status_code, headers_of_reply or {}, body) from error
    except (websocket.WebSocketTimeoutException, TimeoutError) as error:
        raise not_connected(where, patience) from error
    except (websocket.WebSocketAddressException, ConnectionRefusedError, ssl.SSLError) as error:
        raise no_connection(where, error, patience) from error
    except (websocket.WebSocketException, OSError, ValueError) as error:
        answered = cast("Any", connection.handshake_response)
        # The library only says that it follows no redirect.
        if answered is not None and answered.status in REDIRECTS:
            raise _refused(url, answered.status, answered.headers, b"") from error
        raise StreamLost(f"The handshake with {where} broke: {error}.", phase=patience.phase) from error
    connection.answered()
    connection.settimeout(patience.silence)
    return WebSocketClient(connection, patience, max_message_bytes)


def _refused(url: str, status: int, headers: Any, body: bytes) -> HandshakeRefused:
    named = {str(name).lower(): str(value) for name, value in headers.items()}
    return HandshakeRefused(Response(status, named, body, url))


def _proxy(settings: HTTPSettings) -> dict[str, Any]:
    if not settings.proxy:
        return {}
    from urllib.parse import urlsplit

    parts = urlsplit(settings.proxy)
    options: dict[str, Any] = {"http_proxy_host": parts.hostname, "http_proxy_port": parts.port}
    if parts.username:
        options["http_proxy_auth"] = (parts.username, parts.password or "")
    return options


class AsyncWebSocketClient:
    """An open websocket of the async face."""

    def __init__(self, inner: WebSocketClient, limiter: anyio.CapacityLimiter) -> None:
        self._inner = inner
        self._limiter = limiter

    async def receive(self, timeout: float | None = None) -> str | Closed | None:
        """Return the next text, or how the socket ended, or None in time. Cancelling drops the socket."""
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


async def connect_async(
    url: str,
    headers: Mapping[str, str],
    patience: Patience,
    max_message_bytes: int,
    settings: HTTPSettings,
) -> AsyncWebSocketClient:
    """Open a websocket for the async face; see `connect`."""
    limiter = anyio.CapacityLimiter(2)
    inner = await anyio.to_thread.run_sync(
        connect, url, headers, patience, max_message_bytes, settings, abandon_on_cancel=True, limiter=limiter
    )
    return AsyncWebSocketClient(inner, limiter)
