# SPDX-License-Identifier: Apache-2.0
"""Shows a call: its status on stderr while it runs, its outputs on stdout.

In a terminal both are the same screen, so the live status is removed before data is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from rich.highlighter import JSONHighlighter
from rich.live import Live
from rich.text import Text

from .. import events as e
from ..errors import GradioTransportError
from ..events import UNKNOWN_OUTPUT
from ..files.outputs import ServerFile
from .status import CallStatus
from .terminal import Terminal
from .text import describe, error_object, event_object, log_line, plain_text, printable, to_json, wire_name

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


def write(text: str) -> None:
    """Write data to stdout, and flush it, because a pipe would hold back what grows."""
    sys.stdout.write(text)
    sys.stdout.flush()


class JSONLines:
    """One JSON object for each event on stdout, and no live status: the reader of a pipe may print too."""

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
            self._print_line(
                Text(f"{seconds:7.2f} s  {wire_name(event):18} {describe(event)}".rstrip(), "dim")
            )
        elif isinstance(event, e.Log) and event.visible:
            self._print_line(Text(log_line(event), _LEVEL_STYLES.get(event.level, "")))
        elif isinstance(event, e.Cancelled):
            self._print_line(Text(f"cancelled; on the server: {event.achieved.value}", "yellow"))
        self._status.update(event)

    def _print_line(self, line: Text) -> None:
        self._terminal.print_line(line)

    def show_failure(self, error: GradioTransportError, seconds: float) -> None:
        """Do nothing: the command prints the error."""


class RawResult(StatusLine):
    """The outputs as one JSON list."""

    def show_result(self, values: Sequence[Any]) -> None:
        """Write the list."""
        self._clear()
        write(to_json(list(values)) + "\n")


class Lines(StatusLine):
    """Each output on a line of its own, for pipes."""

    def show_result(self, values: Sequence[Any]) -> None:
        """Write the outputs."""
        self._clear()
        write("".join(plain_text(value) + "\n" for value in values))


class Growing(StatusLine):
    """Outputs for a person: text as it grows, numbers at each step, anything larger when it is final."""

    def __init__(self, terminal: Terminal, what: str) -> None:
        super().__init__(terminal, what)
        self._shown: Any = UNKNOWN_OUTPUT
        self._mid_line = False

    def show_event(self, event: e.Event, seconds: float) -> None:
        """Show an event."""
        super().show_event(event, seconds)
        if isinstance(event, e.ProcessGenerating | e.ProcessStreaming) and _grows(event.data):
            self._show_step(event.data[0])

    def _print_line(self, line: Text) -> None:
        self._end_line()
        super()._print_line(line)

    def _show_step(self, value: Any) -> None:
        if value == self._shown and type(value) is type(self._shown):
            return
        self._clear()
        if isinstance(value, str) and isinstance(self._shown, str) and value.startswith(self._shown):
            write(printable(value[len(self._shown) :]))
        else:
            self._end_line()
            write(printable(plain_text(value)))
        self._shown, self._mid_line = value, True

    def _end_line(self) -> None:
        if self._mid_line:
            write("\n")
            self._mid_line, self._shown = False, UNKNOWN_OUTPUT

    def show_result(self, values: Sequence[Any]) -> None:
        """Write what has not been shown yet."""
        self._clear()
        if _grows(values):
            self._show_step(values[0])
            self._mid_line = True  # an empty text is a line too
            self._end_line()
            return
        self._end_line()
        for value in values:
            self._print(value)

    def _print(self, value: Any) -> None:
        if isinstance(value, str | Path | ServerFile):
            write(printable(plain_text(value)) + "\n")
            return
        text = to_json(value)
        if len(text) > self._terminal.out.width:
            text = to_json(value, indent=2)
        coloured = JSONHighlighter()(Text(printable(text)))
        self._terminal.out.print(coloured, soft_wrap=True)

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
    return Growing(terminal, what) if terminal.shows_data else Lines(terminal, what)
