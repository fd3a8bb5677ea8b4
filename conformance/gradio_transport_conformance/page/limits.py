# SPDX-License-Identifier: Apache-2.0
"""Limits for texts of drivers and servers in a page: a driver may answer a string of megabytes."""

from __future__ import annotations

import json
from typing import Any, cast

STRING = 400
"""Characters of a string within JSON."""

ITEMS = 60
"""Items of a list or an object within JSON."""

DEPTH = 12
"""Levels of JSON."""

TEXT = 8_000
"""Characters of a whole text."""


def cut(text: str, longest: int, *, total: int | None = None) -> str:
    """Return a text, or its beginning and its number of characters."""
    size = len(text) if total is None else total
    return text if size <= longest else f"{text[:longest]}… ({size:,} in all)"


def json_text(value: Any) -> str:
    """Return a value as JSON for people, in which long strings, long lists and deep levels are cut."""
    if value is None:
        return ""
    return cut(json.dumps(_bounded(value, DEPTH), ensure_ascii=False, indent=1, default=repr), TEXT)


def _bounded(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return cut(value, STRING)
    if not isinstance(value, list | tuple | dict):
        return value
    size = len(cast("dict[Any, Any]", value))
    if not depth:
        return f"… ({size:,} items, not shown)"
    if isinstance(value, dict):
        items = list(cast("dict[Any, Any]", value).items())[:ITEMS]
        made = {cut(str(name), STRING): _bounded(one, depth - 1) for name, one in items}
        return made | ({"…": f"{size - ITEMS:,} more"} if size > ITEMS else {})
    listed = [_bounded(one, depth - 1) for one in cast("list[Any]", value)[:ITEMS]]
    return listed + ([f"… {size - ITEMS:,} more"] if size > ITEMS else [])


__all__ = ["TEXT", "cut", "json_text"]
