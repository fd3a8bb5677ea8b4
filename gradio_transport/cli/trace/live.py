# SPDX-License-Identifier: Apache-2.0
"""Show frames one by one as they arrive, for ``trace show --follow`` and ``gradio-transport record``.

::

    printer = LivePrinter(current_terminal())
    printer.add_meta({"gradio": "6.31.0"})     # optional
    tap = printer                              # call it with each frame, from any thread
    printer.tick()                             # now and then: requests that wait, and silences
    printer.close()
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from ...protocol.frames import Frame
from ...trace.timeline.reading import (
    DEFAULT_SILENCE,
    CallTimeline,
    Change,
    Outcome,
    Step,
    StepKind,
    TimelineBuilder,
    Update,
)
from ..terminal import Part, Terminal
from .brief import arguments, brief, fit, took
from .lines import LOCAL, SILENT, WRONG, Line, offset, outcome_text, silence_line, step_lines
from .printing import Printer
from .selection import Selection
from .show_json import call_object, step_object

WAITING_SECONDS = 1.0
"""Seconds that a request waits for its reply before it is shown without one."""

_LABEL = 4
"""Columns for the number of a call."""


@attrs.define(eq=False)
class _Waiting:
    """A request without a reply."""

    step: Step
    label: str
    calls: Sequence[int]
    shown: bool = False


class LivePrinter:
    """A printer of frames, one by one as they arrive. It keeps no frames.

    Args:
        terminal: The terminal to print to.
        selection: The calls and steps to show.
        silence: Seconds without traffic after which a silence is marked.
        as_json: Print one JSON object for each step instead.
        to_stderr: Print to stderr, because stdout belongs to another program.
        clock: Returns seconds, for `tick`.
    """

    def __init__(
        self,
        terminal: Terminal,
        *,
        selection: Selection | None = None,
        silence: float = DEFAULT_SILENCE,
        as_json: bool = False,
        to_stderr: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._printer = Printer(terminal, to_stderr=to_stderr)
        self._selection = selection or Selection()
        self._silence = silence
        self._as_json = as_json
        self._clock = clock
        self._lock = threading.RLock()
        self.restart()

    def restart(self) -> None:
        """Reset the state, because another trace starts."""
        with self._lock:
            self._builder = TimelineBuilder(keep=False)
            self._start: float | None = None
            self._now = 0.0
            self._at = self._clock()
            self._waiting: dict[int, _Waiting] = {}
            self._active: dict[int, _Active] = {}

    def add_meta(self, values: Mapping[str, Any]) -> None:
        """Store the values of a meta line."""
        with self._lock:
            self._builder.add_meta(values)

    def __call__(self, frame: Frame) -> None:
        """Show a frame."""
        with self._lock:
            if self._start is None:
                self._start = frame.t
            # The times of a trace start at its first frame; frames of a tap have clock times.
            frame = attrs.evolve(frame, t=max(frame.t - self._start, 0.0))
            self._now, self._at = frame.t, self._clock()
            for update in self._builder.feed(frame):
                self._show(update)

    def tick(self) -> None:
        """Show requests that wait for their reply for long, and calls without traffic."""
        with self._lock:
            now = self._now + self._clock() - self._at
            for waiting in self._waiting.values():
                if not waiting.shown and now - waiting.step.t >= WAITING_SECONDS:
                    waiting.shown = True
                    self._print_step(waiting.step, waiting.label)
            for active in self._active.values():
                quiet = now - active.last
                if quiet >= self._silence and not active.marked and not active.requests:
                    active.marked = True
                    text = f"{SILENT} nothing for {took(quiet)} so far"
                    self._print(Line([offset(now), ("  ", ""), (text, "yellow")]), active.label)

    def say(self, text: str) -> None:
        """Print a remark of this program, such as that the file was replaced."""
        with self._lock:
            self._print(Line([offset(self._now), (f"  {LOCAL} ", ""), (text, "yellow")]), "")

    def close(self) -> None:
        """Show what is unfinished."""
        with self._lock:
            for waiting in self._waiting.values():
                if not waiting.shown:
                    self._print_step(waiting.step, waiting.label)
            self._waiting.clear()
            for update in self._builder.settle():
                self._show(update)

    # --- updates -------------------------------------------------------------------------------------

    def _show(self, update: Update) -> None:
        calls = [call for call in update.calls if self._selection.has_call(call)]
        if self._selection.calls and not calls:
            return
        if update.change is Change.CALL:
            for call in calls:
                self._begin(call)
        elif update.change is Change.DONE:
            for call in calls:
                self._finish(call)
        elif update.step is not None:
            self._show_step(update.step, update.change, calls)

    def _begin(self, call: CallTimeline) -> None:
        active = self._active[call.number] = _Active(str(call.number), call.start)
        if self._as_json:
            self._printer.print_object({"change": "call", **call_object(call)})
            return
        given = arguments(call.arguments, max(self._printer.width // 2, 10))
        name = fit(call.display_name, max(self._printer.width // 2, 10))
        where = f"  session {call.session}"
        parts: list[Part] = [(f"call {call.number}  ", "bold"), (name, "bold cyan"), (f"({given})", "")]
        self._print(Line([offset(call.start), ("  ", ""), *parts], [(where, "dim")]), active.label)

    def _finish(self, call: CallTimeline) -> None:
        active = self._active.pop(call.number, None)
        if self._as_json:
            self._printer.print_object({"change": "done", **call_object(call)})
            return
        text, style = outcome_text(call)
        said = f"  {call.message}" if call.message else ""
        if call.outcome is Outcome.COMPLETED and call.data is not None:
            said = f"  {brief(call.data, self._printer.width)}"
        mark = f"{LOCAL if call.outcome in (Outcome.COMPLETED, Outcome.CANCELLED) else WRONG} "
        parts: list[Part] = [(f"call {call.number} ", "bold"), (text, style), (said, "")]
        self._print(
            Line([offset(call.end), ("  ", ""), (mark, style), *parts]), active.label if active else ""
        )

    def _show_step(self, step: Step, change: Change, calls: Sequence[CallTimeline]) -> None:
        label = str(calls[0].number) if len(calls) == 1 else ""
        numbers = [call.number for call in calls]
        if step.kind is not StepKind.REQUEST:
            if change is Change.STEP:
                self._take_sign(step, numbers, 0)
                if calls and step.ends_silence(self._silence) and not self._selection.narrow:
                    self._print(silence_line(step.gap, step.heartbeats), label)
                self._print_step(step, label)
        elif change is Change.STEP:
            self._take_sign(step, numbers, 1)
            self._waiting[id(step)] = _Waiting(step, label, numbers)
        elif step.channel != "file" or step.stream is None or step.stream.end is not None:
            # A download is shown when it is complete.
            waiting = self._waiting.pop(id(step), None)
            if waiting is not None:
                self._take_sign(step, waiting.calls, -1)
            self._print_step(step, label if waiting is None else waiting.label)

    def _take_sign(self, step: Step, numbers: Sequence[int], requests: int) -> None:
        """Record traffic of calls, and adjust the number of requests that wait for a reply."""
        for number in numbers:
            active = self._active.get(number)
            if active is not None:
                active.last = max(active.last, step.end, step.t)
                active.marked = False
                active.requests += requests

    def _print_step(self, step: Step, label: str) -> None:
        if not (self._selection.has_step(step) if label else self._selection.has_other(step)):
            return
        if self._as_json:
            made = step_object(step)
            self._printer.print_object({"change": "step", "call": int(label) if label else None, **made})
            return
        wrap = self._printer.wrap_width and self._printer.wrap_width - _LABEL
        for line in step_lines(step, self._printer.width - _LABEL, wrap=wrap):
            self._print(line, label)

    def _print(self, line: Line, label: str) -> None:
        """Print a line with the number of its call before it."""
        if not self._as_json:
            self._printer.print(attrs.evolve(line, left=[(f"{label:>{_LABEL - 1}} ", "bold"), *line.left]))


@attrs.define(eq=False)
class _Active:
    """A call that has not ended.

    Attributes:
        label: Its number.
        last: Time of the last traffic.
        marked: Whether its silence has been marked.
        requests: Number of its requests that wait for a reply.
    """

    label: str
    last: float
    marked: bool = False
    requests: int = 0


__all__ = ["LivePrinter"]
