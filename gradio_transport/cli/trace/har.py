# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace har``."""

from __future__ import annotations

from pathlib import Path

import click

from ..failures import FileProblem
from ..terminal import current_terminal, write
from .files import STANDARD_INPUT, read, trace_argument


@click.command()
@trace_argument
@click.option(
    "-o",
    "--output",
    metavar="HAR",
    default=STANDARD_INPUT,
    help="File to write, which must not exist. Default: standard output.",
)
def har(*, path: str, output: str) -> None:
    """Write a trace as a HAR file, for the network panel of a browser and other tools.

    Each request, stream and websocket of the trace is an entry, with its times, headers and bodies. Messages
    of streams are there as Chrome writes them, and as the text of the stream. What was redacted in the trace
    stays redacted. Drag the file into the network panel of Chrome or Firefox to look at it.

    \b
    Example:
      gradio-transport trace har stall.jsonl -o stall.har
    """  # noqa: D301 - click reads the character
    from ...trace.har.exporting import write_har

    text = write_har(read(path)) + "\n"
    if output == STANDARD_INPUT:
        write(text)
        return
    try:
        # ASCII, because it is all escaped.
        with Path(output).open("x", encoding="ascii") as file:
            file.write(text)
    except FileExistsError:
        raise click.UsageError(f"{output} exists already, and nothing is written over.") from None
    except OSError as error:
        raise FileProblem(output, error.strerror or str(error)) from error
    current_terminal().print_line((f"Wrote {output} ({len(text):,} bytes).", ""))
