# SPDX-License-Identifier: Apache-2.0
"""Values as texts: as JSON, and as their beginning on one line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

_PREVIEW: Final = 120
"""Characters of a row's text."""

# Made once: `json.dumps` with options makes an encoder for each call.
_written: Final = json.JSONEncoder(ensure_ascii=False, default=str).encode


def json_text(value: object) -> str:
    """Return JSON as it was: NaN of Gradio 3.x stays NaN."""
    return _written(value)


def plain_text(value: object) -> str:
    """Return a string unchanged, None as an empty string, and other values as JSON."""
    return value if isinstance(value, str) else json_text(value) if value is not None else ""


def brief_list(value: object) -> str:
    """Return output values or arguments, without the brackets of their list."""
    text = brief(value)
    return text[1:-1] if isinstance(value, list) and text.endswith("]") else text


def brief(value: object) -> str:
    """Return the beginning of a value as JSON. Reads no more of it than is shown."""
    text = ""
    for part in _pieces(value, 6):
        text += part
        if len(text) > _PREVIEW:
            break
    return cut(text)


def _pieces(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield _written(value[:_PREVIEW])
    elif isinstance(value, bytes):
        yield f"{len(value)} bytes"
    elif isinstance(value, dict | list | tuple) and depth == 0:
        yield "…"
    elif isinstance(value, dict):
        yield "{"
        for place, (key, one) in enumerate(cast("dict[Any, Any]", value).items()):
            yield f"{', ' if place else ''}{_written(str(key)[:_PREVIEW])}: "
            yield from _pieces(one, depth - 1)
        yield "}"
    elif isinstance(value, list | tuple):
        yield "["
        for place, one in enumerate(cast("Sequence[Any]", value)):
            yield ", " if place else ""
            yield from _pieces(one, depth - 1)
        yield "]"
    else:
        yield _written(value)


def cut_body(body: object) -> str:
    """Return the beginning of a body on one line."""
    if isinstance(body, bytes):
        body = body[: 4 * _PREVIEW].decode("utf-8", "replace")
    return cut(body) if isinstance(body, str) else ""


def cut(text: str) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text[: 4 * _PREVIEW].split())
    return line if len(line) <= _PREVIEW and len(text) <= 4 * _PREVIEW else f"{line[:_PREVIEW]}…"


__all__ = ["brief", "brief_list", "cut", "cut_body", "json_text", "plain_text"]
