# SPDX-License-Identifier: Apache-2.0
"""Compares two recordings of the same calls: what changed on the wire.

Values that differ from run to run (times, ids, ports, heartbeats, the number of queue estimates) are made
equal first. The differences that remain are changes of the server or of this library.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import attrs

from .conversation import Conversation, Entry, conversations
from .reader import Trace

VOLATILE = frozenset(
    {
        "app_id", "average_duration", "avg_event_concurrent_process_time", "avg_event_process_time",
        "avg_time", "duration", "eta", "queue_eta", "queue_size", "rank", "rank_eta", "time_limit",
    }
)  # fmt: skip
"""Keys whose numbers differ from run to run; that they are there, and are numbers, is compared."""

REPEATED = frozenset({"estimation", "progress"})
"""Messages that servers merge or repeat as time allows; a row of them counts as one."""

IGNORED = frozenset({"heartbeat", "alive?"})
"""Messages, and whole conversations, that depend on time alone."""

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(127\.0\.0\.1|localhost|0\.0\.0\.0):\d+"), r"\1:PORT"),
    (re.compile(r"0x[0-9a-f]{6,}"), "0xADDRESS"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b[0-9a-f]{32,64}\b"), "HASH"),
    (re.compile(r"\bsession-\d+\b|(?<=session_hash=)[^&\"]+"), "SESSION"),
    (re.compile(r"/tmp[\w/.-]*/gradio\b"), "/TMP/gradio"),  # noqa: S108 - recognised, not used
    (re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} [\d:]{8} GMT"), "DATE"),
)

_SHOWN_CHARACTERS = 80

_MOST_LINES = 40
"""Lines for one conversation; a config that changed everywhere says no more in thousands."""


def diff_traces(old: Trace, new: Trace) -> list[str]:
    """Return what changed on the wire in a newer trace, one line for each change."""
    before, after = (
        [conversation for conversation in conversations(trace) if conversation.key not in IGNORED]
        for trace in (old, new)
    )
    lines = _meta(old, new)
    for left, right in _pairs(before, after):
        if left is None or right is None:
            present = left or right
            assert present is not None  # noqa: S101 - pairs have one side at least
            lines.append(f"{'-' if right is None else '+'} {present.title}")
            continue
        changes = list(dict.fromkeys(_compare(left, right)))
        lines += [f"  {right.title}: {change}" for change in changes[:_MOST_LINES]]
        if len(changes) > _MOST_LINES:
            lines.append(f"  {right.title}: and {len(changes) - _MOST_LINES} more")
    return lines


def _meta(old: Trace, new: Trace) -> list[str]:
    return [
        f"  meta: {key} {old.meta.get(key)!r} became {new.meta.get(key)!r}"
        for key in ("gradio", "adapter")
        if old.meta.get(key) != new.meta.get(key)
    ]


def _pairs(
    before: Sequence[Conversation], after: Sequence[Conversation]
) -> Iterator[tuple[Conversation | None, Conversation | None]]:
    """Pair conversations by position and endpoint."""
    matcher = difflib.SequenceMatcher(
        None, [_name(call) for call in before], [_name(call) for call in after], False
    )
    for kind, start, stop, other_start, other_stop in matcher.get_opcodes():
        if kind == "equal":
            yield from zip(before[start:stop], after[other_start:other_stop], strict=True)
            continue
        yield from ((call, None) for call in before[start:stop])
        yield from ((None, call) for call in after[other_start:other_stop])


def _name(conversation: Conversation) -> tuple[bool, bool, str]:
    return bool(conversation.session), bool(conversation.key), conversation.endpoint


@attrs.frozen
class _Line:
    """An entry of a conversation, made comparable."""

    what: str
    value: Any


def _lines(entries: Sequence[Entry]) -> list[_Line]:
    lines: list[_Line] = []
    for entry in entries:
        if entry.message and entry.what in IGNORED:
            continue
        line = _Line(_normalise_text(entry.what), normalise(entry.value))
        if lines and line.what in REPEATED and lines[-1].what == line.what:
            lines.pop()
        lines.append(line)
    return lines


def normalise(value: Any, key: str = "") -> Any:
    """Return a JSON value in which all that differs from run to run is equal."""
    if key in VOLATILE and (value is None or isinstance(value, int | float)):
        return "NUMBER"
    if key == "event_id" and isinstance(value, str):
        return "EVENT"
    if key == "session_hash" and isinstance(value, str):
        return "SESSION"
    if isinstance(value, str):
        return _normalise_text(value)
    if isinstance(value, list):
        return [normalise(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: normalise(item, name) for name, item in cast("dict[str, Any]", value).items()}
    return value


def _normalise_text(text: str) -> str:
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _compare(old: Conversation, new: Conversation) -> Iterator[str]:
    """Yield how two conversations differ: entries that came or went, then changed values."""
    before, after = _lines(old.entries), _lines(new.entries)
    matcher = difflib.SequenceMatcher(
        None, [line.what for line in before], [line.what for line in after], False
    )
    for kind, start, stop, other_start, other_stop in matcher.get_opcodes():
        if kind == "equal":
            for left, right in zip(before[start:stop], after[other_start:other_stop], strict=True):
                yield from _changes(left, right, values=bool(new.session))
            continue
        yield from (f"no {line.what} any more{_position(before, start)}" for line in before[start:stop])
        for line in after[other_start:other_stop]:
            yield f"{line.what} is new{_position(after, other_start)}"


def _position(lines: Sequence[_Line], place: int) -> str:
    return f" after {lines[place - 1].what}" if place else " at the beginning"


def _changes(old: _Line, new: _Line, *, values: bool) -> Iterator[str]:
    for line in _value_changes(old.value, new.value, "", values):
        yield f"{new.what}: {line}"


def _value_changes(old: Any, new: Any, path: str, values: bool) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _object_changes(cast("dict[str, Any]", old), cast("dict[str, Any]", new), path, values)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_changes(cast("list[Any]", old), cast("list[Any]", new), path, values)
    elif _json_type(old) != _json_type(new):
        before, after = f"{_excerpt(old)} ({_json_type(old)})", f"{_excerpt(new)} ({_json_type(new)})"
        yield f"{path or 'it'} was {before}, is {after}"
    # NaN, which Gradio 3.x sends, differs from itself.
    elif values and old != new and not (old != old and new != new):
        yield f"{path or 'it'} was {_excerpt(old)}, is {_excerpt(new)}"


def _object_changes(old: Mapping[str, Any], new: Mapping[str, Any], path: str, values: bool) -> Iterator[str]:
    prefix = f"{path}." if path else ""
    yield from (f"key {prefix}{key} is gone" for key in old if key not in new)
    yield from (f"key {prefix}{key} is new: {_excerpt(new[key])}" for key in new if key not in old)
    for key in old:
        if key in new:
            yield from _value_changes(old[key], new[key], f"{prefix}{key}", values)
    common, other = [key for key in old if key in new], [key for key in new if key in old]
    if values and common != other:
        yield f"the keys of {path or 'it'} come in another order"


def _list_changes(old: Sequence[Any], new: Sequence[Any], path: str, values: bool) -> Iterator[str]:
    if values and len(old) != len(new):
        yield f"{path or 'it'} had {len(old)} items, has {len(new)}"
    for left, right in zip(old, new, strict=False):
        yield from _value_changes(left, right, f"{path}[]", values)


def _json_type(value: Any) -> str:
    match value:
        case None:
            return "null"
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


def _excerpt(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


__all__ = ["IGNORED", "REPEATED", "VOLATILE", "diff_traces", "normalise"]
