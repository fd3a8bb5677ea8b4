# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport doctor``."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Self

import click
from rich.status import Status
from rich.text import Text

from ..app.config import AppConfig
from ..doctor.examination import PlannedStep, examine
from ..doctor.patient import Arguments as CallArguments
from ..doctor.patient import Preparation
from ..doctor.report import Report, Result, Step
from ..errors import AuthenticationRequired
from ..protocol.urls import shown_url
from .arguments import Arguments, check, parse_arguments, strip_mark
from .call import find_endpoint
from .failures import ExitStatus, exit_status
from .options import Connection, connection_options, recorder
from .terminal import Terminal, current_terminal, shown, write
from .text import to_json

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

_HELP = """Find out why the app at SOURCE cannot be called.

It looks at the address, proxies, name, TLS, redirects, login, protocol, streams and more, step by step, and
says for each what it saw and what to do. Nothing is called unless --call is given: then the words after
SOURCE are its arguments, as of `call`.

\b
Example:
  gradio-transport doctor http://127.0.0.1:7860
  gradio-transport doctor owner/name
  gradio-transport doctor https://example.org/app --auth ann:secret --hold 65
  gradio-transport doctor http://127.0.0.1:7860 --call /count 3
  gradio-transport doctor http://127.0.0.1:7860 --json | jq .result

\b
Exit status:
  0    the app can be called; warnings are possible
  1    the function of --call raised an error
  2    bad usage: not a URL, unknown endpoint, wrong arguments
  3    the server refused: a login is missing or wrong
  4    the app cannot be called
"""


@click.command(cls=Arguments, help=_HELP)
@click.argument("source")
@click.argument("arguments", nargs=-1)
@click.option("--call", "endpoint", metavar="ENDPOINT", help="Make this call, time its flow and diagnose it.")
@click.option(
    "--hold", type=click.FloatRange(min=0, max=3600, min_open=True), default=18.0, show_default=True,
    metavar="SECONDS", help="Hold a stream open for so long, to see whether a proxy ends it.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when all is done.")
@connection_options
def doctor(
    connection: Connection,
    *,
    source: str,
    arguments: tuple[str, ...],
    endpoint: str | None,
    hold: float,
    as_json: bool,
) -> None:
    """Run the command; its help is above."""
    if arguments and endpoint is None:
        raise click.UsageError("Arguments are for a call: add --call ENDPOINT.")
    terminal, source = current_terminal(), strip_mark(source)
    steps: list[Step] = []
    preparation = None if endpoint is None else _preparation(strip_mark(endpoint), arguments)
    with recorder(connection.trace) as tap, _Progress(terminal) as progress:
        found = examine(
            source,
            connection.options(tap),
            hold=hold,
            call=preparation,
            saved_token=True,
            on_begin=progress.begin,
        )
        with contextlib.closing(found):
            for step in found:
                steps.append(step)
                progress.end()
                if not as_json and not step.blocked_by:
                    print_step(terminal, step)
    report = Report(tuple(steps))
    if as_json:
        write(to_json(report_object(source, report), indent=2) + "\n")
    else:
        print_summary(terminal, report)
    status = status_of(report)
    if status is not ExitStatus.OK:
        raise click.exceptions.Exit(int(status))


def _preparation(endpoint: str, words: Sequence[str]) -> Preparation:
    def prepare(config: AppConfig) -> CallArguments:
        chosen = find_endpoint(config, endpoint)
        positional, keywords = parse_arguments(chosen, words)
        check(config, chosen, positional, keywords)
        return chosen, positional, keywords

    return prepare


class _Progress:
    """A line on stderr with the step under way, in a terminal only."""

    def __init__(self, terminal: Terminal) -> None:
        self._console = terminal.err if terminal.shows_status else None
        self._status: Status | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self, planned: PlannedStep) -> None:
        """Show a step that begins."""
        if self._console is not None:
            self._status = self._console.status(f"{planned.title} …", spinner_style="cyan")
            self._status.start()

    def end(self) -> None:
        """Remove the line."""
        if self._status is not None:
            self._status.stop()
            self._status = None


def print_step(terminal: Terminal, step: Step) -> None:
    """Print a step: what was seen, and below it what to do."""
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
    """Print a text with its lines below each other, to the right of `left`."""
    width = max(terminal.out.width - _LEFT - len(mark), 20)
    lines = shown((text, style)).wrap(terminal.out, width)
    for number, line in enumerate(lines):
        line.rstrip()
        before = left if number == 0 else Text(" " * _LEFT)
        lead = mark if number == 0 else " " * len(mark)
        terminal.out.print(Text.assemble(before, (lead, style), line), soft_wrap=True)


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
    rest = f" {_count(unchecked, 'step was', 'steps were')} not checked because of that." if unchecked else ""
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
    # An error of a server or a proxy is a refusal for a call. Here it is the reason why there can be none.
    is_refusal = first.name == "call" or isinstance(first.error, AuthenticationRequired)
    return ExitStatus.TRANSPORT if status is ExitStatus.REFUSED and not is_refusal else status


def report_object(source: str, report: Report) -> dict[str, Any]:
    """Return a report for JSON."""
    return {
        "source": shown_url(source),
        "result": report.result.value,
        "summary": summary(report),
        "status": int(status_of(report)),
        "steps": [step.as_json() for step in report.steps],
    }
