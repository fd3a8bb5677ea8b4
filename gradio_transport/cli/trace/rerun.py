# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace rerun``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import click

from ...protocol.urls import shown_url
from ...rerun import Inputs, PlannedCall, Result, Status, plan
from ...rerun import rerun as run_again
from ...sync import Transport
from ...trace import Trace
from ...trace.outcomes import Outcome, Tolerance
from ..coerce import strict_json
from ..failures import Misuse
from ..options import Connection, connection_options
from ..terminal import Terminal, current_terminal, write
from ..text import duration, to_json
from .files import FINDINGS, read, title, trace_argument

_HELP = """Make the calls of the trace FILE again on the app at SOURCE, and compare the results.

This calls the app's functions, with all their side effects. --dry-run only shows the calls.

\b
Example: do the callers of my Space work after its upgrade?
  gradio-transport call https://old.example /predict 3 --trace calls.jsonl
  gradio-transport trace rerun calls.jsonl --on http://127.0.0.1:7860

Each call is `same`, `differs`, `error` (connection lost, or deadline expired) or `skipped`, with the reasons
below it. Outputs, errors and messages of the app are compared. Times, ids, addresses, temporary paths, the
number of steps of a generator and the contents of files are not. Calls of one recorded session share a
session, run in the recorded order, and are cancelled where they were.

A trace has no uploaded files and no secrets. Pass them with --file and --value.

\b
Exit status:
  0    every call came out the same
  1    a call differs, failed to run, or was skipped
  2    bad usage, or FILE is not a trace
  3    the server refused: login
  4    no connection
"""

_STYLES = {Status.SAME: "green", Status.DIFFERS: "red", Status.ERROR: "red", Status.SKIPPED: "yellow"}


@click.command(help=_HELP)
@trace_argument
@click.option(
    "--on", "source", required=True, metavar="SOURCE", help="The app to call: its URL, or owner/name."
)
@click.option("--dry-run", is_flag=True, help="Show the calls without making them.")
@click.option(
    "--call",
    "only",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="N",
    help="Only call N, counted from 1. Repeatable.",
)
@click.option("--of", "recorded", metavar="URL", help="The recorded app, if the trace has several.")
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="NAME=PATH",
    help="The file to send in place of the recorded NAME. Repeatable.",
)
@click.option(
    "--placeholders",
    is_flag=True,
    help="Send zero bytes of the recorded size for files that you do not give.",
)
@click.option(
    "--value",
    "values",
    multiple=True,
    metavar="NAME=VALUE",
    help="Value of the parameter NAME where it was redacted; JSON if it is valid JSON, else text. "
    "@PATH reads it from a file. Repeatable.",
)
@click.option(
    "--ignore",
    "ignored",
    multiple=True,
    metavar="REGEX",
    help="Texts that may differ, such as '\\d+ ms'. Repeatable.",
)
@click.option(
    "--numbers",
    type=click.FloatRange(min=0),
    default=1e-6,
    show_default=True,
    metavar="X",
    help="Relative difference up to which numbers count as equal.",
)
@click.option("--steps", is_flag=True, help="Compare each step of generators.")
@click.option("--no-logs", is_flag=True, help="Do not compare messages of gr.Info and gr.Warning.")
@click.option("--no-error-texts", is_flag=True, help="Compare the types of errors, not their texts.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@connection_options
def rerun(
    connection: Connection,
    *,
    path: str,
    source: str,
    dry_run: bool,
    only: tuple[int, ...],
    recorded: str | None,
    files: tuple[str, ...],
    placeholders: bool,
    values: tuple[str, ...],
    ignored: tuple[str, ...],
    numbers: float,
    steps: bool,
    no_logs: bool,
    no_error_texts: bool,
    as_json: bool,
) -> None:
    """Run the command; its help is above."""
    inputs = Inputs(
        files=dict(_file(text) for text in files),
        placeholders=placeholders,
        values=dict(_value(text) for text in values),
    )
    tolerance = Tolerance(
        numbers=numbers,
        ignored=[_pattern(text) for text in ignored],
        all_steps=steps,
        logs=not no_logs,
        error_texts=not no_error_texts,
    )
    trace = read(path)
    terminal = current_terminal()
    with connection.open(source) as app:
        planned = plan(
            trace,
            app.config,
            inputs=inputs,
            only=only,
            source=recorded,
            keep_protocol=connection.protocol == "auto",
        )
        if not planned:
            raise Misuse(f"{title(path)} has no calls{' of these numbers' if only else ''}.")
        report = _Report(terminal, trace, app, as_json)
        report.begin(path, source, planned, dry_run)
        results = [] if dry_run else report.run(planned, tolerance)
    if not dry_run:
        report.end(results)
    if any(result.status is not Status.SAME for result in results):
        raise click.exceptions.Exit(FINDINGS)


def _file(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    found = Path(path if equals else text).expanduser()
    if not found.is_file():
        raise click.BadParameter(f"there is no file {str(found)!r}.", param_hint="'--file'")
    return (name if equals else found.name), found


def _value(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter("write NAME=VALUE.", param_hint="'--value'")
    if value.startswith("@"):
        try:
            value = Path(value[1:]).expanduser().read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise click.BadParameter(f"{value[1:]}: {error}", param_hint="'--value'") from error
    try:
        return name, strict_json(value)
    except ValueError:
        return name, value


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise click.BadParameter(f"{text!r} is not a pattern: {error}.", param_hint="'--ignore'") from error


@attrs.define
class _Report:
    """The printed report: the results to stdout, the planned calls to stderr."""

    terminal: Terminal
    trace: Trace
    app: Transport
    as_json: bool

    def begin(self, path: str, source: str, planned: Sequence[PlannedCall], dry_run: bool) -> None:
        """Announce the calls, or show them in a dry run."""
        made = [one for one in planned if not one.skip]
        where = f"{shown_url(source)} ({_server(self.app.config.version)})"
        verb = "would be made" if dry_run else "will be made"
        names = list(dict.fromkeys(one.recorded.display_name for one in made))
        shown = ", ".join(names[:10]) + (" and more" if len(names) > 10 else "")
        recorded = _server(str(self.trace.meta.get("gradio") or ""))
        self.terminal.print_line(
            (f"{title(path)} (recorded on {recorded}): {_count(len(made), 'call')} {verb} on {where}", "dim"),
            (f": {shown}" if shown else "", "dim"),
        )
        if dry_run and self.as_json:
            write(to_json([_planned_object(one) for one in planned], indent=2) + "\n")
        elif dry_run:
            for one in planned:
                self._line("skip" if one.skip else "call", one, "yellow" if one.skip else "green")
                self._details([one.skip] if one.skip else [*one.changes, *one.notes])

    def run(self, planned: Sequence[PlannedCall], tolerance: Tolerance) -> list[Result]:
        """Make the calls, and print the results in the recorded order as they arrive."""
        known: dict[int, Result] = {}
        waiting = [one.recorded.number for one in planned]
        for result in run_again(self.app, planned, tolerance):
            known[result.planned.recorded.number] = result
            while waiting and waiting[0] in known:
                self._result(known[waiting.pop(0)])
        return [known[one.recorded.number] for one in planned]

    def end(self, results: Sequence[Result]) -> None:
        """Print the summary."""
        counts = Counter(result.status for result in results)
        if self.as_json:
            document = {
                "recorded": {
                    "gradio": self.trace.meta.get("gradio"),
                    "source": self.trace.meta.get("source"),
                },
                "on": {"gradio": self.app.config.version, "source": shown_url(self.app.url)},
                "calls": [_result_object(result) for result in results],
                "summary": {status.value: counts.get(status, 0) for status in Status},
            }
            write(to_json(document, indent=2) + "\n")
            return
        parts = [f"{counts[status]} {status.value}" for status in Status if counts[status]]
        self.terminal.print_line(
            (f"{_count(len(results), 'call')}: {', '.join(parts)}", "bold"), to=self.terminal.out
        )

    def _result(self, result: Result) -> None:
        if self.as_json:
            return
        self._line(result.status.value, result.planned, _STYLES[result.status], result.seconds)
        self._details([*result.differences, *self._explanation(result)])
        if result.status is not Status.SAME or self.terminal.verbosity:
            self._details(result.planned.notes, "dim")

    @staticmethod
    def _explanation(result: Result) -> list[str]:
        """Return why a call that could not be compared failed, if the differences do not show it."""
        failure = result.outcome.failure if result.outcome else None
        if (
            result.status is not Status.ERROR
            or failure is None
            or any(failure.type in one for one in result.differences)
        ):
            return []
        return [str(failure)]

    def _line(self, word: str, planned: PlannedCall, style: str, seconds: float = 0.0) -> None:
        took = f"  {duration(seconds)}" if seconds else ""
        recorded = planned.recorded
        self.terminal.print_line(
            (f"{word:8}", style), (f"call {recorded.number}  {planned.title}", ""), (took, "dim"),
            to=self.terminal.out,
        )  # fmt: skip

    def _details(self, lines: Sequence[str], style: str = "") -> None:
        for line in lines:
            self.terminal.print_line((f"  {line}", style), to=self.terminal.out)


def _planned_object(planned: PlannedCall) -> dict[str, Any]:
    return {
        "call": planned.recorded.number,
        "session": planned.recorded.session,
        "endpoint": planned.recorded.display_name,
        "arguments": None if planned.skip else [_shown(value) for value in planned.arguments.values()],
        "changes": list(planned.changes),
        "notes": list(planned.notes),
        "skipped": planned.skip or None,
    }


def _shown(value: Any) -> Any:
    try:
        to_json(value)
    except (TypeError, ValueError):
        return f"{type(value).__name__}"
    return value


def _result_object(result: Result) -> dict[str, Any]:
    return {
        "status": result.status.value,
        **_planned_object(result.planned),
        "differences": list(result.differences),
        "recorded": _outcome_object(result.planned.recorded.outcome),
        "now": None if result.outcome is None else _outcome_object(result.outcome),
        "seconds": round(result.seconds, 3),
    }


def _outcome_object(outcome: Outcome) -> dict[str, Any]:
    return {
        "ending": outcome.ending.value,
        "values": list(outcome.values),
        "steps": len(outcome.steps),
        "error": None if outcome.failure is None else attrs.asdict(outcome.failure),
    }


def _server(version: str) -> str:
    return f"Gradio {version}" if version else "a server"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
