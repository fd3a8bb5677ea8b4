# SPDX-License-Identifier: Apache-2.0
"""Shared by commands over many rows: a bar with the rate and the remaining time, and Ctrl-C."""

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
    """The speed of a run.

    Attributes:
        total: Number of rows; None if it is not known.
        unit: The word for rows.
        ended: Rows with an outcome.
        recorded: How many of those are of an earlier run.
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
        """Seconds since the start."""
        return self.clock() - self._began

    @property
    def rate(self) -> float:
        """Rows per second of this run; rows of an earlier run do not count."""
        return (self.ended - self.recorded) / max(self.took, 0.001)

    @property
    def speed(self) -> str:
        """The rate, and the remaining time at that rate."""
        rate = self.rate
        parts = [f"{rate:.1f} {self.unit}/s"]
        if self.total is not None and rate > 0 and self.total > self.ended:
            parts.append(f"{duration((self.total - self.ended) / rate)} left")
        return ", ".join(parts)

    @property
    def summary(self) -> str:
        """Duration and rate, for the last line."""
        return f"{duration(self.took)}, {self.rate:.1f} {self.unit}/s"


class Counted(Protocol):
    """The counts that a bar shows."""

    @property
    def pace(self) -> Pace:
        """The speed of the run."""
        ...

    @property
    def failures(self) -> str:
        """The failures so far, on one line; empty if there are none."""
        ...


class Bar:
    """The bar of a run on stderr. Without a terminal it shows nothing."""

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
        """Show the current counts."""
        pace = self._counted.pace
        self._progress.update(
            self._task, completed=pace.ended, speed=pace.speed, failures=self._counted.failures
        )

    def describe(self, what: str) -> None:
        """Show what the run is doing."""
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
    """Stop a run at the first Ctrl-C, and abort it at the second.

    Args:
        stop: Stops the run: running calls are completed.
        bar: Its bar.
        terminal: The terminal for the message.
        message: The message.

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
    """Print the state of a run that ended early, and how to resume it."""
    terminal.print_line((summary, "yellow"))
    advice = (
        f"To resume, run the same command again: {journal} has the completed rows."
        if journal is not None
        else "Without --journal, the next run starts from the beginning."
    )
    terminal.print_line((advice, "yellow"))
