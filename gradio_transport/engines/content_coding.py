# SPDX-License-Identifier: Apache-2.0
"""Decoding of content codings, the same on every engine.

Why not the HTTP libraries' own decoding: they treat an unknown coding differently (one passes it through, one
drops the connection, and which codings are known depends on what is installed), and they decompress a small
bomb into memory in one step.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from ..protocol.commands import CODINGS, Response

ACCEPTED = ", ".join(CODINGS)
"""The default ``accept-encoding`` of requests."""

_OUTPUT_BYTES = 256 * 1024
"""The most bytes of one decompressed piece, so that the caller can stop at its own bound."""

_INPUT_BYTES = 4 * 1024
"""Bytes that are decompressed at once after the first member of a body.

The library copies the data after a member, and a body may have any number of members.
"""

_EMPTY_MEMBERS = 1000
"""The most empty members of a body, because they yield no piece that a caller could count."""


class Unpacker:
    """A decompressor of a body as it arrives.

    A body that ends early is not a failure here: the engine knows the announced length.

    Attributes:
        failure: Why the body cannot be decompressed, or None. Nothing more is yielded after a failure.
    """

    def __init__(self, head: Response) -> None:
        self.failure: str | None = None
        self._layers = [_Layer(coding) for coding in reversed(head.codings)]

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the decompressed content of a piece of the body, without empty pieces.

        A few bytes may decompress to any number of pieces, so the consumer checks the deadline before each.
        """
        if self.failure is not None:
            return
        pieces: Iterable[bytes] = (data,)
        for layer in self._layers:
            pieces = layer.unpack(pieces)
        try:
            yield from pieces
        except zlib.error as error:
            self.failure = f"its content coding is damaged: {error}"


class _Layer:
    def __init__(self, coding: str) -> None:
        self._window_bits = zlib.MAX_WBITS if coding == "deflate" else zlib.MAX_WBITS | 16
        self._decompressor: Any = None
        self._head = b""
        self._complete = False
        self._member_bytes = 0
        self._empty_members = 0

    def unpack(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if self._decompressor is None:
                self._head += piece
                if len(self._head) < 2:
                    continue
                self._start(self._head)
                yield from self._decompress(self._head)
            else:
                yield from self._decompress(piece)

    def _start(self, head: bytes) -> None:
        if self._window_bits == zlib.MAX_WBITS and (head[0] & 0x0F != 8 or (head[0] * 256 + head[1]) % 31):
            self._window_bits = -zlib.MAX_WBITS  # some servers send raw deflate, without the header of zlib
        self._decompressor = zlib.decompressobj(self._window_bits)

    def _decompress(self, data: bytes) -> Iterator[bytes]:
        view, at, is_more = memoryview(data), 0, True
        while is_more:
            end = min(at + _INPUT_BYTES, len(data)) if self._complete else len(data)
            try:
                found = self._decompressor.decompress(view[at:end], _OUTPUT_BYTES)
            except zlib.error:
                if self._complete:  # data after a complete member is not part of the body
                    return
                raise
            self._member_bytes += len(found)
            if found:
                yield found
            at = end - len(self._decompressor.unused_data or self._decompressor.unconsumed_tail)
            is_more = at < len(data) or len(found) == _OUTPUT_BYTES
            if self._decompressor.eof:
                self._begin_member()

    def _begin_member(self) -> None:
        self._complete = True
        self._empty_members += not self._member_bytes
        if self._empty_members > _EMPTY_MEMBERS:
            raise zlib.error(f"more than {_EMPTY_MEMBERS:,} of its members are empty")
        self._member_bytes = 0
        self._decompressor = zlib.decompressobj(self._window_bits)
