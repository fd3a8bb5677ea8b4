# SPDX-License-Identifier: Apache-2.0
"""The output of ``doctor``: a line for each step as it ends, a summary, and an object for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from rich.status import Status
from rich.text import Text

from ..doctor.examination import PlannedStep
from ..doctor.report import Report, Result, Step
from ..errors import AuthenticationRequired
from ..protocol.urls import shown_source
from .failures import ExitStatus, exit_status
from .terminal import Terminal, shown, write

STYLES: Mapping[Result, str] = {
    Result.OK: "green",
    Result.WARNING: "yellow",
    Result.FAILURE: "bold red",
    Result.SKIPPED: "dim",
}

MARKS: Mapping[Result, str] = {
    Result.OK: "ok",
    Result.WARNING: "warning",
    Result.FAILURE: "FAILURE",
    Result.SKIPPED: "-",
}

_MARK_COLUMNS = 8
_TITLE_COLUMNS = 13
_LEFT = _MARK_COLUMNS + _TITLE_COLUMNS
_ARROW = "→ "


class ProgressLine:
    """A line on stderr with the current step, in a terminal only."""

    def __init__(self, terminal: Terminal, hold: float) -> None:
        self._hold = hold
        self._console = terminal.err if terminal.shows_status else None
        self._status: Status | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self, planned: PlannedStep) -> None:
        """Show the step that starts."""
        if self._console is not None:
            wait = f", held for {self._hold:g} s" if planned.name == "hold" else ""
            self._status = self._console.status(f"{planned.title}{wait} …", spinner_style="cyan")
            self._status.start()

    def end(self) -> None:
        """Remove the line."""
        if self._status is not None:
            self._status.stop()
            self._status = None


def print_step(terminal: Terminal, step: Step) -> None:
    """Print a step: what was found, and below it what to do."""
    if not terminal.shows_data:
        _write_plain(step)
        return
    style = STYLES[step.result]
    dim = "dim" if step.result is Result.SKIPPED else ""
    left = [
        (MARKS[step.result].ljust(_MARK_COLUMNS), style),
        (step.title.ljust(_TITLE_COLUMNS), dim or "bold"),
    ]
    _print_below(terminal, shown(*left), "", " ".join(step.seen), dim)
    for advice in step.advice:
        _print_below(terminal, shown((" " * _LEFT, "")), _ARROW, advice, "cyan")


def _print_below(terminal: Terminal, left: Text, mark: str, text: str, style: str) -> None:
    """Print the lines of a text one below the other, to the right of `left`."""
    width = max(terminal.out.width - _LEFT - len(mark), 20)
    lines = shown((text, style)).wrap(terminal.out, width)
    for number, line in enumerate(lines):
        line.rstrip()
        row = left.copy() if number == 0 else shown((" " * _LEFT, ""))
        row.append(mark if number == 0 else " " * len(mark), style)
        row.append_text(line)
        terminal.out.print(row, soft_wrap=True)


def _write_plain(step: Step) -> None:
    lines = [f"{MARKS[step.result]:8}{step.title:13}{' '.join(step.seen)}".rstrip()]
    lines += [f"{'':21}-> {advice}" for advice in step.advice]
    write("".join(f"{line}\n" for line in lines))


def print_summary(terminal: Terminal, report: Report) -> None:
    """Print the last line: whether the app can be called."""
    text = summary(report)
    if terminal.shows_data:
        _print_summary_wrapped(terminal, text, STYLES[report.result])
    else:
        write(f"\n{text}\n")


def _print_summary_wrapped(terminal: Terminal, text: str, style: str) -> None:
    terminal.out.print()
    for line in shown((text, style)).wrap(terminal.out, terminal.out.width):
        line.rstrip()
        terminal.out.print(line, soft_wrap=True)


def summary(report: Report) -> str:
    """Return whether the app can be called, in a sentence."""
    failures, warnings = report.having(Result.FAILURE), report.having(Result.WARNING)
    unchecked = sum(1 for step in report.steps if step.blocked_by)
    rest = f" {_count(unchecked, 'step was', 'steps were')} not checked because of it." if unchecked else ""
    if failures:
        return f"The app cannot be called. The reason is in: {_titles(failures)}.{rest}"
    if warnings:
        return f"The app can be called. There is a warning in: {_titles(warnings)}.{rest}"
    return "The app can be called. No problem was found."


def _titles(steps: Sequence[Step]) -> str:
    return ", ".join(step.title for step in steps)


def _count(number: int, one: str, many: str) -> str:
    return f"1 {one}" if number == 1 else f"{number} {many}"


def status_of(report: Report) -> ExitStatus:
    """Return the exit status: that of the first failure."""
    failures = report.having(Result.FAILURE)
    if not failures:
        return ExitStatus.OK
    first = failures[0]
    if first.error is None:
        return ExitStatus.TRANSPORT
    status = exit_status(first.error)
    # For a call, an error reply of a server or a proxy is a refusal. Here it is the reason why no call is
    # possible.
    is_refusal = first.name == "call" or isinstance(first.error, AuthenticationRequired)
    return ExitStatus.TRANSPORT if status is ExitStatus.REFUSED and not is_refusal else status


def report_object(source: str, report: Report) -> dict[str, Any]:
    """Return a report for JSON."""
    return {
        "source": shown_source(source),
        "result": report.result.value,
        "summary": summary(report),
        "status": int(status_of(report)),
        "steps": [step.as_json() for step in report.steps],
    }
