# SPDX-License-Identifier: Apache-2.0
"""Websockets of old servers by websocket-client: sync, and async in a worker thread for each open socket.

Replaced defaults of websocket-client:

- Its pure-Python UTF-8 check takes 400 ms for 1 MB, so texts are decoded here.
- ``recv()`` returns ``""`` for a close, so frames are received.
- ``close()`` can block for 25 s, so sockets are dropped.
- It reads frames of any size, and handshake replies of any size and duration: see `_Frames`, `_StreamSocket`.
- It has its own rules for proxies: see `open_connection`.
- It stores cookies of handshakes for all websockets of the process: see `_StreamSocket`.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, cast

import anyio
import anyio.to_thread
import attrs
import websocket

from ..errors import StreamLost, TransportError
from ..protocol.commands import REDIRECTS, Closed, Ending, Response
from ..protocol.headers import check_headers
from .base import HandshakeRefused, Patience
from .bounds import Bounds, BrokenError, LateError, Wait
from .libraries import load_core
from .proxies import Proxy, add_proxy, describe_way
from .replies import CHUNK_BYTES, connect_timeout, reason
from .routes import Routes
from .settings import HTTPSettings
from .sockets import SocketBackend
from .tunnels import open_connection

_HEAD_BYTES = 100 * 1024
"""The most bytes of the head of a handshake reply; the same as in httpx."""

_ANSWER_BYTES = 1024 * 1024
"""The most bytes of that reply with the body of a refusal."""

_CONTROL_BYTES = 125
"""The longest payload of a ping, which may come between the fragments of a message (RFC 6455 §5.5)."""


class _TooLargeError(Exception):
    """The server announces a message over the bound."""


class _Frames(websocket.frame_buffer):
    """Frames with a size check before they are read.

    The library collects a frame of any length, and any number of fragments, before it returns them.
    """

    def __init__(self, receive: Callable[[int], bytes], collected: Callable[[], int], most: int) -> None:
        super().__init__(receive, skip_utf8_validation=True)
        self._collected = collected
        self._most = most + _CONTROL_BYTES

    def recv_strict(self, bufsize: int) -> bytes:
        """Return bytes of a frame, if it and the fragments before it are within the bound."""
        if bufsize + self._collected() > self._most:
            raise _TooLargeError(f"a message of {bufsize} bytes or more")
        return super().recv_strict(bufsize)


class _Fragments(websocket.continuous_frame):
    """The fragments of a message. The library would copy the whole message for each fragment."""

    def add(self, frame: Any) -> None:
        """Add a fragment."""
        if not frame.fin and not self.cont_data:
            frame.data = bytearray(frame.data)
        super().add(frame)


class _Connection(websocket.WebSocket):
    """The library's websocket with bounded messages, and with control replies that cannot fail.

    The library raises if a pong or the reply to a close cannot be sent, although messages that the server
    sent before are still unread.
    """

    def __init__(self, max_message_bytes: int) -> None:
        super().__init__(skip_utf8_validation=True, enable_multithread=True)  # pyright: ignore[reportUnknownMemberType]
        self.cont_frame = _Fragments(fire_cont_frame=False, skip_utf8_validation=True)
        self.frame_buffer = _Frames(self.frame_buffer.recv, self._count_collected, max_message_bytes)

    def _count_collected(self) -> int:
        held = self.cont_frame.cont_data
        return len(held[1]) if held else 0

    def pong(self, payload: str | bytes = "") -> None:
        """Reply to a ping if possible."""
        with contextlib.suppress(websocket.WebSocketException, OSError):
            super().pong(payload)

    def send_close(self, status: int = websocket.STATUS_NORMAL, reason: str | bytes = b"") -> None:
        """Do nothing: the socket is dropped at once (docs/wire.md §3.3)."""


class _StreamSocket:
    """The socket for websocket-client: a connection of this library, with bounds for the handshake's reply.

    It buffers, because the library reads the head of the reply byte by byte. Data after the head belongs to
    the frames, and stays in the buffer.

    Attributes:
        set_cookies: The cookies of the reply. They are hidden from the library, which would put them into an
            unbounded store, and send them on every other websocket of the process to that host.
    """

    def __init__(self, stream: Any, bounds: Bounds) -> None:
        self.set_cookies: list[str] = []
        self._wait_until = math.inf
        self._stream = stream
        self._bounds = bounds
        self._wait = Wait(bounds)
        bounds.begin_upgraded()
        self._timeout: float | None = None
        self._unread = bytearray()
        self._head_read = False
        self._answer_left: int | None = _ANSWER_BYTES
        self._closed = False

    def settimeout(self, timeout: float | None) -> None:
        """Set the timeout in seconds of a read or write."""
        self._timeout = timeout

    def limit_wait(self, seconds: float | None) -> None:
        """Set one total time limit for all reads from now on."""
        self._wait_until = math.inf if seconds is None else time.monotonic() + seconds

    def gettimeout(self) -> float | None:
        """Return the timeout."""
        return self._timeout

    def recv(self, size: int) -> bytes:
        """Return received bytes, or no bytes at the end.

        Raises:
            TimeoutError: No data arrived in time.
            OSError: The connection broke, or the reply to the handshake is too large.
        """
        if not self._head_read:
            self._head_read = True
            self._read_head()
        if not self._unread:
            self._fill()
        data = bytes(self._unread[:size])
        del self._unread[:size]
        return data

    def send(self, data: bytes) -> int:
        """Send all bytes.

        Raises:
            TimeoutError: The server did not read them in time.
            OSError: The connection broke.
        """
        if self._closed:
            raise OSError("the socket is closed")
        with self._bounded(self._timeout):
            self._stream.write(data, self._wait)
        return len(data)

    def close(self) -> None:
        """Close the connection. A reading thread wakes up at once, and closes it then."""
        self._closed = True
        # Closing alone would not end the connection while a child of fork has its descriptor.
        self._bounds.shut_down()
        self._stream.close()

    def close_descriptor(self) -> None:
        """Close only the socket of this process; the connection stays open in the parent.

        Without the lock of `close`, which a thread of the parent may have held during the fork.
        """
        sock = self._stream.get_extra_info("socket")
        if sock is not None:
            sock.close()

    def end_handshake(self) -> None:
        """Remove the bound of the handshake's reply."""
        self._answer_left = None

    def _read_head(self) -> None:
        """Read the head of the reply, without its cookies. Lines are split as in the library."""
        head, size = bytearray(), 0
        while True:
            end = self._unread.find(b"\n") + 1
            if size + (end or len(self._unread)) > _HEAD_BYTES:
                raise OSError(f"the head of the reply has more than {_HEAD_BYTES} bytes")
            if not end:
                if not self._fill():
                    break
                continue
            size += end
            line = self._unread[:end].decode("utf-8", "replace").strip()
            name, _, value = line.partition(":")
            if name.lower() == "set-cookie":
                self.set_cookies.append(value.strip())
            else:
                head += self._unread[:end]
            del self._unread[:end]
            if not line:
                break
        self._unread[:0] = head

    def _fill(self) -> bool:
        """Read more into the buffer, and return whether there was more."""
        if self._closed:
            return False
        with self._bounded(self._read_seconds()):
            data = self._stream.read(CHUNK_BYTES, self._wait)
        self._unread += data
        if self._answer_left is not None:
            self._answer_left -= len(data)
            if self._answer_left < 0:
                raise OSError(f"the reply has more than {_ANSWER_BYTES} bytes")
        return bool(data)

    @contextlib.contextmanager
    def _bounded(self, seconds: float | None) -> Generator[None, None, None]:
        """Bound a wait, and translate this library's exceptions to socket errors for websocket-client."""
        if self._answer_left is None:  # during the handshake the time to connect is the bound
            self._bounds.limit_wait(seconds)
        try:
            yield
        except LateError as error:
            raise TimeoutError("timed out") from error
        except BrokenError as error:
            raise OSError(reason(error.error)) from error.error

    def _read_seconds(self) -> float | None:
        if self._wait_until == math.inf:
            return self._timeout
        left = self._wait_until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left if self._timeout is None else min(left, self._timeout)


class WebSocketClient:
    """An open websocket, sync."""

    def __init__(
        self,
        connection: _Connection,
        sock: _StreamSocket,
        patience: Patience,
        max_message_bytes: int,
        proxy: Proxy | None,
    ) -> None:
        self._connection = connection
        self._sock = sock
        self._silence = patience.silence_seconds
        self._max_message_bytes = max_message_bytes
        self._proxy = proxy

    def receive(self, timeout: float | None = None) -> str | Closed | None:
        """Return the next text, the end of the socket, or None after `timeout` seconds."""
        self._sock.limit_wait(None if timeout is None else max(timeout, 0.001))
        try:
            return self._receive()
        except _TooLargeError as error:
            return Closed(Ending.TOO_LARGE, reason=str(error))
        except websocket.WebSocketTimeoutException:
            if timeout is not None:
                return None
            return self._ended(Ending.IDLE, f"silent for {self._silence} s")
        except (websocket.WebSocketException, OSError) as error:
            return self._ended(Ending.RESET, reason(error))

    def _ended(self, ending: Ending, why: str) -> Closed:
        return Closed(ending, reason=add_proxy(why, self._proxy))

    def _receive(self) -> str | Closed:
        while True:
            opcode, frame = cast("Any", self._connection).recv_data_frame()
            data = bytes(frame.data)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return _parse_close(data)
            if opcode in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY):
                if len(data) > self._max_message_bytes:
                    return Closed(Ending.TOO_LARGE, reason=f"a message of {len(data)} bytes")
                return data.decode("utf-8", "replace")

    def send(self, text: str) -> Closed | None:
        """Send a text. Return the end of the socket if it has ended."""
        try:
            self._connection.send(text)
        except (websocket.WebSocketException, OSError) as error:
            return self._ended(Ending.RESET, reason(error))
        return None

    def close_descriptor(self) -> None:
        """Close the socket of this process after a fork; the connection stays open in the parent."""
        with contextlib.suppress(OSError):
            self._sock.close_descriptor()

    def abort(self) -> None:
        """Drop the socket at once: a close handshake blocks a worker of 3.x for 10 s (docs/wire.md §3.3)."""
        with contextlib.suppress(OSError):
            self._sock.close()

    def close(self) -> None:
        """Drop the socket, as `abort`."""
        self.abort()


def _parse_close(data: bytes) -> Closed:
    code = int.from_bytes(data[:2], "big") if len(data) >= 2 else None
    reason = data[2:].decode("utf-8", "replace")
    ending = Ending.CLEAN if code in (None, 1000, 1001) else Ending.RESET
    return Closed(ending, code, reason)


def open_websocket(
    url: str,
    headers: Mapping[str, str],
    patience: Patience,
    max_message_bytes: int,
    settings: HTTPSettings,
    backend: SocketBackend | None = None,
    routes: Routes | None = None,
) -> WebSocketClient:
    """Open a websocket within the seconds of `Patience.connect`.

    Args:
        url: A URL of ``ws`` or ``wss``.
        headers: Headers, including ``cookie``.
        patience: Its ``silence`` is for `WebSocketClient.receive`.
        max_message_bytes: The most bytes of a message.
        settings: TLS and the proxy.
        backend: Opens the TCP connection, and can close it from another thread; a new one if None.
        routes: Routes of the engine; the environment is read again if None.

    Raises:
        HandshakeRefused: The server replied with an HTTP status.
        TransportError: There was no reply.
        LocalProtocolError: A header is not allowed in HTTP.
        UnsupportedProtocol: The proxy needs a package that is not installed.
    """
    check_headers(headers)
    bounds = Bounds(attrs.evolve(patience, silence=None, whole=None))
    backend = SocketBackend(load_core(settings.library).WriteError) if backend is None else backend
    bounds.begin_connecting()
    routes = Routes(settings) if routes is None else routes
    proxy = routes.find(url).proxy
    sock = _StreamSocket(open_connection(url, settings, patience, bounds, backend, routes), bounds)
    connection = _Connection(max_message_bytes)
    try:
        _shake_hands(connection, url, headers, sock)
    except (websocket.WebSocketException, OSError, ValueError) as error:
        sock.close()
        raise _handshake_error(error, url, proxy, connection, sock, patience) from error
    except BaseException:
        sock.close()
        raise
    sock.end_handshake()
    connection.settimeout(patience.silence_seconds)
    return WebSocketClient(connection, sock, patience, max_message_bytes, proxy)


def _shake_hands(connection: Any, url: str, headers: Mapping[str, str], sock: _StreamSocket) -> None:
    own = dict(headers)
    cookie = own.pop("cookie", None)
    connection.connect(url, socket=sock, header=own, cookie=cookie, suppress_origin=True, redirect_limit=0)
    if connection.status != 101:  # old versions of the library mistake a redirect for an open socket
        raise websocket.WebSocketException("redirected")


def _handshake_error(
    error: Exception,
    url: str,
    proxy: Proxy | None,
    connection: _Connection,
    sock: _StreamSocket,
    patience: Patience,
) -> HandshakeRefused | TransportError:
    """Return the translated error of websocket-client, with the reply if it was read before."""
    where = describe_way(url, proxy)
    if isinstance(error, websocket.WebSocketTimeoutException | TimeoutError):
        return connect_timeout(where, patience)
    # The library's error for a redirect has no status and no headers.
    refusal: Any = error if isinstance(error, websocket.WebSocketBadStatusException) else None
    status: int = (refusal.status_code if refusal else connection.status) or 0
    if not 100 <= status <= 999 or not (refusal or status in REDIRECTS):
        return StreamLost(
            f"The websocket handshake with {where} failed: {reason(error)}.", phase=patience.phase
        )
    headers: Mapping[str, str] = (refusal.resp_headers if refusal else cast("Any", connection).headers) or {}
    body: bytes = (refusal.resp_body if refusal else None) or b""
    named = {name.lower(): value for name, value in headers.items()}
    return HandshakeRefused(Response(status, named, body, url, tuple(sock.set_cookies)))


class AsyncWebSocketClient:
    """An open websocket, async. Each wait is one of the sync socket in a worker thread."""

    def __init__(self, inner: WebSocketClient, limiter: anyio.CapacityLimiter) -> None:
        self._inner = inner
        self._limiter = limiter

    async def receive(self, timeout: float | None = None) -> str | Closed | None:
        """Return the next text, the end of the socket, or None at the timeout. Drops it when cancelled."""
        try:
            return await anyio.to_thread.run_sync(
                self._inner.receive, timeout, abandon_on_cancel=True, limiter=self._limiter
            )
        except anyio.get_cancelled_exc_class():
            self._inner.abort()
            raise

    async def send(self, text: str) -> Closed | None:
        """Send a text. Return the end of the socket if it has ended."""
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
    backend: SocketBackend | None = None,
    routes: Routes | None = None,
) -> AsyncWebSocketClient:
    """Open a websocket; see `open_websocket`.

    Each socket has its own limiter, for one thread that receives and one that sends. anyio's default limiter
    has 40 threads for the whole program, and idle sockets would occupy them.
    """
    limiter = anyio.CapacityLimiter(2)
    opened: list[WebSocketClient] = []
    cancelled = threading.Event()

    def open_in_thread() -> WebSocketClient:
        opened.append(open_websocket(url, headers, patience, max_message_bytes, settings, backend, routes))
        if cancelled.is_set():
            opened[0].abort()
        return opened[0]

    try:
        inner = await anyio.to_thread.run_sync(open_in_thread, abandon_on_cancel=True, limiter=limiter)
    except anyio.get_cancelled_exc_class():
        # The thread continues, and may have just finished.
        cancelled.set()
        for socket in opened:
            socket.abort()
        raise
    return AsyncWebSocketClient(inner, limiter)
