# SPDX-License-Identifier: Apache-2.0
"""JSON as Gradio sends it: NaN is accepted, and the depth of nesting is bounded."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from ..errors import LocalProtocolError, Phase
from ..policy import MAX_JSON_DEPTH

JSON_OBJECT: Final[type[Any]] = dict
JSON_ARRAY: Final[type[Any]] = list
"""The types of decoded objects and arrays, for `isinstance` of a value that is `Any`.

Why not `dict` and `list`: type checkers would call the items unknown, and a `typing.cast` for each check is a
function call, of which a streamed message would make more than ten.
"""


def encode_json(value: Any) -> str:
    """Return a value as JSON in ASCII. NaN and Infinity pass as Python writes them, as Gradio does.

    The values of a call are checked earlier, where the parameter is known. Only values that an adapter made,
    or that changed meanwhile, can fail here.

    Raises:
        LocalProtocolError: The value cannot be written.
    """
    try:
        return json.dumps(value, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise LocalProtocolError(
            f"The data cannot be written as JSON: {error}. Nothing was sent.", phase=Phase.JOIN
        ) from error


def decode_json(text: str | bytes, max_depth: int = MAX_JSON_DEPTH) -> Any:
    """Return the JSON value of a text. NaN and Infinity are accepted, because Gradio 3.x sends them.

    Args:
        text: The text.
        max_depth: Levels of nesting, see ``Limits(max_json_depth=)``.

    Raises:
        ValueError: It is not JSON, or nested deeper than `max_depth`, or with a number so long that Python
            refuses it.
    """
    try:
        value = _loads(text)
    except RecursionError:
        raise _too_deep(max_depth) from None
    # The length first: a short text cannot be deep.
    if len(text) > max_depth and _is_too_deep(value, text, max_depth):
        raise _too_deep(max_depth)
    return value


_raw_decode = json.JSONDecoder().raw_decode


def _loads(text: str | bytes) -> Any:
    """Return the same as `json.loads`, faster for a text without white space around the value."""
    if isinstance(text, str) and text[:1] == "{":
        value, end = _raw_decode(text)
        if end == len(text):
            return value
    return json.loads(text)


_EVENT_BYTES = 300
_ITEM_BYTES = 60
_CONTAINER_BYTES = 72
"""Bytes in CPython of an event, of each item or key of a value, and of each container."""


def held_bytes(text: str) -> int:
    """Return the approximate memory in bytes of the event of a JSON text, by its structure characters.

    Why not the length of the text: a value takes up to thirty times as much. Why not count the parsed value:
    visiting each item of a large value takes longer than parsing it.
    """
    items = text.count(",") + text.count(":")
    containers = text.count("[") + text.count("{")
    return sys.getsizeof(text) + _EVENT_BYTES + _ITEM_BYTES * items + _CONTAINER_BYTES * containers


_CONTAINERS = (JSON_OBJECT, JSON_ARRAY)


def _too_deep(levels: int) -> ValueError:
    return ValueError(f"JSON nested too deep, more than {levels} levels: Limits(max_json_depth=)")


def _count_brackets(text: str | bytes) -> int:
    """Return the number of opening brackets in a text, including strings: an upper bound of the levels."""
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def _is_too_deep(value: Any, text: str | bytes, levels: int) -> bool:
    return type(value) in _CONTAINERS and _count_brackets(text) > levels and _is_deeper(value, levels)


def _is_deeper(value: Any, levels: int) -> bool:
    """Return whether a container has more than a number of levels, without recursion."""
    containers: list[Any] = [value]
    for _ in range(levels):
        # Without a call for each container: the config of a large app has a hundred thousand.
        containers = [
            child
            for container in containers
            for child in (container.values() if type(container) is JSON_OBJECT else container)
            if type(child) in _CONTAINERS
        ]
        if not containers:
            return False
    return True
