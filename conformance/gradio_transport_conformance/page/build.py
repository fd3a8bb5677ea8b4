# SPDX-License-Identifier: Apache-2.0
"""Builds the page of results. Style, texts and blocks are shared with the page of a trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path

from gradio_transport.errors import one_line
from gradio_transport.trace.page.assembly import PageSource, assemble, read_part

from ..run.results import RunResults
from .document import labels, make_document, texts

GENERATOR = "gradio-transport-conformance page"

SHARED_SCRIPTS = ("text.js", "blocks.js")
SCRIPTS = ("model.js", "matrix.js", "cell.js", "results.js")


def page_parts(runs: Sequence[RunResults], compare: tuple[int, int] | None = None) -> Iterator[str]:
    """Yield the page of one or several runs in parts, in order.

    Args:
        runs: The runs, in the order of their columns.
        compare: The numbers of the runs that the page compares when it is opened: the old and the new one.
    """
    source = PageSource(
        template=_read("page.html"),
        style="\n".join([read_part("base.css"), _read("results.css")]),
        script="\n".join([*map(read_part, SHARED_SCRIPTS), *map(_read, SCRIPTS)]),
        title=one_line(f"Conformance: {', '.join(labels(runs))}"),
        generator=GENERATOR,
    )
    yield from assemble(source, texts(make_document(runs, compare)))


def build_page(runs: Sequence[RunResults], compare: tuple[int, int] | None = None) -> str:
    """Return the page of one or several runs; see `page_parts`."""
    return "".join(page_parts(runs, compare))


def write_page(
    runs: RunResults | Sequence[RunResults], path: Path, compare: tuple[int, int] | None = None
) -> None:
    """Write the page of one or several runs to a file.

    Raises:
        OSError: It cannot be written.
    """
    listed = [runs] if isinstance(runs, RunResults) else runs
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(page_parts(listed, compare))


def _read(name: str) -> str:
    return resources.files(__name__.rpartition(".")[0]).joinpath(name).read_text(encoding="utf-8")


__all__ = ["build_page", "page_parts", "write_page"]
