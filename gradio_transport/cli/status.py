# SPDX-License-Identifier: Apache-2.0
"""What a call is doing right now, as something rich can draw again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from .. import events as e
from .text import duration, newest, one_line, place, steps

PREVIEW_LINES = 6
"""Outputs shown while they change; the final ones are printed whole."""

_BAR_WIDTH = 30


@attrs.define
class CallStatus:
    """The state of one call, fed with its events."""

    what: str
    clock: Callable[[], float] = time.monotonic
    _since: float = attrs.field(init=False)
    _running: bool = False
    _usually: float | None = None
    _units: tuple[e.ProgressUnit, ...] = ()
    _data: Sequence[Any] = ()
    _spinner: Spinner = attrs.field(factory=lambda: Spinner("dots", style="cyan"))

    def __attrs_post_init__(self) -> None:
        self._since = self.clock()

    def update(self, event: e.Event) -> None:
        """Take note of an event."""
        match event:
            case e.Joined():
                self.now("accepted")
            case e.Estimation():
                self.now(place(event))
            case e.ProcessStarts():
                self.now("running")
                self._running, self._usually = True, event.eta
            case e.Progress():
                self._units = event.units
            case e.ProcessGenerating() | e.ProcessStreaming():
                self._data = event.data
            case _:
                pass

    def now(self, what: str) -> None:
        """Say what is being done from now on."""
        self.what, self._since = what, self.clock()

    @property
    def line(self) -> str:
        """What is going on, and for how long."""
        elapsed = self.clock() - self._since
        # Tenths of a second would only flicker.
        waited = f" · {duration(int(elapsed))}" if elapsed >= 1 else ""
        usually = f" (usually {duration(self._usually)})" if self._running and self._usually else ""
        return f"{self.what}{waited}{usually}"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        self._spinner.update(text=Text(one_line(self.line, width - 2)))
        yield self._spinner
        for unit in self._units:
            yield _bar(unit, width)
        for value in self._data[:PREVIEW_LINES]:
            yield Text("  " + newest(value, width - 2), "dim", no_wrap=True)


def _bar(unit: e.ProgressUnit, width: int) -> Table:
    row = Table.grid(padding=(0, 1))
    fraction = unit.fraction
    bar = ProgressBar(
        total=1, completed=fraction or 0.0, pulse=fraction is None, width=min(_BAR_WIDTH, width // 3)
    )
    row.add_row(" ", bar, Text(steps(unit)), Text(one_line(unit.desc or "", width // 3), "dim"))
    return row
