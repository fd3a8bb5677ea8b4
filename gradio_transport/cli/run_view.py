# SPDX-License-Identifier: Apache-2.0
"""What commands over many rows share: a bar with the rate and the remaining time, and Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Protocol, Self

import attrs
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from .terminal import Terminal
from .text import duration


@attrs.define(kw_only=True)
class Pace:
    """How fast a run is.

    Attributes:
        total: Rows in all; None where that is not known.
        unit: What rows are called.
        ended: Rows that have an outcome.
        recorded: Those of an earlier run among them.
    """

    total: int | None
    unit: str = "rows"
    clock: Callable[[], float] = time.monotonic
    ended: int = 0
    recorded: int = 0
    _began: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self.clock()

    def count(self, *, recorded: bool) -> None:
        """Count an outcome."""
        self.ended += 1
        self.recorded += recorded

    @property
    def took(self) -> float:
        """Seconds since the begin."""
        return self.clock() - self._began

    @property
    def rate(self) -> float:
        """Rows a second of this run; those of an earlier one took no time."""
        return (self.ended - self.recorded) / max(self.took, 0.001)

    @property
    def speed(self) -> str:
        """The rate, and how long the rest takes at it."""
        rate = self.rate
        parts = [f"{rate:.1f} {self.unit}/s"]
        if self.total is not None and rate > 0 and self.total > self.ended:
            parts.append(f"{duration((self.total - self.ended) / rate)} left")
        return ", ".join(parts)

    @property
    def summary(self) -> str:
        """How long it took and how fast it was, for the last line."""
        return f"{duration(self.took)}, {self.rate:.1f} {self.unit}/s"


class Counted(Protocol):
    """What a bar shows."""

    @property
    def pace(self) -> Pace:
        """How fast the run is."""
        ...

    @property
    def failures(self) -> str:
        """What went wrong so far, on one line; empty if nothing did."""
        ...


class Bar:
    """The bar of a run on stderr; none where that is no terminal."""

    def __init__(self, terminal: Terminal, counted: Counted) -> None:
        self._counted = counted
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
        pace = counted.pace
        self._task: TaskID = self._progress.add_task(pace.unit, total=pace.total, speed="", failures="")

    def update(self) -> None:
        """Show the counts as they are."""
        pace = self._counted.pace
        self._progress.update(
            self._task, completed=pace.ended, speed=pace.speed, failures=self._counted.failures
        )

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


@contextlib.contextmanager
def stopped_by_interrupt(
    stop: Callable[[], object], bar: Bar, terminal: Terminal, message: str
) -> Generator[Callable[[], bool], None, None]:
    """Stop a run at the first Ctrl-C, and end it at the second.

    Args:
        stop: Stops the run: what is under way comes to its end.
        bar: Its bar.
        terminal: Where to say so.
        message: What is waited for.

    Yields:
        A function that returns whether the run was stopped.
    """
    stopped = False

    def interrupt(*_: object) -> None:
        nonlocal stopped
        if stopped:
            raise KeyboardInterrupt
        stopped = True
        stop()
        bar.describe("finishing")
        terminal.print_line((message, "yellow"))

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield lambda: stopped
    finally:
        signal.signal(signal.SIGINT, before)


def show_how_to_go_on(terminal: Terminal, summary: str, journal: str | None) -> None:
    """Print what is done of a run that ends early, and how to go on."""
    terminal.print_line((summary, "yellow"))
    advice = (
        f"To go on, run the same command again: {journal} has what is done."
        if journal is not None
        else "Without --journal, a further run begins anew."
    )
    terminal.print_line((advice, "yellow"))
