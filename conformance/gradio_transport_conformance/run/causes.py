# SPDX-License-Identifier: Apache-2.0
"""Short causes for long reasons, so that a summary can group cells with the same kind of failure."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LONGEST = 100

_PATTERNS: Sequence[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern, re.DOTALL), cause)
    for pattern, cause in (
        (r"passes, but is .*", "passes, but is listed as failing"),
        (r"deviation: .*", "the messages differ from the flow"),
        (r"(went by .+)", r"\1"),
        (r"no (\w+) where it should be.*", r"the message \1 is missing"),
        (r"no (\w+) among .*", r"no call raised \1"),
        (r"no (\w+)(?:, but .*)?", r"no \1 was raised"),
        (r"(.+) instead of a result: .*", r"an error instead of a result: \1"),
        (r"outputs .* instead of .*", "other outputs"),
        (r"(outputs|an output|output \d+) .*", "other outputs"),
        (r"yields .* instead of .*", "other yields"),
        (r"\d+ yields instead of .*", "another number of yields"),
        (r"the last yield .*", "the last yield is not the result"),
        (r"\d+ files instead of .*", "another number of files"),
        (r".* has (name|text|size) .* instead of .*", r"a file with another \1"),
        (r"([^:]+) instead of (\w+): .*", r"\1 instead of \2"),
        (r"the error does not say .*", "the error has another text"),
        (r"expected ([^,]+), got the value.*", r"a value instead of \1"),
        (r"expected ([^,]+), got (\w+).*", r"\2 instead of \1"),
        (r"(\w+) is \S+, expected ([^:]+):.*", r"\1 of the error is not \2"),
        (r"steps of \d+ sessions share \d+", "sessions are shared"),
        (r"took .* s to close", "takes long to close"),
        (r"took .* s", "takes long"),
        (r"left behind.*", "leaves files behind"),
    )
]


def cause_of(reason: str) -> str:
    """Return a cause that cells with the same kind of failure share: the first of the reason's problems."""
    first = reason.partition("; ")[0]
    for pattern, cause in _PATTERNS:
        match = pattern.fullmatch(first)
        if match is not None:
            return match.expand(cause)[:_LONGEST]
    return first.partition(": ")[0][:_LONGEST]


__all__ = ["cause_of"]
