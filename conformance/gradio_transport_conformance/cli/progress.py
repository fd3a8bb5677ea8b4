# SPDX-License-Identifier: Apache-2.0
"""The live count of a run, on standard error."""

from __future__ import annotations

import sys
import time
from collections import Counter

import click

from gradio_transport.errors import visible

from ..grading import Grade
from ..run.results import WORDS, CellResult

_TERMINAL_SECONDS = 0.1
_FILE_SECONDS = 15.0
"""Seconds between two counts if the output is not a terminal, such as the log of a CI service."""


class Progress:
    """Counts results as they arrive.

    Args:
        planned: The number of results to expect.
        quiet: Whether to write nothing.
    """

    def __init__(self, planned: int, *, quiet: bool) -> None:
        self._planned = planned
        self._quiet = quiet
        self._is_terminal = sys.stderr.isatty()
        self._counts: Counter[Grade] = Counter()
        self._written = time.monotonic()

    def __call__(self, result: CellResult) -> None:
        """Count a result."""
        self._counts[result.grade] += 1
        if self._quiet:
            return
        if self._is_terminal and result.grade is Grade.FAIL:
            click.echo(f"\r\033[Kwrong: {visible(result.name)}: {visible(result.cause)}", err=True)
        pause = _TERMINAL_SECONDS if self._is_terminal else _FILE_SECONDS
        if time.monotonic() - self._written >= pause:
            self._written = time.monotonic()
            self._write()

    def _write(self) -> None:
        done = sum(self._counts.values())
        counts = "  ".join(f"{self._counts[grade]} {WORDS[grade]}" for grade in WORDS if self._counts[grade])
        line = f"{done}/{self._planned}  {counts}"
        click.echo(f"\r\033[K{line}" if self._is_terminal else line, nl=not self._is_terminal, err=True)

    def close(self) -> None:
        """Remove the count from the terminal."""
        if self._is_terminal and not self._quiet:
            click.echo("\r\033[K", nl=False, err=True)


__all__ = ["Progress"]
