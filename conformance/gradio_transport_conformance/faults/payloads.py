# SPDX-License-Identifier: Apache-2.0
"""The bytes described by the data of a fault: texts, repetitions, base64, compressed bodies."""

from __future__ import annotations

import base64
import gzip
import re
import zlib
from collections.abc import Iterator
from typing import Any, cast

PIECE_BYTES = 1024 * 1024
"""The size of a piece; larger payloads are written in pieces, so that the server does not hold them whole."""


def payload_bytes(value: Any) -> bytes:
    """Return the bytes described by data: a text, ``{times: n, text: t}``, ``{base64: t}``, or a list."""
    if isinstance(value, list):
        return b"".join(payload_bytes(item) for item in cast("list[Any]", value))
    if isinstance(value, dict):
        described = cast("dict[str, Any]", value)
        if "base64" in described:
            return base64.b64decode(described["base64"])
        return payload_bytes(described["text"]) * int(described["times"])
    return str(value).encode("utf-8")


def payload_size(value: Any) -> int:
    """Return the number of bytes described by data."""
    if isinstance(value, list):
        return sum(payload_size(item) for item in cast("list[Any]", value))
    if isinstance(value, dict) and "times" in value:
        described = cast("dict[str, Any]", value)
        return payload_size(described["text"]) * int(described["times"])
    return len(payload_bytes(value))


def iter_pieces(value: Any) -> Iterator[bytes]:
    """Yield the bytes described by data, in pieces of a bounded size."""
    if payload_size(value) <= PIECE_BYTES:
        yield payload_bytes(value)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from iter_pieces(item)
    else:
        described = cast("dict[str, Any]", value)
        text, left = payload_bytes(described["text"]), int(described["times"])
        at_once = max(1, PIECE_BYTES // len(text))
        for start in range(0, left, at_once):
            yield text * min(at_once, left - start)


def compress(data: bytes, encoding: Any) -> bytes:
    """Return data in a content encoding: ``gzip``, ``deflate`` or None.

    Raises:
        ValueError: The encoding is not one of these.
    """
    match encoding:
        case None:
            return data
        case "gzip":
            return gzip.compress(data)
        case "deflate":
            return zlib.compress(data)
        case _:
            raise ValueError(f"The fault bench cannot encode {encoding!r}; use gzip or deflate.")


def expand_repeats(text: str) -> str:
    """Return JSON text with each ``<character>*count`` replaced by that many characters.

    The YAML files of the faults use this notation to stay readable.
    """
    return re.sub(r"<(.)>\*(\d+)", lambda found: found[1] * int(found[2]), text)


__all__ = ["PIECE_BYTES", "compress", "expand_repeats", "iter_pieces", "payload_bytes", "payload_size"]
