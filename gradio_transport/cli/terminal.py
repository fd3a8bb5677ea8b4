# SPDX-License-Identifier: Apache-2.0
"""The two output streams: stdout for data, stderr for people.

Texts of a server reach a terminal only through `shown` and `Terminal.print_text`, which escape control
characters. `write` and `Terminal.print_json` get either escaped JSON, or a text that goes to a pipe
unchanged.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Sequence
from typing import TypeAlias

import attrs
import click
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text

from .text import INDENT, printable, shorten

_COLOURED_CHARACTERS = 100_000
"""Longer JSON is printed without colours: colouring 1 MB takes seconds."""

Part: TypeAlias = tuple[str, str]
"""A text and its style, which may be empty."""

OWN_LOGGER = __name__.partition(".")[0]
"""The parent of all loggers of this library."""


def _make_console(*, stderr: bool) -> Console:
    """Return a console that prints text as it is: rich would read server text as markup and emoji."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def shown(*parts: Part) -> Text:
    """Return text for a terminal, `printable` in every part."""
    return Text.assemble(*((printable(part), style) for part, style in parts))


def write(text: str) -> None:
    """Write data to stdout, and flush it, because a pipe would buffer growing text."""
    sys.stdout.write(text)
    sys.stdout.flush()


@attrs.define
class Terminal:
    """The output streams of one run of the command.

    Attributes:
        verbosity: How often ``-v`` was given.
    """

    out: Console = attrs.field(factory=lambda: _make_console(stderr=False))
    err: Console = attrs.field(factory=lambda: _make_console(stderr=True))
    verbosity: int = 0

    @property
    def shows_data(self) -> bool:
        """Whether stdout is a terminal. rich is wrong about pipes under ``FORCE_COLOR``."""
        return sys.stdout.isatty()

    @property
    def shows_status(self) -> bool:
        """Whether stderr is a terminal that can redraw a line."""
        return sys.stderr.isatty() and not self.err.is_dumb_terminal

    def print_line(self, *parts: Part, to: Console | None = None) -> None:
        """Print a message of bounded length, by default to stderr, indented from its second line on.

        Why wrap it here: a terminal does not indent the lines that it wraps.
        """
        console = to or self.err
        text = shown(*((shorten(part), style) for part, style in parts))
        if console.file.isatty():
            text = _hang(text, console)
        console.print(text, soft_wrap=True)

    def print_text(self, text: str) -> None:
        """Print an output to stdout."""
        write(printable(text))

    def print_json(self, text: str) -> None:
        """Print JSON from `to_json` to stdout. Line ends in values are escaped."""
        if len(text) > _COLOURED_CHARACTERS:
            write(text + "\n")
        else:
            self.out.print(JSONHighlighter()(Text(text)), soft_wrap=True)

    def set_verbosity(self, count: int) -> None:
        """Log to stderr: at 1 requests and events, at 2 every detail of this library.

        Other libraries log warnings only: at lower levels they log headers, and URLs with their queries.
        """
        self.verbosity = max(self.verbosity, count)
        if self.verbosity:
            logger, root, handler = logging.getLogger(OWN_LOGGER), logging.getLogger(), _LogLines(self)
            before = logger.level
            root.addHandler(handler)
            logger.setLevel(logging.INFO if self.verbosity == 1 else logging.DEBUG)
            context = click.get_current_context()
            context.call_on_close(lambda: root.removeHandler(handler))
            context.call_on_close(lambda: logger.setLevel(before))


class _LogLines(logging.Handler):
    """A handler that prints log records through the console, which keeps the live status line below them."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{record.levelname.lower()}: {record.name}: {self.format(record)}"
        self._terminal.print_line((line, "dim"))


def _hang(text: Text, console: Console) -> Text:
    """Return text wrapped to a terminal, with the lines after the first indented."""
    whole = Text()
    for line in text.wrap(console, max(console.width - len(INDENT), 1)):
        line.rstrip()
        if whole.plain:
            whole.append("\n" if line.plain.startswith(INDENT) else f"\n{INDENT}")
        whole.append_text(line)
    return whole


def stack(lines: Sequence[Text]) -> Text:
    """Return lines one below the other."""
    return Text("\n").join(lines)


def current_terminal() -> Terminal:
    """Return the terminal of the running command."""
    context = click.get_current_context(silent=True)
    found = None if context is None else context.find_object(Terminal)
    return found or Terminal()


def tolerate_any_text() -> None:
    """Make stdout and stderr escape characters that their encoding lacks, instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
