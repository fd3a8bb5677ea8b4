# SPDX-License-Identifier: Apache-2.0
"""What ``map`` shows: a bar with the rate, the remaining time and the failures, and a last line."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

import attrs
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from ..bulk import Outcome
from .terminal import Terminal
from .text import duration

_SHOWN_KINDS = 4


@attrs.define
class Tally:
    """What has become of the rows so far.

    Attributes:
        total: Rows in all; None where that is not known.
    """

    total: int | None
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    recorded: int = 0
    in_doubt: int = 0
    kinds: Counter[str] = attrs.field(factory=Counter[str])
    _began: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self.clock()

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.recorded += outcome.recorded
        if outcome.error is None:
            self.done += 1
        elif outcome.state == "in doubt":
            self.in_doubt += 1
        else:
            self.kinds[type(outcome.error).__name__] += 1

    @property
    def ended(self) -> int:
        """Rows that have an outcome."""
        return self.done + self.in_doubt + self.kinds.total()

    @property
    def rate(self) -> float:
        """Rows a second of this run; those of an earlier one took no time."""
        return (self.ended - self.recorded) / max(self.clock() - self._began, 0.001)

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
    def speed(self) -> str:
        """The rate, and how long the rest takes at it."""
        rate = self.rate
        parts = [f"{rate:.1f} rows/s"]
        if self.total is not None and rate > 0 and self.total > self.ended:
            parts.append(f"{duration((self.total - self.ended) / rate)} left")
        return ", ".join(parts)

    @property
    def summary(self) -> str:
        """All of it on one line, for the end."""
        of = "" if self.total is None else f" of {self.total:,}"
        parts = [f"{self.done:,}{of} rows done"]
        if self.failures:
            parts.append(self.failures)
        if self.recorded:
            parts.append(f"{self.recorded:,} of them by an earlier run")
        took = self.clock() - self._began
        return f"{', '.join(parts)}; {duration(took)}, {self.rate:.1f} rows/s"


class Bar:
    """The bar of a run on stderr; none where that is no terminal."""

    def __init__(self, terminal: Terminal, tally: Tally) -> None:
        self._tally = tally
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TextColumn("{task.fields[failures]}", style="red"),
            console=terminal.err,
            disable=not terminal.shows_status,
            transient=True,
        )
        self._task: TaskID = self._progress.add_task("rows", total=tally.total, speed="", failures="")

    def update(self) -> None:
        """Show the tally as it is."""
        tally = self._tally
        self._progress.update(self._task, completed=tally.ended, speed=tally.speed, failures=tally.failures)

    def describe(self, what: str) -> None:
        """Say what the run does now."""
        self._progress.update(self._task, description=what)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()
