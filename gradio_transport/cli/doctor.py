# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport doctor``."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ..app.config import AppConfig
from .arguments import Arguments, check, parse_arguments, strip_mark
from .call import find_endpoint
from .failures import ExitStatus
from .options import Connection, connection_options, recorder
from .terminal import current_terminal, write
from .text import to_json

if TYPE_CHECKING:
    from ..doctor.patient import Arguments as CallArguments
    from ..doctor.patient import Preparation

_HELP = """Find out why the app at SOURCE cannot be called.

It checks the address, proxies, name, TLS, redirects, login, protocol, streams and more, step by step, and
says for each what it found and what to do. It calls no function, unless you give --call: then the words after
SOURCE are the arguments, as for `call`.

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
@click.option(
    "--call", "endpoint", metavar="ENDPOINT", help="Make this call, time its steps and diagnose it."
)
@click.option(
    "--hold", type=click.FloatRange(min=0, max=3600, min_open=True), default=18.0, show_default=True,
    metavar="SECONDS", help="Hold a stream open for this time, to see whether a proxy ends it.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
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
    # Imported here, because it would slow the start of the other commands, which do not need it.
    from ..doctor import Report, Step, examine
    from .doctor_view import ProgressLine, print_step, print_summary, report_object, status_of

    if arguments and endpoint is None:
        raise click.UsageError("Arguments need a call: add --call ENDPOINT.")
    terminal, source = current_terminal(), strip_mark(source)
    steps: list[Step] = []
    preparation = None if endpoint is None else _preparation(strip_mark(endpoint), arguments)
    with recorder(connection.trace) as tap, ProgressLine(terminal, hold) as progress:
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
