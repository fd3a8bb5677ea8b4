# SPDX-License-Identifier: Apache-2.0
"""Fields of a server's JSON. A value of the wrong type counts as missing."""

from __future__ import annotations

from typing import Any, cast

from .config import JSONObject

_OBJECT: type[Any] = dict


def to_object(value: Any) -> JSONObject:
    """Return an object, or an empty one."""
    return value if isinstance(value, _OBJECT) else {}


def to_objects(value: Any) -> list[JSONObject]:
    """Return the items of a list as objects. Any other item is an empty one, because the places count."""
    if not isinstance(value, list):
        return []
    items = cast("list[Any]", value)  # a large app has tens of thousands, so without a call for each
    return [item if isinstance(item, _OBJECT) else {} for item in items]


def to_integer(value: Any) -> int | None:
    """Return an integer, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def to_integers(value: Any) -> tuple[int, ...]:
    """Return the integers of a list."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    return tuple(item for item in items if isinstance(item, int) and not isinstance(item, bool))


def to_text(value: Any) -> str:
    """Return a text, or an empty one."""
    return value if isinstance(value, str) else ""
