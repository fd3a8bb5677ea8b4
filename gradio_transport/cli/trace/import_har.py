# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace import``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..failures import FileProblem
from ..terminal import Terminal, current_terminal
from .files import STANDARD_INPUT, title

if TYPE_CHECKING:
    from ...trace.har.importing import ImportReport
    from ...trace.har.reader import Har

_SHOWN_LINES = 10


@click.command(name="import")
@click.argument("path", metavar="HAR")
@click.option("-o", "--output", metavar="FILE", required=True, help="Trace to write. It must not exist.")
@click.option("--app", metavar="URL", help="The app, if the file has the traffic of several.")
@click.option("--redact/--no-redact", default=True, help="Remove secrets, as in all traces. Default: on.")
@click.option("--secret", "secrets", metavar="TEXT", multiple=True, help="Also remove this text. Repeatable.")
@click.option("--all", "keep_other", is_flag=True, help="Also keep other requests: scripts, themes, images.")
def import_har(
    *, path: str, output: str, app: str | None, redact: bool, secrets: tuple[str, ...], keep_other: bool
) -> None:
    """Write a HAR file of a browser or a proxy as a trace.

    It finds the calls of a Gradio app, of any version and by any client: joins with their streams,
    websockets, polls, direct calls. Open the network panel before you load the page, and export with "Save
    all as HAR with content" (Chrome: with sensitive data, or messages are missing). HAR is - for standard
    input.

    \b
    Example:
      gradio-transport trace import page.har -o page.jsonl
      gradio-transport trace show page.jsonl
    """  # noqa: D301 - click reads the character
    from ...trace import TraceWriter
    from ...trace.har.importing import choose_app
    from ...trace.har.importing import import_har as import_traffic

    terminal = current_terminal()
    if Path(output).exists():
        raise click.UsageError(f"{output} exists already. Choose another name, or delete it.")
    har = _read(path)
    chosen = choose_app(har, app)
    meta = {"recorder": "har", "imported": har.creator}
    try:
        with TraceWriter(output, redact=redact, secrets=secrets, meta=meta) as writer:
            report = import_traffic(har, writer, chosen, keep_other=keep_other)
    except OSError as error:
        raise FileProblem(output, error.strerror or str(error)) from error
    _print(terminal, path, output, har, report)


def _read(path: str) -> Har:
    from ...trace.har.reader import read_har

    try:
        return read_har(sys.stdin.buffer if path == STANDARD_INPUT else path)
    except OSError as error:
        raise FileProblem(path, error.strerror or str(error)) from error


def _print(terminal: Terminal, path: str, output: str, har: Har, report: ImportReport) -> None:
    calls = "1 call" if report.calls == 1 else f"{report.calls} calls"
    line = f"{output}: {calls} of {report.app.url}, from {title(path)} ({har.creator or 'unnamed creator'})."
    terminal.print_line((line, ""))
    if not report.app.has_config:
        what = "the file lacks the app's config, so the trace cannot be replayed. Reload the page first."
        terminal.print_line(("warning: ", "yellow"), (what, ""))
    for text in report.missing[:_SHOWN_LINES]:
        terminal.print_line(("warning: ", "yellow"), (f"{text}.", ""))
    if len(report.missing) > _SHOWN_LINES:
        terminal.print_line((f"and {len(report.missing) - _SHOWN_LINES} more", ""))
    for reason, count in report.skipped.most_common(_SHOWN_LINES):
        terminal.print_line((f"left out: {reason}, {count} times", "dim"))
