# SPDX-License-Identifier: Apache-2.0
"""Undoes the content codings of replies, the same way on every engine.

The HTTP libraries differ in what they do with a coding that they do not know (one hands it over as it is, one
breaks the connection off, which one depends on what is installed), and unpack a bomb at one blow.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from ..protocol.commands import CODINGS, Response

ACCEPTED = ", ".join(CODINGS)
"""The ``accept-encoding`` of requests that do not say otherwise."""

_PIECE_BYTES = 256 * 1024
"""How much is unpacked at a time."""


class Unpacker:
    """Unpacks a body as it comes. It may break off where it likes: whoever reads it knows what is missing.

    Attributes:
        broken: Why the body cannot be unpacked, once that shows; no more comes of it then.
    """

    def __init__(self, head: Response) -> None:
        self.broken: str | None = None
        self._layers = [_Layer(coding) for coding in reversed(head.codings)]

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what a piece of the body holds, none of it empty."""
        if self.broken is not None:
            return
        pieces: Iterable[bytes] = (data,)
        for layer in self._layers:
            pieces = layer.unpacked(pieces)
        try:
            for piece in pieces:
                if piece:
                    yield piece
        except zlib.error as error:
            self.broken = f"its content coding does not hold: {error}"


class _Layer:
    def __init__(self, coding: str) -> None:
        self._bits = zlib.MAX_WBITS if coding == "deflate" else zlib.MAX_WBITS | 16
        self._inside: Any = None
        self._head = b""
        self._whole = False

    def unpacked(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            if self._inside is None:
                self._head += piece
                if len(self._head) < 2:
                    continue
                self._begin(self._head)
                yield from self._unpacked(self._head)
            else:
                yield from self._unpacked(piece)

    def _begin(self, head: bytes) -> None:
        if self._bits == zlib.MAX_WBITS and (head[0] & 0x0F != 8 or (head[0] * 256 + head[1]) % 31):
            self._bits = -zlib.MAX_WBITS  # against the standard, and old, without the head of zlib
        self._inside = zlib.decompressobj(self._bits)

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                found = self._inside.decompress(data, _PIECE_BYTES)
            except zlib.error:
                if self._whole:  # what follows a whole body is none of it
                    return
                raise
            yield found
            data = self._inside.unconsumed_tail
            if self._inside.eof:
                data = self._inside.unused_data
                if not data:
                    return
                self._whole = True
                self._inside = zlib.decompressobj(self._bits)
            elif not data and len(found) < _PIECE_BYTES:
                return
