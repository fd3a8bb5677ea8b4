# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport survey``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator
from typing import Any

import click

from ..bulk.executors import connected_engine
from ..errors import GradioTransportError
from ..survey import Page, Survey, SurveyResult
from ..survey import survey as examine_apps
from ..survey.settings import TIMEOUT
from ..survey.sources import distinct_sources
from .failures import ExitStatus, FileProblem
from .rows import STDIO, open_text, write_line
from .run_view import Bar, Pace, show_how_to_go_on, stopped_by_interrupt
from .sources import is_same_file, read_sources
from .survey_view import SurveyTally
from .terminal import Terminal, current_terminal

_HELP = """Find out which of many apps can be called, and why not.

SOURCES is a file with one URL or Space name per line, or - for stdin. Empty lines and text after a # are
ignored. A line may be JSON that contains the source; a .csv file has a column named source. An app that is
listed twice is examined once.

\b
  gradio-transport survey sources.txt -o survey.jsonl --page survey.html
  gradio-transport survey sources.txt -o survey.jsonl --journal survey.sqlite --redo-failed

Each app is checked as by `doctor`, up to its protocol: name, connection, TLS, redirects, config, login, and
an adapter for each endpoint. No function is called, and no sleeping Space is woken. No token and no login is
sent, except those in a URL of SOURCES.

Each result is an object with its source, whether it answers, a code for the reason, what was found, the
version, protocol and endpoints. An app that does not answer is a result, not a failure of the survey.

With --journal, you can resume a survey that ended early with the same command. The first Ctrl-C starts no
further app and waits for those being examined; a second one abandons them.

\b
Exit status:
  0    all apps are surveyed, whatever the results
  2    bad usage: unknown option, unreadable file, a journal of other sources
  4    the workers of --on are lost
  130  stopped with Ctrl-C before all apps were surveyed
"""

_WAITING = "Waiting for the apps being examined. Press Ctrl-C again to abandon them."


@click.command(help=_HELP)
@click.argument("sources")
@click.option(
    "-o", "--output", default=STDIO, metavar="FILE",
    help="Write the results to FILE, as JSON lines. Default: stdout.",
)  # fmt: skip
@click.option(
    "--page", type=click.Path(dir_okay=False), metavar="FILE",
    help="Also write the results to FILE as an HTML page with counts and filters.",
)  # fmt: skip
@click.option(
    "--at-once", type=click.IntRange(min=1), metavar="N",
    help="Apps examined at once. Default: 16, or 16 on each worker.",
)  # fmt: skip
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="The most apps per second."
)
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), default=TIMEOUT, show_default=True,
    metavar="SECONDS", help="Time for each app.",
)  # fmt: skip
@click.option(
    "--journal", type=click.Path(dir_okay=False), metavar="FILE",
    help="Keep the results in FILE, and resume from FILE if it exists.",
)  # fmt: skip
@click.option(
    "--redo-failed", is_flag=True,
    help="Examine those apps of the journal again that did not answer for a temporary reason, such as no "
         "connection.",
)  # fmt: skip
@click.option("--in-order", is_flag=True, help="Write results in the order of the sources.")
@click.option(
    "--on", "engine", metavar="URL", help="Examine on a cluster: dask://host:port or ray://host:port."
)
@click.option("--insecure", is_flag=True, help="Do not check the servers' TLS certificates.")
@click.option("-v", "--verbose", count=True, help="Log to stderr; -vv logs every detail.")
def survey(
    *,
    sources: str,
    output: str,
    page: str | None,
    engine: str | None,
    insecure: bool,
    verbose: int,
    **settings: Any,
) -> None:
    """Run the command; its help is above."""
    terminal = current_terminal()
    terminal.set_verbosity(verbose)
    _check_files(sources, output, page)
    tally = SurveyTally(Pace(total=_count(sources), unit="apps"))
    found, complete = None if page is None else Page(), False
    with contextlib.ExitStack() as stack:
        executor = None if engine is None else stack.enter_context(connected_engine(engine))
        results = examine_apps(read_sources(sources), executor=executor, verify=not insecure, **settings)
        emit = stack.enter_context(_writer(output))

        def take(result: SurveyResult) -> None:
            emit(result)
            tally.add(result)
            if found is not None:
                found.add(result)

        try:
            stopped = _run(results, take, tally, terminal)
            complete = not stopped or tally.pace.ended == tally.pace.total
        except GradioTransportError:
            show_how_to_go_on(terminal, tally.summary, settings["journal"])
            raise
        finally:
            if found is not None and page is not None:
                _write_page(found, page, complete=complete)
    _finish(terminal, tally, complete=complete, journal=settings["journal"])


def _check_files(sources: str, output: str, page: str | None) -> None:
    """Check the output files now: otherwise an error would only appear at the end.

    Raises:
        UsageError: A file would overwrite another one.
        FileProblem: The page cannot be written.
    """
    for name in (output, page):
        if name is not None and is_same_file(sources, name):
            raise click.UsageError(f"{name} has the sources. Write to another file.")
    if page is not None:
        open_text(page, "a").close()


def _count(sources: str) -> int | None:
    return None if sources == STDIO else sum(1 for _ in distinct_sources(read_sources(sources)))


@contextlib.contextmanager
def _writer(path: str) -> Generator[Callable[[SurveyResult], None], None, None]:
    file = sys.stdout if path == STDIO else open_text(path, "w")
    try:
        yield lambda result: write_line(file, result.as_json())
    finally:
        if file is not sys.stdout:
            file.close()


def _run(
    results: Survey, take: Callable[[SurveyResult], None], tally: SurveyTally, terminal: Terminal
) -> bool:
    """Write the results, and return whether the survey was stopped."""
    with (
        results,
        Bar(terminal, tally) as bar,
        stopped_by_interrupt(results.stop, bar, terminal, _WAITING) as was_stopped,
    ):
        for result in results:
            take(result)
            bar.update()
    return was_stopped()


def _write_page(found: Page, path: str, *, complete: bool) -> None:
    try:
        found.write(path, complete=complete)
    except OSError as error:
        raise FileProblem(path, error.strerror or str(error)) from error


def _finish(terminal: Terminal, tally: SurveyTally, *, complete: bool, journal: str | None) -> None:
    """Print the last lines, and exit with their status."""
    if not complete:
        show_how_to_go_on(terminal, tally.summary, journal)
        raise click.exceptions.Exit(int(ExitStatus.INTERRUPTED))
    terminal.print_line((tally.summary, "green"))
    for line in tally.details:
        terminal.print_line((f"  {line}", ""))
