# SPDX-License-Identifier: Apache-2.0
"""The display of a call: its status on stderr while it runs, its outputs on stdout.

In a terminal both are on the same screen, so the live status is removed before data is printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from rich.live import Live

from .. import events as e
from ..errors import GradioTransportError
from ..events import UNKNOWN_OUTPUT
from ..files.outputs import ServerFile
from .status import CallStatus
from .terminal import Part, Terminal, write
from .text import describe, error_object, event_object, log_line, plain_text, to_json, wire_name

SHOWN_LOGS = 1000
"""The most messages of the app that are printed for one call."""

SHOWN_STEPS = 1000
"""The most steps of an output that are printed before its last. A growing text counts as one."""

_LEVEL_STYLES = {"info": "cyan", "warning": "yellow", "success": "green", "error": "red"}


class View(Protocol):
    """A way to show a call."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def show_activity(self, what: str) -> None:
        """Show what the program is doing."""
        ...

    def show_event(self, event: e.Event, seconds: float) -> None:
        """Show an event, `seconds` after the call began."""
        ...

    def show_failure(self, error: GradioTransportError, seconds: float) -> None:
        """Show that the call failed. The command prints the error itself."""
        ...

    def show_result(self, values: Sequence[Any]) -> None:
        """Show the outputs."""
        ...


class JSONLines:
    """One JSON object for each event on stdout. No live status: the reader of the pipe may print too."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None

    def show_activity(self, what: str) -> None:
        """Do nothing: this is not an event."""

    def show_event(self, event: e.Event, seconds: float) -> None:
        """Write an event."""
        write(to_json(event_object(event, seconds)) + "\n")

    def show_failure(self, error: GradioTransportError, seconds: float) -> None:
        """Write the failure."""
        line = {"event": "failed", "seconds": round(seconds, 3), "error": error_object(error)}
        write(to_json(line) + "\n")

    def show_result(self, values: Sequence[Any]) -> None:
        """Do nothing: the last event has the outputs."""


class StatusLine:
    """A status line and logs on stderr. Subclasses differ in what they write to stdout."""

    def __init__(self, terminal: Terminal, what: str) -> None:
        self._terminal = terminal
        self._logs = 0
        self._status = CallStatus(what)
        self._live = Live(
            self._status,
            console=terminal.err,
            transient=True,
            refresh_per_second=10,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        if self._terminal.shows_status:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._clear()

    def _clear(self) -> None:
        """Remove the status line for good."""
        if self._live.is_started:
            self._live.stop()

    def show_activity(self, what: str) -> None:
        """Show what the program is doing."""
        self._status.start(what)

    def show_event(self, event: e.Event, seconds: float) -> None:
        """Show an event."""
        if event.terminal:
            self._clear()
        if self._terminal.verbosity:
            self._print_line((f"{seconds:7.2f} s  {wire_name(event):18} {describe(event)}".rstrip(), "dim"))
        elif isinstance(event, e.Log) and event.visible:
            self._show_log(event)
        elif isinstance(event, e.Cancelled):
            self._print_line((f"cancelled; on the server: {event.achieved.value}", "yellow"))
        self._status.update(event)

    def _show_log(self, event: e.Log) -> None:
        self._logs += 1
        if self._logs <= SHOWN_LOGS:
            self._print_line((log_line(event), _LEVEL_STYLES.get(event.level, "")))
        elif self._logs == SHOWN_LOGS + 1:
            self._print_line(("Further messages of the app are not shown (--jsonl prints them).", "dim"))

    def _print_line(self, *parts: Part) -> None:
        self._terminal.print_line(*parts)

    def show_failure(self, error: GradioTransportError, seconds: float) -> None:
        """Do nothing: the command prints the error."""


class RawResult(StatusLine):
    """The outputs as one JSON list."""

    def show_result(self, values: Sequence[Any]) -> None:
        """Write the list."""
        self._clear()
        write(to_json(list(values)) + "\n")


class Lines(StatusLine):
    """One output per line, for pipes."""

    def show_result(self, values: Sequence[Any]) -> None:
        """Write the outputs."""
        self._clear()
        write("".join(plain_text(value) + "\n" for value in values))


class LiveOutput(StatusLine):
    """Outputs for a terminal: text as it grows, numbers at each step, larger values when they are final."""

    def __init__(self, terminal: Terminal, what: str) -> None:
        super().__init__(terminal, what)
        self._shown: Any = UNKNOWN_OUTPUT
        self._mid_line = False
        self._steps = 0

    def show_event(self, event: e.Event, seconds: float) -> None:
        """Show an event."""
        super().show_event(event, seconds)
        if isinstance(event, e.ProcessGenerating | e.ProcessStreaming) and _grows(event.data):
            self._show_step(event.data[0])

    def _print_line(self, *parts: Part) -> None:
        self._end_line()
        super()._print_line(*parts)

    def _show_step(self, value: Any, *, final: bool = False) -> None:
        if value == self._shown and type(value) is type(self._shown):
            return
        if isinstance(value, str) and isinstance(self._shown, str) and value.startswith(self._shown):
            self._clear()
            self._terminal.print_text(value[len(self._shown) :])
        elif final or self._steps < SHOWN_STEPS:
            self._clear()
            self._steps += 1
            self._end_line()
            self._terminal.print_text(plain_text(value))
        else:
            return
        self._shown, self._mid_line = value, True

    def _end_line(self) -> None:
        if self._mid_line:
            write("\n")
            self._mid_line, self._shown = False, UNKNOWN_OUTPUT

    def show_result(self, values: Sequence[Any]) -> None:
        """Write what has not been shown yet."""
        self._clear()
        if _grows(values):
            self._show_step(values[0], final=True)
            self._mid_line = True  # an empty string is a line too
            self._end_line()
            return
        self._end_line()
        for value in values:
            self._print(value)

    def _print(self, value: Any) -> None:
        if isinstance(value, str | Path | ServerFile):
            self._terminal.print_text(plain_text(value))
            write("\n")
            return
        text = to_json(value)
        if len(text) > self._terminal.out.width:
            text = to_json(value, indent=2)
        self._terminal.print_json(text)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._end_line()


def _grows(values: Sequence[Any]) -> bool:
    """Return whether every step is printed: a single string, number or boolean."""
    return len(values) == 1 and (values[0] is None or isinstance(values[0], str | int | float | bool))


def choose_view(terminal: Terminal, what: str, *, raw: bool, jsonl: bool) -> View:
    """Return the view for the options and for a terminal or pipe."""
    if jsonl:
        return JSONLines()
    if raw:
        return RawResult(terminal, what)
    return LiveOutput(terminal, what) if terminal.shows_data else Lines(terminal, what)
