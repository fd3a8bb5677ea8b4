# SPDX-License-Identifier: Apache-2.0
"""Values, sizes and times in a few characters. The cost depends only on the text shown."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from rich.cells import cell_len, set_cell_size

from ...errors import one_line as on_one_line
from ..text import to_json

CUT = "…"


def brief(value: Any, width: int) -> str:
    """Return the beginning of a value as JSON on one line, at most `width` columns wide."""
    parts: list[str] = []
    length = 0
    for token in _tokens(value, width):
        parts.append(token)
        length += len(token)
        if length > width:
            break
    return fit("".join(parts), width)


def columns(text: str) -> int:
    """Return how many columns a text takes in a terminal."""
    return len(text) if text.isascii() else cell_len(text)


def fit(text: str, width: int) -> str:
    """Return text on one line of at most `width` columns."""
    # Cut first, because a message can be megabytes.
    line = on_one_line(text[: 4 * width + 4])
    return line if columns(line) <= width else set_cell_size(line, max(width - 1, 0)).rstrip() + CUT


def arguments(values: Any, width: int) -> str:
    """Return the arguments of a call, as between parentheses."""
    if not isinstance(values, list):
        return "" if values is None else brief(values, width)
    return brief(cast("list[Any]", values), width + 2)[1:].removesuffix("]")


def newest(values: Sequence[Any], width: int) -> str:
    """Return the ends of output values, because text and chats grow at the end."""
    texts: list[str] = []
    room = max((width - 2 - 2 * (len(values) - 1)) // max(len(values), 1), 8)
    for value in values[: max(width // 8, 1)]:
        text = _last_text(value)
        if text is None or len(text) <= room - 2:
            texts.append(brief(value if text is None or isinstance(value, str) else text, room))
        else:
            texts.append(CUT + on_one_line(json.dumps(text[2 - room :], ensure_ascii=False)[1:]))
    return fit("[" + ", ".join(texts) + "]", width)


def _last_text(value: Any) -> str | None:
    """Return a text, or that of the last message of a chat; None for anything else."""
    for _ in range(4):
        if isinstance(value, str):
            return value
        if isinstance(value, list) and value:
            value = cast("list[Any]", value)[-1]
        elif isinstance(value, dict) and "content" in value:
            value = cast("dict[str, Any]", value)["content"]
        elif isinstance(value, dict) and "text" in value:
            value = cast("dict[str, Any]", value)["text"]
        else:
            break
    return None


def _tokens(value: Any, width: int) -> Iterator[str]:
    """Yield the parts of a value's JSON in order, without recursion."""
    open_containers: list[tuple[Iterator[Any], str, bool]] = []
    yield from _begin(value, width, open_containers)
    while open_containers:
        items, closing, first = open_containers[-1]
        try:
            item = next(items)
        except StopIteration:
            open_containers.pop()
            yield closing
            continue
        if not first:
            yield ", "
        open_containers[-1] = (items, closing, False)
        if closing == "}":
            key, item = item
            yield f"{_scalar(str(key), width)}: "
        yield from _begin(item, width, open_containers)


def _begin(value: Any, width: int, containers: list[tuple[Iterator[Any], str, bool]]) -> Iterator[str]:
    if isinstance(value, dict):
        containers.append((iter(cast("dict[str, Any]", value).items()), "}", True))
        yield "{"
    elif isinstance(value, list | tuple):
        containers.append((iter(cast("Iterable[Any]", value)), "]", True))
        yield "["
    else:
        yield _scalar(value, width)


def _scalar(value: Any, width: int) -> str:
    if isinstance(value, str):
        return json.dumps(value[: width + 1], ensure_ascii=False)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 4 * (width + 1):
        return f"an integer of {value.bit_length()} bits"
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:
        return f"<{type(value).__name__}>"


def pretty(value: Any, longest: int) -> list[str]:
    """Return a value as JSON of several lines, or a text as its lines; cut after `longest` characters."""
    if isinstance(value, str):
        text = value
    else:
        try:
            text = to_json(value, indent=2)
        except (RecursionError, TypeError):
            text = brief(value, longest)
    if len(text) > longest:
        text = f"{text[:longest]}{CUT} ({len(text):,} characters in all)"
    return text.splitlines() or [""]


def size(count: int | None) -> str:
    """Return ``"47 B"``, ``"1.2 kB"``, ``"34 MB"``."""
    if count is None:
        return ""
    if count < 1000:
        return f"{count} B"
    amount = count / 1000
    for unit in ("kB", "MB", "GB"):
        if amount < 999.5 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:,.0f} {unit}"


def took(seconds: float) -> str:
    """Return ``"47 ms"``, ``"3.05 s"`` or ``"2 min 5 s"``."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 99.995:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return ``"1 call"`` or ``"3 calls"``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def pick(value: Any, *names: str) -> Mapping[str, Any]:
    """Return those of the named values that a JSON object has; an empty dict for other values."""
    if not isinstance(value, dict):
        return {}
    found = cast("dict[str, Any]", value)
    return {name: found[name] for name in names if name in found}
