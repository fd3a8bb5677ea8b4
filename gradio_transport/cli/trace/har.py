# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace har``."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import click

from ..failures import FileProblem
from ..terminal import current_terminal, write
from .files import STANDARD_INPUT, TraceLines, trace_argument


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
    of streams are stored in Chrome's format, and as the text of the stream. Redacted values of the trace stay
    redacted. Drag the file into the network panel of Chrome or Firefox to look at it.

    \b
    Example:
      gradio-transport trace har stall.jsonl -o stall.har
    """  # noqa: D301 - click reads the character
    from ...trace.har.exporting import find_start, har_parts

    # The trace is read twice, first for the date of its first reply: that takes less memory than to keep it.
    first = TraceLines(path)
    started = find_start(first)
    lines = TraceLines(path, first.text)
    parts = itertools.chain(har_parts(lines, lines.meta, started), "\n")
    if output == STANDARD_INPUT:
        for part in parts:
            write(part)
        return
    try:
        size = _save(Path(output), parts)
    except FileExistsError:
        raise click.UsageError(f"{output} exists already. Choose another name, or delete it.") from None
    except OSError as error:
        raise FileProblem(output, error.strerror or str(error)) from error
    current_terminal().print_line((f"Wrote {output} ({size:,} bytes).", ""))


def _save(path: Path, parts: Iterable[str]) -> int:
    """Write a new file atomically, and return its size."""
    size = 0
    # ASCII, because everything else is escaped.
    with path.open("x", encoding="ascii") as file:
        try:
            for part in parts:
                size += file.write(part)
        except BaseException:
            path.unlink()
            raise
    return size
