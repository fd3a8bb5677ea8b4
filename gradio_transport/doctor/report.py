# SPDX-License-Identifier: Apache-2.0
"""The findings of an examination: each `Step`, and all of them as a `Report`."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import attrs

from ..errors import GradioTransportError, one_line

LONGEST = 700
"""The most characters of one sentence, because servers write parts of them."""

MOST_SEEN = 12
"""The most sentences of one step."""


class Result(enum.StrEnum):
    """The result of a step."""

    OK = "ok"
    WARNING = "warning"
    """Calls work, but something will fail, or is slow."""
    FAILURE = "failure"
    """Calls do not work."""
    SKIPPED = "skipped"
    """Not checked; the step has the reason."""


@attrs.frozen
class Finding:
    """The finding of one step.

    Attributes:
        seen: The observations, each a sentence or a fact.
        advice: What to do, each one or two sentences; empty if there is nothing to do.
        error: The error that a call would raise, for the exit status.
    """

    result: Result
    seen: Sequence[str] = ()
    advice: Sequence[str] = ()
    error: GradioTransportError | None = attrs.field(default=None, repr=False)


def ok(*seen: str) -> Finding:
    """Return the finding of a step without a problem."""
    return Finding(Result.OK, seen)


def warning(*seen: str, advice: str | Sequence[str] = ()) -> Finding:
    """Return the finding of a problem that does not prevent calls."""
    return Finding(Result.WARNING, seen, _texts(advice))


def failure(
    *seen: str, advice: str | Sequence[str] = (), error: GradioTransportError | None = None
) -> Finding:
    """Return the finding of a problem that prevents calls."""
    return Finding(Result.FAILURE, seen, _texts(advice), error)


def skipped(*why: str) -> Finding:
    """Return the finding of a step that was not checked."""
    return Finding(Result.SKIPPED, why)


def _texts(advice: str | Sequence[str]) -> Sequence[str]:
    return (advice,) if isinstance(advice, str) else advice


def tidy(text: str) -> str:
    """Return a sentence on one line, bounded, without terminal control characters."""
    line = one_line(text[: 4 * LONGEST])
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


@attrs.frozen(kw_only=True)
class Step:
    """One completed step of an examination.

    Its texts are safe to print: single lines, bounded, without control characters and secrets.

    Attributes:
        name: For programs and tests, such as ``"tls"``.
        title: For people.
        seconds: Its duration.
        error: The error that a call would raise, if the step failed with one.
        blocked_by: Name of the failed step because of which this one was skipped, or an empty string.
    """

    name: str
    title: str
    result: Result
    seen: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    seconds: float = 0.0
    error: GradioTransportError | None = attrs.field(default=None, repr=False)
    blocked_by: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "step": self.name,
            "title": self.title,
            "result": self.result.value,
            "seen": list(self.seen),
            "advice": list(self.advice),
            "blocked_by": self.blocked_by or None,
            "error": None if self.error is None else type(self.error).__name__,
            "seconds": round(self.seconds, 3),
        }


@attrs.frozen
class Report:
    """All steps of an examination."""

    steps: tuple[Step, ...]

    def step(self, name: str) -> Step:
        """Return a step by its name.

        Raises:
            KeyError: There is no such step.
        """
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)

    def having(self, result: Result) -> tuple[Step, ...]:
        """Return the steps with a result."""
        return tuple(step for step in self.steps if step.result is result)

    @property
    def result(self) -> Result:
        """The worst result of all steps; `SKIPPED` does not count."""
        for result in (Result.FAILURE, Result.WARNING):
            if self.having(result):
                return result
        return Result.OK

    @property
    def error(self) -> GradioTransportError | None:
        """The error of the first step that failed, if it has one."""
        return next((step.error for step in self.having(Result.FAILURE)), None)
