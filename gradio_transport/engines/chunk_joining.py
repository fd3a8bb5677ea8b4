# SPDX-License-Identifier: Apache-2.0
"""Joining of the chunks that one read of a connection returns, before h11 parses them.

h11 yields every chunk separately, and a busy server puts every message into its own chunk, so one read may
return hundreds. With one chunk per read, h11, the consumer, its locks and its decoder run once per read
instead of once per message. The result is chunked too, so h11 still validates the reply. Data that this
module does not understand passes unchanged from there on.
"""

from __future__ import annotations

import re
from typing import Literal

_HEAD_BYTES = 128 * 1024
"""The longest head that is parsed; httpcore allows h11 100 KiB."""

_LINE_BYTES = 256
"""The longest size line of a chunk that is parsed."""

_HEAD_END = re.compile(rb"\n\r?\n")
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3})[ \r\n]")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\x20-\x7e\t]*)?[ \t]*\r\n")


class ChunkJoiner:
    """The raw bytes of one reply, in and out.

    The received part of an incomplete chunk is passed on. At most a size line is held back.
    """

    def __init__(self) -> None:
        self._step: Literal["head", "chunks", "pass"] = "head"
        self._held = bytearray()
        self._searched = 0
        self._left = 0
        """Bytes of the chunk's content that have not arrived."""
        self._footer = b""
        """The expected bytes after the last chunk."""

    def feed(self, data: bytes) -> bytes:
        """Return the bytes for h11 in place of those of one read; no bytes if a line is incomplete."""
        match self._step:
            case "head":
                return self._head(data)
            case "chunks":
                return self._chunks(data)
            case "pass":
                return data

    def finish(self) -> bytes:
        """Return the held-back bytes at the end of the connection."""
        if self._step == "head":  # which was already passed on
            return b""
        held, self._held = bytes(self._held), bytearray()
        return held

    def _head(self, data: bytes) -> bytes:
        """Pass on a head, with informational ones before it, and find its end."""
        self._held += data
        while found := _HEAD_END.search(self._held, self._searched):
            head = bytes(self._held[: found.end()])
            del self._held[: found.end()]
            self._searched = 0
            status = _STATUS.match(head)
            code = b"" if status is None else status[1]
            if code[:1] == b"1" and code != b"101":
                continue
            without_body = code in (b"", b"101", b"204", b"304")
            self._step = "chunks" if not without_body and _is_chunked(head) else "pass"
            rest = bytes(self._held)
            self._held.clear()
            return data[: len(data) - len(rest)] + (self.feed(rest) if rest else b"")
        self._searched = max(0, len(self._held) - 2)
        if len(self._held) > _HEAD_BYTES:
            self._held.clear()
            self._step = "pass"
        return data

    def _chunks(self, data: bytes) -> bytes:
        """Return the content of all chunks as one chunk."""
        if self._held:
            data = bytes(self._held) + data
            self._held.clear()
        parts: list[bytes] = []
        at = 0
        while at < len(data) and self._step == "chunks" and not self._held:
            if self._left:
                parts.append(data[at : at + self._left])
                at += len(parts[-1])
                self._left -= len(parts[-1])
                self._footer = b"" if self._left else b"\r\n"
            elif self._footer:
                at = self._read_footer(data, at)
            else:
                at = self._read_size(data, at)
        content = b"".join(parts)
        chunk = b"%x\r\n%b\r\n" % (len(content), content) if content else b""
        if self._step == "chunks":
            return chunk
        # The footer above is correct. A wrong one is passed on as an illegal size, which h11 also refuses.
        return chunk + (b"\r\n" if self._footer else b"") + data[at:]

    def _read_footer(self, data: bytes, at: int) -> int:
        """Check what follows the content of a chunk; return where the next part begins."""
        found = data[at : at + len(self._footer)]
        if self._footer.startswith(found):
            self._footer = self._footer[len(found) :]
            return at + len(found)
        self._step = "pass"
        return at

    def _read_size(self, data: bytes, at: int) -> int:
        """Read the size of a chunk; return where its content begins."""
        end = data.find(b"\r\n", at) + 2
        if end < 2 and len(data) - at <= _LINE_BYTES:
            self._held += data[at:]
            return at
        size = _SIZE.fullmatch(data, at, end) if end >= 2 else None
        self._left = int(size[1], 16) if size is not None else 0
        if self._left:
            return end
        self._step = "pass"  # the last chunk and its trailers, or data that h11 may refuse
        return at


def _header_lines(head: bytes) -> list[bytes]:
    return [line.rstrip(b"\r") for line in head.split(b"\n")[1:]]


def _is_chunked(head: bytes) -> bool:
    """Return whether the body is chunked for certain, and nothing else."""
    lines = _header_lines(head)
    if any(line[:1] in (b" ", b"\t") for line in lines):
        return False
    fields = [
        (name.lower(), value.strip(b" \t").lower())
        for name, _, value in (line.partition(b":") for line in lines)
    ]
    framing = [field for field in fields if field[0].strip() in (b"transfer-encoding", b"content-length")]
    return framing == [(b"transfer-encoding", b"chunked")]
