# SPDX-License-Identifier: Apache-2.0
"""The report of a test's requests that were not recorded. Lines fit a terminal of 80 columns."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .cassette_script import Unrecorded
from .contents import Content, fits, leaves

WIDTH = 76
"""Columns of a line: pytest puts four before each."""

_MOST_FINDINGS = 3

_MOST_VALUES = 8


def describe(findings: Sequence[Unrecorded], names: Mapping[int, str]) -> str:
    """Return the requests that were not recorded, each with its difference from the most similar one.

    Args:
        findings: At least one.
        names: Names of the app's functions by their number.
    """
    lines: list[str] = []
    for finding in findings[:_MOST_FINDINGS]:
        lines += [f"  {line}" if line else "" for line in _finding_lines(finding, names)]
    left = len(findings) - _MOST_FINDINGS
    if left > 0:
        lines.append(f"  and {left} more {'request' if left == 1 else 'requests'}")
    return "\n".join(lines)


def _finding_lines(finding: Unrecorded, names: Mapping[int, str]) -> Iterator[str]:
    sent, nearest = finding.sent, finding.nearest
    yield _cut(f"{finding.method} {sent.path}{_function(sent, names)}")
    if nearest is None:
        yield from _indented("No request with this method and path was recorded.")
        yield from (
            _cut(f"  + sent      {path}: {_shown(value)}")
            for path, value in list(leaves(sent.value))[:_MOST_VALUES]
        )
        if finding.waiting:
            yield from _indented(f"The next recorded request: {finding.waiting}")
    elif finding.times:
        times = "once" if finding.times == 1 else f"{finding.times} times"
        yield from _indented(f"This exact request was recorded {times}, and was sent once more.")
    else:
        yield from _difference(nearest, sent)


def _difference(recorded: Content, sent: Content) -> Iterator[str]:
    """Yield the values that differ: recorded ones after a minus, sent ones after a plus."""
    before, after = dict(leaves(recorded.value)), dict(leaves(sent.value))
    pairs = [
        (path, before.get(path, _MISSING), after.get(path, _MISSING))
        for path in (*before, *(one for one in after if one not in before))
    ]
    changed = [
        pair for pair in pairs if pair[1] is _MISSING or pair[2] is _MISSING or not fits(pair[2], pair[1])
    ]
    for path, old, new in changed[:_MOST_VALUES]:
        start = _first_difference(old, new)
        if old is not _MISSING:
            yield _cut(f"  - recorded  {path}: {_shown(old, start)}")
        if new is not _MISSING:
            yield _cut(f"  + sent      {path}: {_shown(new, start)}")
    left = len(changed) - _MOST_VALUES
    if left > 0:
        yield f"  and {left} more {'value' if left == 1 else 'values'}"


class _Missing:
    """Placeholder for a missing value."""


_MISSING = _Missing()


def _first_difference(old: Any, new: Any) -> int:
    """Return the offset from which two texts are shown that are too long for a line."""
    if not (isinstance(old, str) and isinstance(new, str)) or max(len(old), len(new)) < WIDTH // 2:
        return 0
    pairs = enumerate(zip(old, new, strict=False))
    place = next((at for at, (one, other) in pairs if one != other), min(len(old), len(new)))
    return max(0, place - 12)


def _shown(value: Any, start: int = 0) -> str:
    if isinstance(value, str) and start:
        return f"…{json.dumps(value[start : start + 500], ensure_ascii=False)[1:]} (from character {start})"[
            : 4 * WIDTH
        ]
    return json.dumps(value[:500] if isinstance(value, str) else value, ensure_ascii=False)


def _function(content: Content, names: Mapping[int, str]) -> str:
    number = content.value.get("fn_index")
    name = names.get(number) if isinstance(number, int) else None
    return f"  ({name})" if name else ""


def wrap(text: str) -> str:
    """Return a text in lines of `WIDTH`."""
    return textwrap.fill(text, WIDTH, break_on_hyphens=False, break_long_words=False)


def _cut(line: str) -> str:
    line = line.replace("\n", " ")
    return line if len(line) <= WIDTH - 2 else f"{line[: WIDTH - 3]}…"


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - 2, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


__all__ = ["WIDTH", "describe", "wrap"]
