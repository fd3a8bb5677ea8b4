# SPDX-License-Identifier: Apache-2.0
"""Reading of the trace files that the commands of ``gradio-transport trace`` take."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from ...protocol.frames import Frame
from ...trace import Trace, TraceError, read_trace
from ...trace.reader import LineReader, not_a_trace
from ..failures import ExitStatus, FileProblem, report

_Command = TypeVar("_Command", bound=Callable[..., Any])

STANDARD_INPUT = "-"

FINDINGS = 1
"""Exit status of a command that found something, as in ``diff`` and ``grep``."""


def trace_argument(command: _Command) -> _Command:
    """Add an argument ``path`` to a command: one trace file, or ``-``."""
    return click.argument("path", metavar="FILE")(command)


def trace_arguments(command: _Command) -> _Command:
    """Add an argument ``paths`` to a command: one or more trace files, of which one may be ``-``."""
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
    _check_standard_input(paths)
    return [read(path) for path in paths]


class TraceLines:
    """The frames of a trace file, or of standard input for ``-``, read one by one.

    Args:
        path: The file.
        text: The text of standard input, if another object has already read it.

    Attributes:
        text: The text of standard input; None for a file.
        meta: The values of the meta lines so far.
    """

    def __init__(self, path: str, text: str | None = None) -> None:
        self._path = path
        is_input = path == STANDARD_INPUT
        self.text = _standard_input().getvalue() if is_input and text is None else text
        self._reader = (
            LineReader("standard input", None) if is_input else LineReader(Path(path).name, Path(path).parent)
        )
        self.meta = self._reader.meta

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames.

        Raises:
            TraceError: It is not a trace.
            FileProblem: It cannot be read.
        """
        try:
            with io.StringIO(self.text) if self.text is not None else self._open() as file:
                for line in file:
                    frame = self._reader.read(line.removesuffix("\n"))
                    if frame is not None:
                        yield frame
        except OSError as error:
            raise FileProblem(self._path, error.strerror or str(error)) from error
        if not self.meta:
            raise not_a_trace(self._reader.name, "it is empty")

    def _open(self) -> IO[str]:
        return open(self._path, encoding="utf-8", errors="replace")


def _check_standard_input(paths: Sequence[str]) -> None:
    if list(paths).count(STANDARD_INPUT) > 1:
        raise click.UsageError("Standard input (-) can be read only once.")


def read_readable(paths: Sequence[str]) -> Iterator[tuple[str, Trace]]:
    """Yield each readable trace file, and report the others.

    Raises:
        click.UsageError: Standard input is named more than once.
        click.exceptions.Exit: After the last file, with 2, if one could not be read.
    """
    _check_standard_input(paths)
    problem = False
    for path in paths:
        try:
            trace = read(path)
        except TraceError as error:
            problem = True
            report(error)
        except FileProblem as error:
            problem = True
            error.show()
        else:
            yield path, trace
    if problem:
        raise click.exceptions.Exit(int(ExitStatus.USAGE))


def title(path: str) -> str:
    """Return the printable name of a trace."""
    return "standard input" if path == STANDARD_INPUT else path


def _standard_input() -> io.StringIO:
    if sys.stdin is None:  # closed by the caller
        raise OSError(errno.EBADF, "Standard input is closed")
    return io.StringIO(sys.stdin.buffer.read().decode("utf-8", "replace"))
