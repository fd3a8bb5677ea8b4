# SPDX-License-Identifier: Apache-2.0
"""Printing of lines to stdout or stderr: in colours and to the width of a terminal, plain in a pipe."""

from __future__ import annotations

from typing import Any

from ..terminal import Terminal, shown, write
from ..text import printable, to_json
from .lines import Line, fit_parts

PIPE_COLUMNS = 120
"""Width to which long values are shortened in a pipe."""

_LONGEST_LINE = 1_000_000


class Printer:
    """A printer to a terminal or pipe.

    Args:
        terminal: Its streams.
        to_stderr: Print to stderr, because stdout belongs to another program.

    Attributes:
        width: Columns of a line.
        wrap_width: Columns to which texts are wrapped; None for a pipe, where they are not.
    """

    def __init__(self, terminal: Terminal, *, to_stderr: bool = False) -> None:
        self._to_stderr = to_stderr
        self._console = terminal.err if to_stderr else terminal.out
        self._is_terminal = terminal.shows_status if to_stderr else terminal.shows_data
        self.width = self._console.width if self._is_terminal else PIPE_COLUMNS
        self.wrap_width = self.width if self._is_terminal else None

    def print(self, line: Line, *, whole: bool = False) -> None:
        """Print a line, cut to the width unless `whole`."""
        parts = fit_parts(line, _LONGEST_LINE if whole or line.whole else self.width)
        if self._is_terminal or self._to_stderr:
            text = shown(*parts)
            text.rstrip()
            self._console.print(text, soft_wrap=True)
        else:  # without rich it takes half the time
            write("".join(printable(text) for text, _ in parts).rstrip() + "\n")

    def blank(self) -> None:
        """Print an empty line."""
        self.print(Line([]))

    def print_object(self, value: Any) -> None:
        """Print a value as JSON on one line."""
        write(to_json(value) + "\n")


__all__ = ["PIPE_COLUMNS", "Printer"]
