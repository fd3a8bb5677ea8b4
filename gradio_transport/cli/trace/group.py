# SPDX-License-Identifier: Apache-2.0
"""The group of the commands for traces."""

from __future__ import annotations

import click

from .curl import curl
from .diff import diff
from .har import har
from .import_har import import_har
from .lint import lint
from .page import page
from .play import play
from .redact import redact
from .replay import replay
from .rerun import rerun
from .show import show

EXIT_STATUSES = """\b
Exit status:
  0    ok, and nothing found
  1    findings: errors of lint, differences of diff, replay and rerun
  2    bad usage, or a file that is not a trace
  4    no connection (rerun)
"""


@click.group(epilog=EXIT_STATUSES)
def trace() -> None:
    """Show, compare, check, convert, serve and rerun traces.

    FILE is a trace, written with --trace FILE, by `gradio-transport record`, with GRADIO_TRANSPORT_TRACE=DIR,
    or imported from a HAR file. - is standard input.
    """


for command in (show, page, lint, diff, replay, play, rerun, curl, har, import_har, redact):
    trace.add_command(command)
