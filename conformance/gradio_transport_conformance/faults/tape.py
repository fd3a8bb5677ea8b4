# SPDX-License-Identifier: Apache-2.0
"""The traffic of a fault server, as frames, so that a report can show it.

The server writes to its sockets itself, and many of these bytes are wrong on purpose. So replies are parsed
if they are HTTP, and other bytes are kept as they were sent.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping

import attrs

from gradio_transport.protocol.commands import Ending
from gradio_transport.protocol.frames import Direction, Frame, Kind

MOST_BYTES = 256 * 1024
"""Bytes that a tape keeps: the beginning of a flood is enough."""

MOST_FRAMES = 1000

NO_STATUS = 0
"""The status of a reply that does not begin as HTTP does."""

_MOST_HEAD = 64 * 1024
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})")
_SIZE = re.compile(rb"[0-9a-fA-F]{1,16}")
_LENGTH = re.compile(r"[0-9]{1,18}")
_SWITCHING = 101


@attrs.define(eq=False)
class Tape:
    """The traffic of one server, up to a limit.

    Attributes:
        frames: The received and sent data, in chronological order.
    """

    frames: list[Frame] = attrs.field(factory=list[Frame])
    _bytes: int = 0
    _requests: int = 0
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    def channel(self) -> str:
        """Return the channel of the next request."""
        with self._lock:
            self._requests += 1
            return f"request-{self._requests}"

    def keep(self, channel: str, direction: Direction, kind: Kind, payload: Mapping[str, object]) -> None:
        """Keep a frame, of which `payload` has no large texts."""
        with self._lock:
            # The ends are kept; otherwise truncated traffic would look as if it had never ended.
            if len(self.frames) < MOST_FRAMES or kind in (Kind.END, Kind.WS_CLOSE):
                self.frames.append(Frame(time.monotonic(), direction, kind, channel, payload))

    def cut(self, data: bytes) -> bytes:
        """Return the part of some bytes that is kept."""
        with self._lock:
            kept = data[: max(0, MOST_BYTES - self._bytes)]
            self._bytes += len(kept)
            return kept


@attrs.define(eq=False)
class ConnectionTape:
    """The traffic of one connection, request after request.

    Attributes:
        url: The URL of the server.
    """

    url: str
    _tape: Tape
    _channel: str = ""
    _head: bytes | None = b""
    _left: int | None = None
    _chunks: _Chunks | None = None
    _upgraded: bool = False

    def asked(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
        """Record a request of the client."""
        self.ended(Ending.CLEAN)
        self._channel, self._head, self._left, self._chunks = self._tape.channel(), b"", None, None
        is_socket = "websocket" in headers.get("upgrade", "").lower()
        url = f"{self.url}{target if target.startswith('/') else f'/{target}'}"
        payload = {"method": method, "url": url, "headers": dict(headers), "body": self._tape.cut(body)}
        self._keep(Direction.OUT, Kind.WS_OPEN if is_socket else Kind.REQUEST, payload)

    def said(self, data: bytes) -> None:
        """Record bytes of the server's reply, as they are on the wire."""
        if not self._channel:
            return
        if self._upgraded:
            self.text(Direction.IN, data)
        elif self._head is not None:
            self._take_head(self._head + data)
        else:
            self._take_body(data)

    def _take_head(self, data: bytes) -> None:
        if not _STATUS.match(data) and len(data) > len(b"HTTP/1.1 200"):
            self._begin(NO_STATUS, {}, data)
            return
        head, end, body = data.partition(b"\r\n\r\n")
        found = _STATUS.match(head)
        if not end or found is None:
            self._head = data[:_MOST_HEAD]
            return
        status = int(found[1])
        if 100 <= status < 200 and status != _SWITCHING:  # an interim reply, before the real one
            self._head = b""
            self.said(body)
            return
        lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
        headers = {
            name.decode("latin-1").strip().lower(): value.decode("latin-1").strip()
            for name, _, value in lines
        }
        self._begin(status, headers, body)

    def _begin(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self._head = None
        if status == _SWITCHING:
            self._upgraded = True
            self._keep(Direction.IN, Kind.WS_ACCEPT, {})
            return
        if headers.get("transfer-encoding", "").lower() == "chunked":
            self._chunks = _Chunks()
        elif _LENGTH.fullmatch(headers.get("content-length", "")):
            self._left = int(headers["content-length"])
        self._keep(Direction.IN, Kind.RESPONSE_HEAD, {"status": status, "headers": dict(headers)})
        self._take_body(body)

    def _take_body(self, data: bytes) -> None:
        if self._chunks is not None:
            data = self._chunks.feed(data)
        elif self._left is not None:
            self._left -= len(data)
        kept = self._tape.cut(data)
        if kept:
            self._keep(Direction.IN, Kind.CHUNK, {"data": kept})
        has_end = self._chunks is not None or self._left is not None
        if has_end and self._is_whole:
            self.ended(Ending.CLEAN)

    @property
    def _is_whole(self) -> bool:
        """Whether the reply is complete; a reply without a length is complete when the connection ends."""
        is_body_whole = self._chunks is None or self._chunks.ended
        return self._head is None and is_body_whole and (self._left is None or self._left <= 0)

    def text(self, direction: Direction, data: bytes) -> None:
        """Record a message of a websocket."""
        kept = self._tape.cut(data)
        if kept:
            self._keep(direction, Kind.WS_TEXT, {"text": kept.decode("utf-8", "replace")})

    def ended(self, ending: Ending) -> None:
        """Record the end of the connection, or of a reply before the next request.

        Args:
            ending: ``CLEAN`` if the server closed it; for an incomplete reply that is a break.
        """
        if not self._channel:
            return
        if self._head:
            self._begin(NO_STATUS, {}, self._head)
        if self._upgraded:
            self._keep(Direction.IN, Kind.WS_CLOSE, {"ending": ending.value})
        else:
            broken = Ending.RESET if ending is Ending.CLEAN else ending
            end = Ending.CLEAN if self._is_whole and ending is not Ending.RESET else broken
            self._keep(Direction.IN, Kind.END, {"ending": end.value})
        self._channel = ""

    def _keep(self, direction: Direction, kind: Kind, payload: Mapping[str, object]) -> None:
        self._tape.keep(self._channel, direction, kind, payload)


@attrs.define(eq=False)
class _Chunks:
    """Removes the framing of a chunked body (RFC 9112 §7.1). Bytes without that framing stay unchanged.

    Attributes:
        ended: Whether the last chunk has arrived.
    """

    ended: bool = False
    _line: bytes = b""
    _left: int = 0
    _broken: bool = False

    def feed(self, data: bytes) -> bytes:
        """Return the part of the body in some bytes."""
        found = bytearray()
        place = 0  # and no slice of what is left: pieces may hold a hundred thousand chunks
        while place < len(data) and not self._broken:
            if self._left:
                part = data[place : place + self._left]
                self._left -= len(part)
                place += len(part)
                found += part
                continue
            end = data.find(b"\n", place)
            line = self._line + (data[place : end + 1] if end >= 0 else data[place:])
            place = end + 1 if end >= 0 else len(data)
            self._line = line if end < 0 and len(line) <= _MOST_HEAD else b""
            if not self._line:
                self._take_line(line, found)
        return bytes(found + data[place:])

    def _take_line(self, line: bytes, found: bytearray) -> None:
        size = line.strip().partition(b";")[0]
        if not size:
            return  # the end of the chunk before
        if _SIZE.fullmatch(size):  # `int` takes a sign too
            self._left = int(size, 16)
            self.ended = self.ended or not self._left
        else:
            self._broken = True
            found += line


__all__ = ["MOST_BYTES", "NO_STATUS", "ConnectionTape", "Tape"]
