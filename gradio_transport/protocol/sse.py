# SPDX-License-Identifier: Apache-2.0
"""Incremental decoder of server-sent events, without I/O.

It implements "Parsing an event stream" and "Interpreting an event stream" of the WHATWG HTML standard
(section 9.2.6) in full: bytes go in as they arrive, events come out, and any chunking gives the same events.

An event is everything up to a blank line, so the decoder cuts the stream into such *blocks* first and looks
at lines only inside a complete block. Line ends are first normalized to LF, so that one search finds a blank
line. A CR at the end of a chunk may be half a CR LF, but an event that it ends must not wait for the next
chunk. So it counts as a line end at once, and a LF after a complete event counts as another blank line, which
dispatches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import attrs

from ..errors import EventTooLarge, Phase

DEFAULT_MAX_EVENT_BYTES: Final = 256 * 1024 * 1024
"""Gradio sends images and audio as base64 inside one event, so the bound is high and only protects memory."""

MAX_RETRY_DIGITS: Final = 15
"""The most digits of a retry time: this is 30,000 years, and Python refuses to convert very long numbers."""

_BOM: Final = b"\xef\xbb\xbf"
_LINE_ENDS: Final = b"\r\n"
# As numbers, because CPython finds a byte five times faster than a string of one byte.
_CR: Final = 13
_LF: Final = 10
_COLON: Final = 58
_RETRY: Final = re.compile(rb"^retry: ?([0-9]+)[\r\n]", re.MULTILINE)


@attrs.frozen
class ServerSentEvent:
    """One dispatched event.

    Attributes:
        data: The ``data`` lines, joined with LF.
        event: The event type, ``"message"`` unless the server names another.
        id: The last event id of the stream, including this event.
    """

    data: str
    event: str = "message"
    id: str = ""


class SSEDecoder:
    """A decoder of the bytes of one ``text/event-stream`` body to events.

    Only the incomplete block is buffered, and only new bytes are searched, so the cost is linear in the input
    for any chunking.

    Attributes:
        retry: Reconnection time in milliseconds, the last valid one the server sent, or None.
        last_event_id: The ``Last-Event-ID`` for a reconnecting client; updated with each complete event.
    """

    def __init__(self, *, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES) -> None:
        self.retry: int | None = None
        self.last_event_id = ""
        self._max_event_bytes = max_event_bytes
        self._reset()

    def _reset(self) -> None:
        self._buffer = bytearray()
        # The line end of the buffer, kept separately so that it is searched together with the next chunk.
        self._held = b""
        self._at_start = True
        self._too_large = False

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Process the next bytes of the stream and return the events that they complete.

        Raises:
            EventTooLarge: An event exceeds `max_event_bytes`. Final: every later call raises it too, because
                the following bytes cannot be separated from that event. Earlier events of the same chunk are
                dropped with it.
        """
        if self._held:
            chunk = self._held + chunk
        blocks = _split_blocks(chunk)
        if self._too_large or len(self._buffer) + len(chunk) > self._max_event_bytes:
            self._check_sizes(blocks)
        rest = blocks.pop()
        events = self._decode(blocks) if blocks else []
        if rest:
            self._buffer_rest(rest)
        else:
            self._held = b""
        return events

    def close(self) -> bytes:
        """End the stream and return the unterminated event it was cut off in, undecoded (line ends as LF).

        The standard drops such an event, because it may be incomplete. It is returned so that a caller can
        distinguish a cut from a clean end (``b""``). The tail may also be only comment lines. A `retry` in a
        complete line of it counts, because that field needs no blank line.

        Afterwards the decoder accepts a new stream, as after a reconnect: `retry` and `last_event_id` stay.
        """
        tail = bytes(self._buffer) + self._held
        if self._at_start:
            tail = tail.removeprefix(_BOM).lstrip(_LINE_ENDS)
        for line in _RETRY.finditer(tail):
            self._set_retry(line[1])
        self._reset()
        return tail

    def _check_sizes(self, blocks: list[bytes]) -> None:
        """Reject the chunk if one of its blocks, complete or not, is too large."""
        if self._too_large:
            raise self._error()
        begun = len(self._buffer)
        for block in blocks:
            size = begun + len(block) if begun else len(block.lstrip(_LINE_ENDS))
            # Only the last block, an open one, can end with a line end. That may prove to be its terminator,
            # which does not count.
            if block.endswith((b"\r", b"\n")):
                size -= 1
            if size > self._max_event_bytes:
                self._reset()
                self._too_large = True
                raise self._error()
            begun = 0

    def _error(self) -> EventTooLarge:
        return EventTooLarge(
            f"The server sent one event of more than {self._max_event_bytes:,} bytes, which is the limit. "
            "If the app is meant to send that much, raise Limits(max_event_bytes=).",
            phase=Phase.STREAM,
        )

    def _buffer_rest(self, rest: bytes) -> None:
        """Buffer the start of the next block."""
        if not self._buffer:
            self._at_start = self._at_start and not rest.startswith((b"\r", b"\n"))
            rest = rest.lstrip(_LINE_ENDS)
        if rest.endswith((b"\r", b"\n")):
            self._held = rest[-1:]
            rest = rest[:-1]
        else:
            self._held = b""
        self._buffer += rest

    def _decode(self, blocks: list[bytes]) -> list[ServerSentEvent]:
        """Return the events of complete blocks, the first of which continues the buffer."""
        events: list[ServerSentEvent] = []
        if self._buffer or self._at_start:
            begun = self._interpret(self._take_first_block(blocks.pop(0)))
            if begun is not None:
                events.append(begun)
        for block in blocks:
            # The usual event of Gradio servers: one line, `data: ` and JSON.
            if block[:6] == b"data: " and _LF not in block:
                data = block[6:].decode("utf-8", "replace")
                events.append(ServerSentEvent(data, "message", self.last_event_id))
            elif (event := self._interpret(block)) is not None:
                events.append(event)
        return events

    def _take_first_block(self, end: bytes) -> bytearray:
        """Return the complete first block, without a byte order mark, and empty the buffer."""
        self._buffer += end
        block, self._buffer = self._buffer, bytearray()
        if self._at_start and block.startswith(_BOM):
            del block[: len(_BOM)]
        self._at_start = False
        return block

    def _interpret(self, block: bytes | bytearray) -> ServerSentEvent | None:
        """Interpret the lines of one block; None if it dispatches nothing (no ``data`` line)."""
        # A view, because an event of one line may be tens of megabytes: it is copied once, as text.
        view = memoryview(block)
        data: memoryview | bytearray | None = None
        kind = b""
        for line_start, line_end in _lines(block):
            name, start, end = _field(block, line_start, line_end)
            if name == b"data":
                data = view[start:end] if data is None else _join_lines(data, view[start:end])
            elif name == b"event":
                kind = bytes(view[start:end])
            elif name == b"id" and block.find(b"\0", start, end) < 0:
                self.last_event_id = str(view[start:end], "utf-8", "replace")
            elif name == b"retry":
                self._set_retry(bytes(view[start:end]))
        if data is None:
            return None
        text = str(data, "utf-8", "replace")
        return ServerSentEvent(text, kind.decode("utf-8", "replace") or "message", self.last_event_id)

    def _set_retry(self, value: bytes) -> None:
        digits = value.lstrip(b"0") or b"0"
        if value.isdigit() and len(digits) <= MAX_RETRY_DIGITS:
            self.retry = int(digits)


def _split_blocks(chunk: bytes) -> list[bytes]:
    """Split at blank lines, with every line end as LF. The last element is the rest."""
    open_end = chunk.endswith(b"\r")
    if _CR in chunk:
        # CR LF first: in CR CR LF the first CR is a separate line end.
        chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    # For the middle of a large event: searching one byte first is twenty times faster than two.
    blocks = chunk.split(b"\n\n") if _LF in chunk else [chunk]
    if open_end and blocks[-1].endswith(b"\n"):
        # The LF that would make it a CR LF may be the first byte of the next chunk.
        blocks[-1] = blocks[-1][:-1] + b"\r"
    return blocks


def _lines(block: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Yield the spans of the lines of a block, one at a time: a block may have millions."""
    start = 0
    while (end := block.find(_LF, start)) >= 0:
        yield start, end
        start = end + 1
    yield start, len(block)


def _join_lines(data: memoryview | bytearray, more: memoryview) -> bytearray:
    """Return two or more ``data`` lines with LF between them, growing in place from the second on."""
    if not isinstance(data, bytearray):
        data = bytearray(data)
    data += b"\n"
    data += more
    return data


def _field(block: bytes | bytearray, start: int, end: int) -> tuple[bytes, int, int]:
    """Return the name of the field in a line and the span of its value (a comment's name is empty)."""
    colon = block.find(_COLON, start, end)
    if colon < 0:
        return bytes(block[start:end]), end, end
    value = colon + 1
    if block[value : value + 1] == b" ":
        value += 1
    return bytes(block[start:colon]), value, end
