# SPDX-License-Identifier: Apache-2.0
"""The trace files that the commands of ``gradio-transport trace`` take, and how they are read."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from ...trace import Trace, read_trace
from ..failures import FileProblem

_Command = TypeVar("_Command", bound=Callable[..., Any])

STANDARD_INPUT = "-"

FINDINGS = 1
"""Exit status of a command that looks for something and found it, as that of ``diff`` and ``grep``."""


def trace_argument(command: _Command) -> _Command:
    """Give a command one trace file, or ``-``, as its argument ``path``."""
    return click.argument("path", metavar="FILE")(command)


def trace_arguments(command: _Command) -> _Command:
    """Give a command one or more trace files, of which one may be ``-``, as its argument ``paths``."""
    return click.argument("paths", metavar="FILE...", nargs=-1, required=True)(command)


def read(path: str) -> Trace:
    """Read a trace file, or standard input for ``-``.

    Raises:
        TraceError: It is not a trace; the command line exits with 2.
        FileProblem: It cannot be read.
    """
    try:
        return read_trace(_standard_input() if path == STANDARD_INPUT else path)
    except OSError as error:
        raise FileProblem(path, error.strerror or str(error)) from error


def read_each(paths: Sequence[str]) -> list[Trace]:
    """Read several trace files, in order.

    Raises:
        click.UsageError: Standard input is named more than once.
    """
    if list(paths).count(STANDARD_INPUT) > 1:
        raise click.UsageError("Standard input (-) can be read only once.")
    return [read(path) for path in paths]


def title(path: str) -> str:
    """Return the name of a trace to print."""
    return "standard input" if path == STANDARD_INPUT else path


def _standard_input() -> io.StringIO:
    if sys.stdin is None:  # closed by the caller
        raise OSError(errno.EBADF, "Standard input is closed")
    return io.StringIO(sys.stdin.buffer.read().decode("utf-8", "replace"))
