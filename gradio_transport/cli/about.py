# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport explain`` and ``gradio-transport adapters``: which protocol, and why."""

from __future__ import annotations

import textwrap

import click
from rich.table import Table

from ..adapter.registry import default_registry
from ..errors import UnsupportedProtocol, one_line, visible
from .call import find_endpoint
from .options import Connection, connection_options
from .terminal import current_terminal, shown, write
from .text import INDENT

_REASON_COLUMN = 21
"""The column of the reasons in the lines that `explain` returns."""


@click.command()
@click.argument("source")
@click.argument("endpoint", required=False)
@connection_options
def explain(connection: Connection, *, source: str, endpoint: str | None) -> None:
    """Show which protocol each endpoint uses, and why."""
    with connection.open(source) as app:
        chosen = None if endpoint is None else find_endpoint(app.config, endpoint)
        which = None if chosen is None else chosen.name or chosen.fn_index
        text = app.explain(which)
    terminal = current_terminal()
    write(visible(_wrap(text, terminal.out.width) if terminal.shows_data else text) + "\n")


def _wrap(text: str, width: int) -> str:
    """Return lines wrapped at words, with a hanging indent."""
    return "\n".join(
        textwrap.fill(
            line,
            max(width, 2 * _REASON_COLUMN),
            subsequent_indent=" " * _REASON_COLUMN if line.startswith(" ") else INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.splitlines()
    )


@click.command()
def adapters() -> None:
    """List the installed adapters and their packages."""
    rows = [(name, default_registry.package(name), _purpose(name)) for name in default_registry.names()]
    terminal = current_terminal()
    if not terminal.shows_data:
        write("".join(f"{name:12} {package}  {purpose}\n" for name, package, purpose in rows))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for heading in ("Adapter", "Package", "Protocol"):
        table.add_column(heading)
    for name, package, purpose in rows:
        table.add_row(shown((name, "cyan")), shown((package, "")), shown((purpose, "dim")))
    terminal.out.print(table)


def _purpose(name: str) -> str:
    try:
        documentation = type(default_registry.get(name)).__doc__ or ""
    except UnsupportedProtocol as error:
        return one_line(error.message)
    return one_line(documentation.strip().partition("\n")[0].replace("``", ""))
