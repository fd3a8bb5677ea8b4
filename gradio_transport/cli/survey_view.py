# SPDX-License-Identifier: Apache-2.0
"""The counts and the output of ``survey``: apps that answer, by version, and others, by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import attrs

from ..survey import SurveyResult
from .run_view import Pace

_SHOWN_REASONS = 4


@attrs.define
class SurveyTally:
    """The results so far."""

    pace: Pace
    answers: int = 0
    reasons: Counter[str] = attrs.field(factory=Counter[str])
    generations: Counter[int] = attrs.field(factory=Counter[int])

    def add(self, result: SurveyResult) -> None:
        """Count a result."""
        self.pace.count(recorded=result.recorded)
        if not result.answers:
            self.reasons[result.reason.value] += 1
            return
        self.answers += 1
        if result.generation is not None:
            self.generations[result.generation] += 1

    @property
    def failures(self) -> str:
        """The apps that do not answer, such as ``"3 do not answer (refused 2, login 1)"``."""
        if not self.reasons:
            return ""
        shown = ", ".join(f"{word} {count:,}" for word, count in self.reasons.most_common(_SHOWN_REASONS))
        more = ", ..." if len(self.reasons) > _SHOWN_REASONS else ""
        return f"{self.reasons.total():,} do not answer ({shown}{more})"

    @property
    def summary(self) -> str:
        """The number of apps that answer, on one line."""
        pace = self.pace
        of = "" if pace.total is None else f" of {pace.total:,}"
        earlier = f", {pace.recorded:,} of them examined by an earlier run" if pace.recorded else ""
        return (
            f"{pace.ended:,}{of} apps surveyed: {self.answers:,} answer, {self.reasons.total():,} do not"
            f"{earlier}; {pace.summary}"
        )

    @property
    def details(self) -> Sequence[str]:
        """Versions and reasons, one line each."""
        lines: list[str] = []
        if self.generations:
            counts = sorted(self.generations.items(), reverse=True)
            listed = ", ".join(f"{major}.x {count:,}" for major, count in counts)
            lines.append(f"Gradio versions of the apps that answer: {listed}")
        if self.reasons:
            listed = ", ".join(f"{word} {count:,}" for word, count in self.reasons.most_common())
            lines.append(f"Reasons of the others: {listed}")
        return lines
