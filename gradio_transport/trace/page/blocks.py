# SPDX-License-Identifier: Apache-2.0
"""Compressed blocks of records, which the script of a page decodes when it needs one of their records."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Final

_BLOCK_CHARACTERS: Final = 256 * 1024
"""Size of a block before compression. A selected frame costs a block to decode: some milliseconds."""

# Made once: `json.dumps` with options makes an encoder for each call.
compact_json: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Blocks:
    """Records of JSON in compressed blocks.

    Attributes:
        starts: Number of the first record of each block.
        encoded: The blocks: base64 of zlib data, whose alphabet needs no escapes in HTML.
        count: How many records were added.
    """

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.encoded: list[str] = []
        self.count = 0
        self._waiting: list[str] = []
        self._size = 0

    def add(self, record: object) -> int:
        """Add a record, and return its number."""
        text = compact_json(record)
        if not self._waiting:
            self.starts.append(self.count)
        self._waiting.append(text)
        self._size += len(text)
        self.count += 1
        if self._size >= _BLOCK_CHARACTERS:
            self.flush()
        return self.count - 1

    def flush(self) -> None:
        """End the block."""
        if self._waiting:
            self.encoded.append(encode_block(f"[{','.join(self._waiting)}]"))
            self._waiting = []
            self._size = 0


def encode_block(text: str) -> str:
    """Return the text of a block. JSON without letters beyond ASCII, so that halves of surrogates stay."""
    return base64.b64encode(zlib.compress(text.encode("ascii"), 4)).decode("ascii")


__all__ = ["Blocks", "compact_json", "encode_block"]
