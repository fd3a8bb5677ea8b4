# SPDX-License-Identifier: Apache-2.0
"""The interface of engines, sync and async: four methods, with the library's own types and errors."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Protocol

import attrs

from ..errors import EventTooLarge, Phase, RemoteProtocolError, TimeoutExpired
from ..protocol.addresses import AddressRule
from ..protocol.commands import CODINGS, Closed, Request, Response
from ..protocol.urls import origin, shown_url
from .deadline import NEVER, Deadline


def total_suffix(setting: str) -> str:
    """Return the words that an error adds to its seconds if they bound the whole call."""
    return " for the whole call" if setting == "total" else ""


def _least(seconds: float | None, other: float | None) -> float | None:
    if seconds is None or other is None:
        return other if seconds is None else seconds
    return min(seconds, other)


class Interruption:
    """A means to wake a thread that waits for the head of a reply.

    Why a flag too: the interruption may be first, and a request that starts to wait later must also be woken.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake: Callable[[], object] | None = None
        self._is_set = False

    def set_wake(self, wake: Callable[[], object] | None) -> None:
        """Set the function that wakes the thread, or None once it no longer waits."""
        with self._lock:
            self._wake = wake
            if wake is not None and self._is_set:
                wake()

    def interrupt(self) -> None:
        """Wake the thread now, and again whenever it starts to wait."""
        with self._lock:
            self._is_set = True
            if self._wake is not None:
                self._wake()


class DeferredClose:
    """The deferred close of a connection until no thread uses it.

    Why not close at once: the OS gives the number of a closed socket to the next one that opens. A thread
    that is about to read would then read from another connection. A connection in use is therefore only shut
    down, which ends the read, and its last user closes it.
    """

    def __init__(self, shut_down: Callable[[], object], close: Callable[[], object]) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._close_requested = False
        self._shut_down = shut_down
        self._close = close

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            last = self._close_requested and not self._users
        if last:
            self._close()

    def close(self) -> None:
        """Close now if the connection is unused; else wake its users, and the last one closes it."""
        with self._lock:
            self._close_requested = True
            unused = not self._users
        if unused:
            self._close()
        else:
            self._shut_down()


@attrs.frozen
class Patience:
    """The time limits of one request: the caller's settings, and the deadline of its call.

    Attributes:
        connect: Seconds to open a connection.
        silence: Seconds without a byte.
        setting: The field of `Timeouts` for `silence` and `whole`, for the error.
        phase: The phase of the request.
        max_bytes: The most bytes of the reply's body.
        bound: The field of `Limits` that `max_bytes` comes from, for the error.
        whole: Seconds for the request and the whole reply, or None.
        interruption: Ends the wait for the reply's head, for sync engines.
        deadline: Deadline of the call. Engines read the remaining time from the properties.
        addresses: The address rule of the URL's host. An engine checks the address that it connects to, and
            uses no connection that was made under another rule.
        began: Start of `whole`, by `time.monotonic`.
    """

    connect: float | None
    silence: float | None
    setting: str
    phase: Phase
    max_bytes: int
    bound: str = "max_response_bytes"
    whole: float | None = None
    interruption: Interruption | None = None
    deadline: Deadline = NEVER
    addresses: AddressRule = AddressRule.ANY
    began: float = attrs.field(factory=time.monotonic)

    @property
    def connect_seconds(self) -> float | None:
        """Seconds to open a connection from now on."""
        return self._until_deadline(self.connect)

    @property
    def silence_seconds(self) -> float | None:
        """Seconds without a byte from now on."""
        return self._until_deadline(self.silence)

    @property
    def whole_seconds(self) -> float | None:
        """Seconds for the request and the whole reply from now on."""
        return self._until_deadline(self.whole)

    @property
    def wait_seconds(self) -> float | None:
        """Seconds for one wait: those of silence, or of the whole if less."""
        return _least(self.silence, self.whole_seconds)

    @property
    def head_seconds(self) -> float | None:
        """Seconds to connect and get a reply's head. Libraries would wait as long for each byte of it."""
        connect, silence = self.connect_seconds, self.silence_seconds
        return None if connect is None or silence is None else connect + silence

    def _until_deadline(self, seconds: float | None) -> float | None:
        if self.deadline is NEVER:
            return seconds
        # Not 0 after expiry, because some libraries treat 0 as no bound.
        return _least(seconds, max(self.deadline.at - time.monotonic(), 0.001))

    def exceeded(self) -> tuple[str, float | None]:
        """Return the expired setting and its value."""
        # 10 ms of tolerance: a timer may fire a little early, and would then be blamed on `setting`.
        now = time.monotonic() + 0.01
        if now >= self.deadline.at:
            return self.deadline.setting, self.deadline.seconds
        return self.setting, self.whole if self.whole and now - self.began >= self.whole else self.silence

    def exceeded_connecting(self) -> tuple[str, float | None]:
        """Return the setting that expired before there was a connection, and its value."""
        if time.monotonic() + 0.01 >= self.deadline.at:
            return self.deadline.setting, self.deadline.seconds
        return "connect", self.connect

    @property
    def repeatable(self) -> bool:
        """Whether a request without a proper reply may be repeated."""
        return self.phase is Phase.DOWNLOAD

    def timeout_error(self, url: str, seconds: float | None = None, **context: Any) -> TimeoutExpired:
        """Return the error for a reply that is not complete in time."""
        setting, over = self.exceeded()
        seconds = seconds or over
        return TimeoutExpired(
            f"The reply of {shown_url(url)} was not complete within {seconds} s"
            f"{total_suffix(setting)}. Raise Timeouts({setting}=) if replies may take longer.",
            setting=setting,
            seconds=seconds,
            phase=self.phase,
            retryable=self.repeatable,
            **context,
        )

    def size_error(self, url: str) -> EventTooLarge:
        """Return the error for a reply that exceeds the bound."""
        return EventTooLarge(
            f"The reply of {shown_url(url)} is larger than {self.max_bytes} bytes. Raise "
            f"Limits({self.bound}=) if you trust the server.",
            phase=self.phase,
        )

    def address_error(self, url: str, host: str) -> RemoteProtocolError:
        """Return the error for a host that the request must not go to.

        Args:
            url: URL of the request.
            host: An address of the host, or its name if that is enough.
        """
        if self.addresses is AddressRule.NAMED:
            why = (
                "is link-local or a metadata service of a cloud. If you want that address, pass it instead "
                "of the name"
            )
        else:
            why = (
                "is not public, and a server named it. To trust that origin: connect(..., "
                f"foreign_files=[{origin(url)!r}])"
            )
        return RemoteProtocolError(
            f"{shown_url(url)} was not fetched: its host ({host}) {why}.", phase=self.phase, retryable=False
        )

    def coding_error(self, url: str, head: Response) -> RemoteProtocolError:
        """Return the error for a reply in a content coding that was not requested."""
        return RemoteProtocolError(
            f"The reply of {shown_url(url)} has the content coding {head.unsupported_coding!r}, which was "
            f"not requested (only {', '.join(CODINGS)} were). Check any proxy between you and the server.",
            phase=self.phase,
            status=head.status,
        )


class ResponseStream(Protocol):
    """A reply whose head has arrived and whose body is still arriving."""

    @property
    def head(self) -> Response:
        """Status and headers."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes.

        Raises:
            StreamEnded: The body did not end cleanly.
        """
        ...

    def read(self, seconds: float | None = None) -> bytes:
        """Return the full body, within the bound of the request, and within a timeout if given.

        Raises:
            TransportError: The body is incomplete.
        """
        ...

    def abort(self) -> None:
        """Wake a reader that is blocked in another thread, at once."""
        ...

    def close(self) -> None:
        """Give the connection back, or drop it if the body is not at its end."""
        ...


class WebSocket(Protocol):
    """An open websocket."""

    def receive(self, timeout: float | None = None) -> str | Closed | None:
        """Return the next text, or how the socket ended, or None when `timeout` seconds are over."""
        ...

    def send(self, text: str) -> Closed | None:
        """Send a text; return how the socket ended if it has."""
        ...

    def abort(self) -> None:
        """Drop the socket at once, waking a blocked `receive`."""
        ...

    def close(self) -> None:
        """Drop the socket, after its reader has left."""
        ...


def engine_name(engine: object) -> str:
    """Return the name of an engine for traces: its attribute ``name``, or else that of its class."""
    return str(getattr(engine, "name", type(engine).__name__))


class Engine(Protocol):
    """Sync I/O."""

    def request(self, request: Request, patience: Patience) -> Response:
        """Send a request and return the whole reply. Redirects are not followed.

        Raises:
            TransportError: No reply arrived: `ConnectError`, `TimeoutExpired` or `StreamLost`.
        """
        ...

    def stream(self, request: Request, patience: Patience) -> ResponseStream:
        """Send a request and return as soon as the head of its reply has come."""
        ...

    def websocket(
        self, url: str, headers: Mapping[str, str], patience: Patience, max_message_bytes: int
    ) -> WebSocket:
        """Open a websocket.

        Raises:
            HandshakeRefused: The server replied to the handshake with an HTTP status.
        """
        ...

    def close(self) -> None:
        """Close all connections. Blocked calls in other threads end at once."""
        ...


class AsyncResponseStream(Protocol):
    """`ResponseStream` for async drivers. Cancel the task to cancel."""

    @property
    def head(self) -> Response:
        """Status and headers."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes."""
        ...

    async def read(self, seconds: float | None = None) -> bytes:
        """Return the whole body, within the bound of the request, and within some seconds if given."""
        ...

    def abort(self) -> None:
        """Shut the connection down: a pending read of the body ends at once."""
        ...

    async def aclose(self) -> None:
        """Return the connection to the pool, or drop it."""
        ...


class AsyncWebSocket(Protocol):
    """`WebSocket` for async drivers."""

    async def receive(self, timeout: float | None = None) -> str | Closed | None:
        """Return the next text, or how the socket ended, or None when `timeout` seconds are over."""
        ...

    async def send(self, text: str) -> Closed | None:
        """Send a text; return how the socket ended if it has."""
        ...

    async def abort(self) -> None:
        """Drop the socket at once."""
        ...

    async def aclose(self) -> None:
        """Drop the socket, after its reader has left."""
        ...


class AsyncEngine(Protocol):
    """Async I/O, on any event loop of anyio."""

    async def request(self, request: Request, patience: Patience) -> Response:
        """Send a request and return the whole reply."""
        ...

    async def stream(self, request: Request, patience: Patience) -> AsyncResponseStream:
        """Send a request and return as soon as the head of its reply has come."""
        ...

    async def websocket(
        self, url: str, headers: Mapping[str, str], patience: Patience, max_message_bytes: int
    ) -> AsyncWebSocket:
        """Open a websocket."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class StreamEnded(Exception):
    """A stream did not end cleanly. For drivers, never for callers."""

    def __init__(self, closed: Closed) -> None:
        super().__init__(closed.reason)
        self.closed = closed


class HandshakeRefused(Exception):
    """A websocket handshake got an HTTP status. For drivers, never for callers."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"HTTP {response.status}")
        self.response = response
