# SPDX-License-Identifier: Apache-2.0
"""Recording of the proxy's traffic in a trace, in its own thread.

The event loop forwards first, and only puts a timed note into a queue. The thread decodes, finds the calls,
redacts and writes, so that recording delays no byte.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from ..engines.content_coding import Unpacker
from ..protocol.commands import Ending, Response
from ..protocol.frames import Direction

logger = logging.getLogger(__name__)

BODY_BYTES = 16 * 1024 * 1024
"""The most recorded bytes of a request's body or a text reply. The rest is only forwarded."""

FILE_BYTES = 1024 * 1024
"""The most recorded bytes of a downloaded file."""

UPLOAD_BYTES = 1024 * 1024
"""The largest upload that is recorded at its end, with the size of each file.

A larger one is recorded at its start, because its duration matters more.
"""

PENDING_BYTES = 64 * 1024 * 1024
"""The most bytes that may wait to be recorded. Above that the proxy waits, so its memory is bounded."""

_NOTE_BYTES = 512
"""Bytes that a note in the queue counts besides its data."""

_IDLE_SECONDS = 0.5
"""Seconds between two clock updates for the observer while idle."""

_STREAMS = ("text/event-stream",)

_TEXTS = ("application/json", "text/html", "text/plain")

_ASSETS = (
    "text/javascript", "application/javascript", "text/css", "font/", "application/font", "application/wasm",
)  # fmt: skip
"""Content types that are never part of a call; their content is ignored."""

_FILENAME = re.compile(rb'filename="([^"\r\n]{0,1000})"', re.IGNORECASE)


class Observer(Protocol):
    """The finder of the calls in plain HTTP traffic: `gradio_transport.trace.traffic.inference.Inference`."""

    def request(
        self,
        exchange: int,
        t: float,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        files: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Process a request; for an unrecorded upload, with the name and size of its files."""
        ...

    def response(self, exchange: int, t: float, status: int, headers: Mapping[str, str]) -> None:
        """Process the head of a reply."""
        ...

    def data(self, exchange: int, t: float, data: bytes) -> None:
        """Process a piece of a body, without content coding."""
        ...

    def end(self, exchange: int, t: float, ending: Ending, reason: str = "") -> None:
        """Process the end of a reply."""
        ...

    def failed(self, exchange: int, t: float, error: str, message: str) -> None:
        """Process a request without a reply."""
        ...

    def websocket_opened(self, exchange: int, t: float, url: str, headers: Mapping[str, str]) -> None:
        """Process the handshake of a websocket."""
        ...

    def websocket_accepted(self, exchange: int, t: float) -> None:
        """Process the acceptance of a handshake."""
        ...

    def websocket_text(self, exchange: int, t: float, direction: Direction, text: str) -> None:
        """Process a text of a websocket."""
        ...

    def websocket_closed(
        self, exchange: int, t: float, code: int | None, reason: str, direction: Direction
    ) -> None:
        """Process the end of a websocket; without a code if the connection broke."""
        ...

    def advance(self, t: float) -> None:
        """Process the passing of time."""
        ...

    def close(self) -> None:
        """Process the end of all traffic."""
        ...


Take = Callable[[Observer], None]


class Recorder:
    """A recorder that passes events to an observer, in order, in a thread.

    Args:
        observer: Receives them. If it raises, recording ends with one warning, and the proxy continues.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._queue: queue.SimpleQueue[tuple[int, Take] | None] = queue.SimpleQueue()
        self._pending = 0
        self._lock = threading.Lock()
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._numbers = itertools.count(1)
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="gradio-transport-recorder", daemon=True)
        self._thread.start()

    def exchange(self) -> Exchange:
        """Return the record of one more request."""
        return Exchange(self, next(self._numbers))

    def put(self, take: Take, size: int = 0) -> None:
        """Queue a call of the observer that holds some bytes."""
        size += _NOTE_BYTES
        with self._lock:
            self._pending += size
        self._queue.put((size, take))

    async def room(self) -> None:
        """Wait while the queue is too full."""
        if self._pending <= PENDING_BYTES:
            return
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        with self._lock:
            if self._pending <= PENDING_BYTES:
                return
            self._waiters.append((loop, event))
        await event.wait()

    def close(self) -> None:
        """Wait until everything is recorded. Idempotent."""
        if self._thread.is_alive():
            self.put(lambda observer: observer.close())
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                item = self._queue.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                self._take(lambda observer: observer.advance(time.monotonic()))
                continue
            if item is None:
                return
            size, take = item
            self._take(take)
            with self._lock:
                self._pending -= size
                waiters = self._waiters if self._pending <= PENDING_BYTES // 2 else []
                if waiters:
                    self._waiters = []
            for loop, event in waiters:
                loop.call_soon_threadsafe(event.set)

    def _take(self, take: Take) -> None:
        if self._failed:
            return
        try:
            take(self._observer)
        except Exception:
            # A failure of the recording must not end the recorded traffic.
            self._failed = True
            logger.warning("the recording ends here, but the proxy continues", exc_info=True)


class Exchange:
    """The record of one request and its reply, or of one websocket."""

    def __init__(self, recorder: Recorder, number: int) -> None:
        self._recorder = recorder
        self._number = number
        self._request: tuple[str, str, Mapping[str, str]] | None = None
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._most = BODY_BYTES
        self._is_cut = False
        self._name = ""
        self._decoding: _Decoding | None = None
        self._over = False

    def begin(self, method: str, url: str, headers: Mapping[str, str]) -> None:
        """Process the head of a request; `sent` follows when its body is complete."""
        self._request = method, url, headers
        if headers.get("content-type", "").lower().startswith("multipart/"):
            self._most = UPLOAD_BYTES

    def body(self, data: bytes) -> None:
        """Process a piece of the request's body."""
        if self._request is None:
            return
        self._body_bytes += len(data)
        if not self._is_cut:
            self._body.append(data)
        if self._body_bytes > self._most and not self._is_cut:
            self._is_cut = True
            self._name = _first_name(self._body)
            self._body = []
            length = self._request[2].get("content-length", "")
            if length.isascii() and length.isdecimal():
                self._send_large(int(length))

    def sent(self) -> None:
        """Process the end of the request, or a reply before that end."""
        if self._is_cut:
            self._send_large(self._body_bytes)
        else:
            self._send_request(b"".join(self._body) if self._body else None, None)

    def _send_large(self, size: int) -> None:
        """Record a request without its body; for an upload, one name and the total size."""
        is_upload = self._most == UPLOAD_BYTES
        self._send_request(None, [{"name": self._name, "size": size}] if is_upload else None)

    def _send_request(self, body: bytes | None, files: list[Mapping[str, Any]] | None) -> None:
        if self._request is None:
            return
        (method, url, headers), self._request = self._request, None
        self._body = []
        number, t = self._number, time.monotonic()
        self._recorder.put(
            lambda observer: observer.request(number, t, method, url, headers, body, files),
            len(body or b""),
        )

    def response(self, status: int, headers: Mapping[str, str]) -> None:
        """Process the head of a reply."""
        self.sent()
        number, t = self._number, time.monotonic()
        self._recorder.put(lambda observer: observer.response(number, t, status, headers))
        self._decoding = _Decoding(headers)

    def data(self, data: bytes) -> None:
        """Process a piece of the reply's body as received."""
        decoding = self._decoding
        if decoding is None or not decoding.is_wanted:
            return
        decoding.count(data)
        number, t = self._number, time.monotonic()

        def take(observer: Observer) -> None:
            for piece in decoding.pieces(data):
                observer.data(number, t, piece)

        self._recorder.put(take, len(data))

    def end(self, ending: Ending, reason: str = "") -> None:
        """Process the end of the reply: complete, broken (`Ending.RESET`), or aborted (`LOCAL`)."""
        self._finish(lambda observer, t: observer.end(self._number, t, ending, reason))

    def failed(self, error: str, message: str) -> None:
        """Process a request without a reply."""
        self._finish(lambda observer, t: observer.failed(self._number, t, error, message))

    def websocket_opened(self, url: str, headers: Mapping[str, str]) -> None:
        """Process the handshake of a websocket."""
        number, t = self._number, time.monotonic()
        self._recorder.put(lambda observer: observer.websocket_opened(number, t, url, headers))

    def websocket_accepted(self) -> None:
        """Process the acceptance of a handshake."""
        number, t = self._number, time.monotonic()
        self._recorder.put(lambda observer: observer.websocket_accepted(number, t))

    def websocket_text(self, direction: Direction, data: bytes) -> None:
        """Process a text of a websocket."""
        number, t = self._number, time.monotonic()

        def take(observer: Observer) -> None:
            observer.websocket_text(number, t, direction, data.decode("utf-8", "replace"))

        self._recorder.put(take, len(data))

    def websocket_closed(self, direction: Direction, code: int | None, reason: str) -> None:
        """Process the end of a websocket, by either side."""
        self._finish(lambda observer, t: observer.websocket_closed(self._number, t, code, reason, direction))

    def _finish(self, take: Callable[[Observer, float], None]) -> None:
        if self._over:
            return
        self._over = True
        self.sent()
        t = time.monotonic()
        self._recorder.put(lambda observer: take(observer, t))


def _first_name(pieces: Sequence[bytes]) -> str:
    """Return the name of the first file of an upload."""
    found = _FILENAME.search(b"".join(pieces))
    return found[1].decode("utf-8", "replace") if found is not None else ""


class _Decoding:
    """A decoder of a reply's body for the record, up to a bound.

    Attributes:
        is_wanted: Whether more of the body is recorded.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        self._most = None if kind in _STREAMS else BODY_BYTES if kind in _TEXTS else FILE_BYTES
        self.is_wanted = not kind.startswith(_ASSETS)
        self._received = self._decoded = 0
        head = Response(200, {**headers})
        # A coding that was not requested is recorded undecoded.
        self._unpacker = Unpacker(head) if head.codings and head.unsupported_coding is None else None

    def count(self, data: bytes) -> None:
        """Count what was received, in the event loop."""
        self._received += len(data)
        if self._most is not None and self._received > self._most:
            self.is_wanted = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield the decoded content, in the thread."""
        for piece in (data,) if self._unpacker is None else self._unpacker.feed(data):
            left = len(piece) if self._most is None else self._most - self._decoded
            self._decoded += len(piece)
            if left <= 0:
                self.is_wanted = False
                return
            yield piece[:left]


__all__ = ["BODY_BYTES", "FILE_BYTES", "PENDING_BYTES", "UPLOAD_BYTES", "Exchange", "Observer", "Recorder"]
