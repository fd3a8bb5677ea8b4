# SPDX-License-Identifier: Apache-2.0
"""Where things are printed: stdout is for data, stderr for people."""

from __future__ import annotations

import io
import logging
import sys

import attrs
import click
from rich.console import Console
from rich.text import Text

from .text import printable


def _console(*, stderr: bool) -> Console:
    """Return a console that takes text as it is: no markup, no guessed colours."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


@attrs.define
class Terminal:
    """Both streams of one run of the command.

    Attributes:
        verbosity: How often ``-v`` was given.
    """

    out: Console = attrs.field(factory=lambda: _console(stderr=False))
    err: Console = attrs.field(factory=lambda: _console(stderr=True))
    verbosity: int = 0

    @property
    def shows_data(self) -> bool:
        """Whether a person reads stdout. A forced colour (``FORCE_COLOR``) does not make a pipe one."""
        return sys.stdout.isatty()

    @property
    def shows_status(self) -> bool:
        """Whether a person reads stderr, on something that can redraw a line."""
        return sys.stderr.isatty() and not self.err.is_dumb_terminal

    def say(self, text: Text) -> None:
        """Print a line for people; a pipe gets it unwrapped."""
        self.err.print(text, soft_wrap=not sys.stderr.isatty())

    def verbose(self, count: int) -> None:
        """Log to stderr: once is what happens, twice is every detail."""
        self.verbosity = max(self.verbosity, count)
        if self.verbosity:
            logger, handler = logging.getLogger(), _Lines(self)
            before = logger.level
            logger.addHandler(handler)
            logger.setLevel(logging.INFO if self.verbosity == 1 else logging.DEBUG)
            context = click.get_current_context()
            context.call_on_close(lambda: logger.removeHandler(handler))
            context.call_on_close(lambda: logger.setLevel(before))


class _Lines(logging.Handler):
    """Log records as lines on stderr, above whatever is live there."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{record.levelname.lower()}: {record.name}: {self.format(record)}"
        self._terminal.say(Text(printable(line), "dim"))


def current() -> Terminal:
    """Return the terminal of the command that runs."""
    context = click.get_current_context(silent=True)
    found = None if context is None else context.find_object(Terminal)
    return found or Terminal()


def tolerate_any_text() -> None:
    """Let stdout and stderr escape what their encoding cannot say, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
