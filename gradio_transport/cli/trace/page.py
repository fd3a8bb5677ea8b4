# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace page``."""

from __future__ import annotations

import os
import tempfile
import webbrowser
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import click

from ...trace import Trace
from ...trace.page import is_page, page_parts
from ..terminal import current_terminal, write
from .files import STANDARD_INPUT, read_each, title, trace_arguments

_UNCHECKED_BYTES = 16_000_000
"""Larger traces are checked only on request, because the check keeps the values of all messages."""

_HEAD_CHARACTERS = 2000
"""The mark by which a page of this library is recognized."""


@click.command()
@trace_arguments
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help="The page to write; a directory for several traces; - is standard output.",
)
@click.option(
    "--check/--no-check",
    default=None,
    help="Show the findings of lint. On by default up to 16 MB of traffic.",
)
@click.option("--open", "opens", is_flag=True, help="Open the page in a browser.")
def page(*, paths: tuple[str, ...], output: str | None, check: bool | None, opens: bool) -> None:
    """Write a trace as an HTML page: a timeline of the calls, and each request, event and frame.

    The page is one file. It loads nothing, and a browser opens it from disk. Its default name is that of the
    trace with .html. It contains everything in the trace: check it before you share it.

    An existing page of that name is replaced, but no other file.

    \b
    Example:
      gradio-transport trace page stall.jsonl -o timeline.html
    """  # noqa: D301 - click reads the character
    targets = _targets(paths, output)
    for path, trace, target in zip(paths, read_each(paths), targets, strict=True):
        parts = page_parts(trace, Path(title(path)).name, check=_is_small(trace) if check is None else check)
        if target is None:
            for part in parts:
                write(part)
            continue
        save_page(target, parts)
        cut = ", of a trace that is cut off within a line" if trace.truncated else ""
        current_terminal().print_line((f"{target}: {target.stat().st_size / 1e6:.1f} MB{cut}", ""))
        if opens:
            open_page(target)


def _targets(paths: tuple[str, ...], output: str | None) -> list[Path | None]:
    """Return the path of each page; None is standard output."""
    if output == STANDARD_INPUT:
        if len(paths) > 1:
            raise click.UsageError("Standard output takes one page. Give a directory with -o for several.")
        return [None]
    if output is None and STANDARD_INPUT in paths:
        raise click.UsageError("A trace from standard input has no name. Name the page with -o.")
    folder = Path(output) if output is not None and Path(output).is_dir() else None
    if output is not None and folder is None:
        if len(paths) > 1:
            raise click.UsageError(
                f"{output} is not a directory. Several traces make several pages, which need one."
            )
        targets = [Path(output)]
    else:
        names = [Path("trace" if path == STANDARD_INPUT else path).with_suffix(".html") for path in paths]
        targets = [folder / name.name if folder is not None else name for name in names]
    if len(set(targets)) < len(targets):
        raise click.UsageError(
            "Two traces have the same name, and so would their pages. Write them one by one with -o."
        )
    for target in targets:
        check_target(target)
    return list(targets)


def check_target(target: Path, advice: str = "Give another name with -o.") -> None:
    """Refuse to replace a file that is not the page of a trace.

    Args:
        target: The path of the page to write.
        advice: The last sentence of the error.

    Raises:
        click.UsageError: It is not such a page.
    """
    if not target.exists():
        return
    ours = False
    if target.is_file():
        with suppress(OSError), target.open(encoding="utf-8", errors="replace") as file:
            ours = is_page(file.read(_HEAD_CHARACTERS))
    if not ours:
        raise click.UsageError(f"{target} exists and is not the page of a trace. {advice}")


def save_page(target: Path, parts: Iterable[str]) -> None:
    """Write a page atomically, readable only by this user, as a new trace is.

    Raises:
        click.UsageError: The file cannot be written.
    """
    try:
        number, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(number, "w", encoding="utf-8", newline="\n") as file:
                file.writelines(parts)
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise click.UsageError(f"{target} cannot be written: {error.strerror or error}.") from error


def open_page(target: Path) -> None:
    """Open a page in the user's browser. Print the path of the page if there is no browser."""
    if not webbrowser.open(target.absolute().as_uri()):
        text = f"No browser can be opened here. Open the file in one: {target.absolute()}"
        current_terminal().print_line((text, "yellow"))


def _is_small(trace: Trace) -> bool:
    size = 0
    for frame in trace.frames:
        for name in ("body", "data", "text"):
            value = frame.payload.get(name)
            size += len(value) if isinstance(value, str | bytes) else 0
    return size <= _UNCHECKED_BYTES
