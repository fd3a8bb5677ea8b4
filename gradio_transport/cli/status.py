# SPDX-License-Identifier: Apache-2.0
"""The live status of a call, as a renderable of rich."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table

from .. import events as e
from .terminal import shown
from .text import SHOWN_UNITS, duration, hidden_units, one_line, progress_text, queue_position, tail

PREVIEW_LINES = 6
"""The most outputs shown while they change; the final ones are printed in full."""

_BAR_WIDTH = 30


@attrs.define
class CallStatus:
    """The status of a call, updated by its events."""

    what: str
    clock: Callable[[], float] = time.monotonic
    _started: float = attrs.field(init=False)
    _running: bool = False
    _estimate: float | None = None
    _units: tuple[e.ProgressUnit, ...] = ()
    _data: Sequence[Any] = ()
    _spinner: Spinner = attrs.field(factory=lambda: Spinner("dots", style="cyan"))

    def __attrs_post_init__(self) -> None:
        self._started = self.clock()

    def update(self, event: e.Event) -> None:
        """Update the status with an event."""
        match event:
            case e.Joined():
                self.start("accepted")
            case e.Estimation():
                self.start(queue_position(event))
            case e.ProcessStarts():
                self.start("running")
                self._running, self._estimate = True, event.eta
            case e.Progress():
                self._units = event.units
            case e.ProcessGenerating() | e.ProcessStreaming():
                self._data = event.data
            case _:
                pass

    def start(self, what: str) -> None:
        """Start an activity: its name is shown with the time since now."""
        self.what, self._started = what, self.clock()

    @property
    def line(self) -> str:
        """The activity, and how long it has taken."""
        elapsed = self.clock() - self._started
        # Tenths of a second would only flicker.
        waited = f" · {duration(int(elapsed))}" if elapsed >= 1 else ""
        usually = f" (usually {duration(self._estimate)})" if self._running and self._estimate else ""
        return f"{self.what}{waited}{usually}"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        self._spinner.update(text=shown((one_line(self.line, width - 2), "")))
        yield self._spinner
        for unit in self._units[:SHOWN_UNITS]:
            yield _bar(unit, width)
        for line in filter(None, (hidden_units(self._units), *self._preview(width - 2))):
            yield shown(("  " + line, "dim"))

    def _preview(self, width: int) -> list[str]:
        return [tail(value, width) for value in self._data[:PREVIEW_LINES]]


def _bar(unit: e.ProgressUnit, width: int) -> Table:
    row = Table.grid(padding=(0, 1))
    fraction = unit.fraction
    bar = ProgressBar(
        total=1, completed=fraction or 0.0, pulse=fraction is None, width=min(_BAR_WIDTH, width // 3)
    )
    row.add_row(
        " ",
        bar,
        shown((one_line(progress_text(unit), width // 3), "")),
        shown((one_line(unit.desc or "", width // 3), "dim")),
    )
    return row
