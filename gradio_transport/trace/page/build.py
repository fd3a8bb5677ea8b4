# SPDX-License-Identifier: Apache-2.0
"""Puts the page of a trace together: a template, a style, a script, and the data of the trace.

The data comes from servers that may be hostile. It is in the page as base64 in blocks that no browser runs,
and the policy of the page (Content-Security-Policy) allows this script and this style by their hashes, and
nothing else: no other script, no request, no frame, no form.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterator
from importlib import resources

from ...errors import one_line
from ..diagnosis.diagnose import diagnose
from ..lint import Source, lint_trace
from ..reader import Trace
from ..timeline.reading import Timeline, timeline
from .document import Remark, make_document, texts

GENERATOR = "gradio-transport trace page"

SCRIPTS = ("text", "data", "json", "edits", "time", "list", "details", "page")
"""The files of the script, in order. They are one script in the page."""

_SLOT = re.compile(r"\{\{(\w+)\}\}")


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
    style = _file("page.css")
    script = "\n".join(_file(f"{part}.js") for part in SCRIPTS)
    slots = {
        "policy": html.escape(_policy(style, script)),
        "generator": GENERATOR,
        "title": html.escape(one_line(f"{name}: Gradio {gradio}, {adapters}, {calls}")),
        "style": style,
        "script": script,
    }
    # A template is split, and not filled in by replacement: no text is ever read twice.
    for place, part in enumerate(_SLOT.split(_file("page.html"))):
        if not place % 2:
            yield part
        elif part == "blocks":
            for identifier, text in texts(document):
                yield f'<script type="text/plain" id="{identifier}">{text}</script>\n'
        else:
            yield slots[part]


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


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def _file(name: str) -> str:
    return resources.files(__name__.rpartition(".")[0]).joinpath(name).read_text(encoding="utf-8")


__all__ = ["GENERATOR", "build_page", "is_page", "page_parts"]
