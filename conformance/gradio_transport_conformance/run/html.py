# SPDX-License-Identifier: Apache-2.0
"""The results of a run as a plain page, made of nothing but what `results.write_json` writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path

from .results import WORDS, CellResult, RunResults
from .summary import counts_line

_STYLE = (
    "body{font:14px system-ui;margin:2em;max-width:75em}td,th{text-align:left;padding:.2em .6em;"
    "vertical-align:top}pre{white-space:pre-wrap;background:#8882;padding:.5em}"
)


def write_html(results: RunResults, path: Path) -> None:
    """Write the results to a file."""
    path.write_text("\n".join(_page(results)), encoding="utf-8", errors="backslashreplace")


def _page(results: RunResults) -> Iterator[str]:
    title = escape(f"{results.client}: conformance")
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    yield f"<style>{_STYLE}</style><h1>{title}</h1>"
    facts = (counts_line(results.cells), results.started, results.language)
    yield f"<p>{escape('; '.join(filter(None, facts)))}</p>"
    yield "<table><tr><th>version<th>case<th>grade<th>why</tr>"
    for cell in results.cells:
        yield f"<tr><td>{escape(cell.row)}<td>{escape(cell.column)}<td>{WORDS[cell.grade]}"
        yield f"<td><details><summary>{escape(cell.cause or 'details')}</summary>"
        yield f"{_details(cell)}</details></tr>"
    yield "</table></html>"


def _details(cell: CellResult) -> str:
    parts = {
        "why": cell.reason,
        "expected": "\n".join(cell.expected),
        "source": cell.source,
        "task": json.dumps(cell.task, indent=1, default=repr) if cell.task else "",
        "answer": json.dumps(cell.answer, indent=1, default=repr) if cell.answer else "",
        "noticed by the server": "\n".join(cell.findings),
        "off tape": "\n".join(cell.off_tape),
        "output of the driver": cell.output,
    }
    return "".join(f"<h4>{name}</h4><pre>{escape(text)}</pre>" for name, text in parts.items() if text)


__all__ = ["write_html"]
