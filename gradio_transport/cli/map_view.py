# SPDX-License-Identifier: Apache-2.0
"""The counts and the output of ``map``: completed rows, failures by kind, and a last line."""

from __future__ import annotations

from collections import Counter

import attrs

from ..bulk import Outcome
from .run_view import Pace

_SHOWN_KINDS = 4


@attrs.define
class Tally:
    """The outcomes so far."""

    pace: Pace
    done: int = 0
    in_doubt: int = 0
    kinds: Counter[str] = attrs.field(factory=Counter[str])

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.pace.count(recorded=outcome.recorded)
        if outcome.error is None:
            self.done += 1
        elif outcome.state == "in doubt":
            self.in_doubt += 1
        else:
            self.kinds[type(outcome.error).__name__] += 1

    @property
    def failures(self) -> str:
        """Failures by kind, such as ``"12 failed (AppError 10, QueueFull 2), 3 in doubt"``."""
        parts: list[str] = []
        if self.kinds:
            shown = [f"{kind} {count:,}" for kind, count in self.kinds.most_common(_SHOWN_KINDS)]
            parts.append(f"{self.kinds.total():,} failed ({', '.join(shown)})")
        if self.in_doubt:
            parts.append(f"{self.in_doubt:,} in doubt")
        return ", ".join(parts)

    @property
    def summary(self) -> str:
        """All counts on one line, for the end."""
        pace = self.pace
        of = "" if pace.total is None else f" of {pace.total:,}"
        parts = [f"{self.done:,}{of} rows done"]
        if self.failures:
            parts.append(self.failures)
        if pace.recorded:
            parts.append(f"{pace.recorded:,} of these results from an earlier run")
        return f"{', '.join(parts)}; {pace.summary}"
