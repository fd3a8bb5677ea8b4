# SPDX-License-Identifier: Apache-2.0
"""Assembly of a trace's page: a template, a style, a script, and the data of the trace."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import one_line
from ..diagnosis.diagnose import diagnose
from ..lint import Source, lint_trace
from ..reader import Trace
from ..timeline.reading import Timeline, timeline
from .assembly import PageSource, assemble, read_part
from .document import Remark, make_document, texts

GENERATOR = "gradio-transport trace page"

SCRIPTS = ("text", "blocks", "data", "json", "edits", "time", "list", "details", "page")
"""The files of the script, in order. They are one script in the page."""

STYLES = ("base.css", "page.css")


def page_parts(trace: Trace, name: str, *, check: bool = True) -> Iterator[str]:
    """Yield the page of a trace in parts, in order.

    Args:
        trace: The trace.
        name: The name of its file, to show.
        check: Show the findings of `lint_trace`. It replays the trace, which takes much memory where values
            grow message by message: about the size of all values together.
    """
    line = timeline(trace)
    remarks = [*_diagnoses(trace, line), *(_findings(trace, line) if check else ())]
    document = make_document(trace, line, name, remarks, checked=check)
    gradio = str(trace.meta.get("gradio") or "of unknown version")
    adapters = ", ".join(line.adapters) or "no adapter"
    calls = f"{len(line.calls)} call{'' if len(line.calls) == 1 else 's'}"
    source = PageSource(
        template=read_part("page.html"),
        style="\n".join(read_part(name) for name in STYLES),
        script="\n".join(read_part(f"{name}.js") for name in SCRIPTS),
        title=one_line(f"{name}: Gradio {gradio}, {adapters}, {calls}"),
        generator=GENERATOR,
    )
    yield from assemble(source, texts(document))


def build_page(trace: Trace, name: str, *, check: bool = True) -> str:
    """Return the page of a trace; see `page_parts`."""
    return "".join(page_parts(trace, name, check=check))


def _diagnoses(trace: Trace, line: Timeline) -> Iterator[Remark]:
    for one in diagnose(trace, line=line):
        yield Remark("diagnosis", one.where, one.text, one.advice, one.session, one.key, one.frames)


def _findings(trace: Trace, line: Timeline) -> Iterator[Remark]:
    for one in lint_trace(trace, line=line):
        if one.source is not Source.OUTCOME:  # the diagnosis says more
            yield Remark(one.severity.value, one.where, one.what, one.hint, one.session, one.key, one.frames)


def is_page(beginning: str) -> bool:
    """Return whether a text is the beginning of a page of a trace."""
    return f'<meta name="generator" content="{GENERATOR}">' in beginning


__all__ = ["GENERATOR", "build_page", "is_page", "page_parts"]
