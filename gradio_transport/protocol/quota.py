# SPDX-License-Identifier: Apache-2.0
"""The messages of ZeroGPU for a used-up quota (docs/wire.md §12.3).

Its package ``spaces`` raises them as a ``gr.Error``: until 4.x with a text alone, today with a title too. The
wait is a `datetime.timedelta` as Python prints it.
"""

from __future__ import annotations

import re

_EXCEEDED = re.compile(
    r"exceeded your .{0,40}GPU (?:quota|runs limit)"
    r"|GPU (?:quota|pending credits) exceeded"
    r"|reached its GPU limit"
    r"|too many ZeroGPU credits allocated",
    re.IGNORECASE,
)

_AGAIN = r"(?:try again|retry|come back|wait)\s+(?:(?:in|after|for)\s+)?(?:(?:about|another)\s+)?"
_CLOCK = re.compile(
    _AGAIN + r"(?:(?P<days>\d{1,5}) days?,? (?:and )?)?"
    r"(?:(?P<hours>\d{1,5}):)?(?P<minutes>\d{1,3}):(?P<seconds>\d{2}(?:\.\d{1,6})?)",
    re.IGNORECASE,
)
_WORDS = re.compile(
    _AGAIN + r"(?P<words>(?:\d{1,6}(?:\.\d{1,6})? ?(?:days?|d|hours?|h|minutes?|mins?|m|seconds?|secs?|s)\b"
    r"(?:,? and |, | )?)+)",
    re.IGNORECASE,
)
_WORD = re.compile(r"([\d.]+) ?([dhms])", re.IGNORECASE)
_READ_CHARACTERS = 10_000
"""Characters of a message that are read; ZeroGPU's have one or two sentences."""

_UNITS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


def is_quota_exceeded(message: str, title: str | None) -> bool:
    """Return whether the error of an app is ZeroGPU's quota error, by its text or title."""
    return any(_EXCEEDED.search(text[:_READ_CHARACTERS]) for text in (message, title or ""))


def quota_wait(message: str) -> float | None:
    """Return the seconds of "Try again in 1 day, 0:12:34", "retry in 5 minutes" and the like, or None."""
    message = message[:_READ_CHARACTERS]
    clock = _CLOCK.search(message)
    if clock is not None:
        return sum(float(clock[name] or 0) * seconds for name, seconds in _UNITS.items())
    words = _WORDS.search(message)
    if words is None:
        return None
    sizes = {name[0]: seconds for name, seconds in _UNITS.items()}
    return sum(float(number) * sizes[unit.lower()] for number, unit in _WORD.findall(words["words"]))
