# SPDX-License-Identifier: Apache-2.0
"""Normalization of recordings for comparison: values that differ from run to run become equal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import attrs

VOLATILE = frozenset(
    {
        "app_id", "average_duration", "avg_event_concurrent_process_time", "avg_event_process_time",
        "avg_time", "cache_duration", "duration", "eta", "queue_eta", "queue_size", "rank", "rank_eta",
        "time_limit",
    }
)  # fmt: skip
"""Keys whose numbers differ from run to run. Only their presence and type are compared."""

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(127\.0\.0\.1|localhost|0\.0\.0\.0):\d+"), r"\1:PORT"),
    (re.compile(r"0x[0-9a-f]{6,}"), "0xADDRESS"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b[0-9a-f]{32,64}\b"), "HASH"),
    (re.compile(r"\bsession-\d+\b|(?<=session_hash=)[^&\"]+"), "SESSION"),
    (re.compile(r"/tmp[\w/.-]*/gradio\b"), "/TMP/gradio"),  # noqa: S108 - recognised, not used
    (re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} [\d:]{8} GMT"), "DATE"),
)

_TEMPORARY = re.compile(r"/tmp/[\w/.-]{1,200}")  # noqa: S108 - recognised, not used
_RANDOM = re.compile(r"(?<=[-_/])(?=[a-z_]{0,7}\d)[a-z0-9_]{8}(?=/)|(?<=-)[a-z0-9_]{8}(?=/)")
"""The random names of ``mkdtemp``."""

_SHOWN_CHARACTERS = 80

_DEPTH = 100
"""The most levels of a value that are compared, because a server may send any depth."""

OPAQUE = frozenset(
    {
        "api_info", "api_info_as_input", "api_info_as_output", "body_css", "choices", "data", "example_input",
        "example_inputs", "examples", "i18n_translations", "layout", "page", "progress_data", "theme",
        "type", "value",
    }
)  # fmt: skip
"""Keys whose value is one of the app, or a schema: what is in it is not compared key by key."""

_NAMED_BY_APP = frozenset({"named_endpoints", "unnamed_endpoints"})
"""Objects whose keys are names that the app chose."""


def normalise(value: Any, key: str = "", depth: int = 0) -> Any:
    """Return a JSON value with everything that differs from run to run normalized."""
    if depth > _DEPTH:
        return "…"
    if key in VOLATILE and (value is None or isinstance(value, int | float)):
        return "NUMBER"
    if key == "event_id" and isinstance(value, str):
        return "EVENT"
    if key == "session_hash" and isinstance(value, str):
        return "SESSION"
    if isinstance(value, str):
        return normalise_text(value)
    if isinstance(value, list):
        return [normalise(item, "", depth + 1) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: normalise(item, name, depth + 1) for name, item in members.items()}
    return value


def normalise_text(text: str) -> str:
    """Return a text in which addresses, ids, ports, dates and temporary directories are equal."""
    if "/tmp" in text:  # noqa: S108 - recognised, not used
        text = _TEMPORARY.sub(lambda found: _RANDOM.sub("RANDOM", found[0]), text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def shape(value: Any) -> Iterator[tuple[str, str, str]]:
    """Yield the path of the object, the key and the JSON type of all that is in a value.

    Lists have the key ``[]``. Without recursion, because a server chooses the depth.
    """
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, found = waiting.pop()
        if isinstance(found, dict):
            members = cast("dict[str, Any]", found)
            name = path.rpartition(".")[2]
            for key, member in members.items():
                shown = "*" if name in _NAMED_BY_APP else key
                yield path, shown, json_type(member, key)
                if key not in OPAQUE:
                    waiting.append((f"{path}.{shown}" if path else shown, member))
        elif isinstance(found, list):
            waiting += [(f"{path}[]", item) for item in cast("list[Any]", found)]


def json_type(value: Any, key: str = "") -> str:
    """Return the name of a JSON type. A value that may be null in some runs counts as a number."""
    match value:
        case None:
            return "number" if key in VOLATILE else "null"
        case bool():
            return "boolean"
        case int() | float():  # whole numbers lost their ".0" in 4.16
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case _:
            return "object"


@attrs.frozen
class Change:
    """A difference between two values.

    Attributes:
        path: Where it is, with ``[]`` for every place of a list.
        text: The difference.
        key: The key that is new or gone, if it is one.
        is_new: Whether that is new.
    """

    path: str
    text: str = ""
    key: str | None = None
    is_new: bool = False


def value_changes(old: Any, new: Any) -> Iterator[Change]:
    """Yield the differences between two values that are already `normalise`d."""
    waiting: list[tuple[str, Any, Any]] = [("", old, new)]
    while waiting:
        path, left, right = waiting.pop()
        if isinstance(left, dict) and isinstance(right, dict):
            before, after = cast("dict[str, Any]", left), cast("dict[str, Any]", right)
            waiting += [
                (f"{path}.{key}" if path else key, before[key], after[key])
                for key in reversed(before)
                if key in after
            ]
            yield from (Change(path, key=key) for key in before if key not in after)
            yield from (Change(path, key=key, is_new=True) for key in after if key not in before)
        elif isinstance(left, list) and isinstance(right, list):
            one, other = cast("list[Any]", left), cast("list[Any]", right)
            if len(one) != len(other):
                yield Change(path, f"had {_items(len(one))}, has {len(other)}")
            waiting += [(f"{path}[]", *pair) for pair in reversed(list(zip(one, other, strict=False)))]
        elif json_type(left) != json_type(right):
            yield Change(path, f"was {_with_type(left)}, is {_with_type(right)}")
        # NaN, which Gradio 3.x sends, differs from itself.
        elif left != right and not (left != left and right != right):
            yield Change(path, _text_change(left, right))


def _with_type(value: Any) -> str:
    return f"{excerpt(value)} ({json_type(value)})"


def _items(count: int) -> str:
    return f"{count} item" if count == 1 else f"{count} items"


def _text_change(old: Any, new: Any) -> str:
    """Return what two values were; of long texts, from a little before the first difference."""
    if isinstance(old, str) and isinstance(new, str) and max(len(old), len(new)) > _SHOWN_CHARACTERS:
        place = next(
            (at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other),
            min(len(old), len(new)),
        )
        start = max(0, place - _SHOWN_CHARACTERS // 4)
        mark = "…" if start else ""
        return f"was {mark}{excerpt(old[start:])}, is {mark}{excerpt(new[start:])} from character {start} on"
    return f"was {excerpt(old)}, is {excerpt(new)}"


def excerpt(value: Any) -> str:
    """Return the beginning of a value as JSON."""
    if isinstance(value, str):
        value = value[: 2 * _SHOWN_CHARACTERS]
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def key_order(value: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two objects have their common keys in the same order."""
    return [key for key in value if key in other] == [key for key in other if key in value]


__all__ = [
    "OPAQUE", "VOLATILE", "Change", "excerpt", "json_type", "key_order", "normalise", "normalise_text",
    "shape", "value_changes",
]  # fmt: skip
