# SPDX-License-Identifier: Apache-2.0
"""``compare`` and ``page``: comparisons and pages of the results of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ..page import write_page
from ..page.comparison import compare_runs, comparison_text
from ..page.joining import join_runs
from ..run.results import RunResults, read_json

WORSE = 1
"""Exit status of a comparison in which a cell became worse."""

COMPARE_EPILOG = """\b
Exit status:
  0  no cell became worse
  1  a cell is newly wrong or no longer right, or the new run was interrupted
  2  wrong usage, or a file without results
"""

_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_output = click.Path(dir_okay=False, path_type=Path)


@click.command(epilog=COMPARE_EPILOG)
@click.argument("old", type=_file, metavar="OLD.json")
@click.argument("new", type=_file, metavar="NEW.json")
@click.option("--html", type=_output, metavar="FILE", help="Write a page that compares the runs.")
def compare(*, old: Path, new: Path, html: Path | None) -> None:
    """Show the changes between two runs: newly wrong, newly right.

    OLD.json and NEW.json are files that the option --json of the command run wrote.
    """
    runs = _read([old, new])
    comparison = compare_runs(*runs)
    click.echo(comparison_text(comparison))
    if html is not None:
        _write(runs, html, (0, 1))
    if comparison.is_worse:
        raise click.exceptions.Exit(WORSE)


@click.command()
@click.argument("results", type=_file, nargs=-1, required=True, metavar="RESULTS.json...")
@click.option("-o", "--output", type=_output, required=True, metavar="FILE", help="The page to write.")
def page(*, results: Sequence[Path], output: Path) -> None:
    """Write the results of one or several runs as one self-contained HTML page.

    RESULTS.json is a file that the option --json of the command run wrote; with --record it has the traffic,
    which the page shows. Runs of one client on different versions are shown as one run.
    """
    _write(join_runs(_read(results)), output)


def _read(paths: Sequence[Path]) -> list[RunResults]:
    try:
        return [read_json(path) for path in paths]
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.UsageError(f"{error.filename} cannot be read: {error.strerror}.") from error


def _write(runs: Sequence[RunResults], path: Path, compared: tuple[int, int] | None = None) -> None:
    try:
        write_page(runs, path, compared)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from error


__all__ = ["compare", "page"]
