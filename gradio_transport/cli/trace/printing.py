# SPDX-License-Identifier: Apache-2.0
"""Prints lines to stdout: in colours and to the width of a terminal, plain and unwrapped in a pipe."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from ..terminal import Terminal, write
from ..text import to_json
from .lines import Line, render

PIPE_COLUMNS = 120
"""Width for which long values are shortened in a pipe, whatever is at the other end."""

_LONGEST_LINE = 1_000_000


class Printer:
    """Prints to the stdout of a terminal or pipe.

    Attributes:
        width: Columns of a line.
        wrap_width: Columns to which texts are wrapped; None for a pipe, where they are not.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.width = terminal.out.width if terminal.shows_data else PIPE_COLUMNS
        self.wrap_width = self.width if terminal.shows_data else None

    def print(self, line: Line, *, whole: bool = False) -> None:
        """Print a line, cut to the width unless it is to be `whole`."""
        text = render(line, _LONGEST_LINE if whole else self.width)
        if self._terminal.shows_data:
            self._terminal.out.print(text, soft_wrap=True)
        else:
            write(text.plain + "\n")

    def blank(self) -> None:
        """Print an empty line."""
        if self._terminal.shows_data:
            self._terminal.out.print(Text(""))
        else:
            write("\n")

    def print_object(self, value: Any) -> None:
        """Print a value as JSON on one line."""
        write(to_json(value) + "\n")


__all__ = ["PIPE_COLUMNS", "Printer"]
