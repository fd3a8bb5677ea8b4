# SPDX-License-Identifier: Apache-2.0
"""The data of a page of results, as JSON: an index for the matrices, and blocks with the cells' details.

The script of the page reads no other data; `VERSION` changes with the format. Cells of one case are
neighbours in a block, because they differ little between versions and so compress well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import attrs

from gradio_transport.trace.page.blocks import Blocks, encode_block

from ..cases import all_cases, numbers
from ..grading import Grade
from ..run.results import WORDS, CellResult, RunResults
from .limits import TEXT, cut, json_text
from .wire import wire_log

VERSION: Final = 1

LETTERS: Final[Mapping[Grade, str]] = {
    Grade.PASS: "P",
    Grade.FAIL: "F",
    Grade.KNOWN_FAIL: "K",
    Grade.OFF_TAPE: "O",
    Grade.CANNOT: "C",
    Grade.UNSUPPORTED: "U",
}
NO_CELL: Final = "."

_NAME: Final = 300
_REMARKS: Final = 40
"""The number of findings, and of requests off tape, that a cell shows."""


@attrs.frozen
class Document:
    """The data of a page.

    Attributes:
        index: The text of the index.
        cells: The details of each cell.
    """

    index: str
    cells: Blocks


@attrs.frozen
class _Column:
    """A column of a matrix: a run, and a version or a protocol."""

    run: int
    row: str


def make_document(runs: Sequence[RunResults], compare: tuple[int, int] | None = None) -> Document:
    """Return the data of a page.

    Args:
        runs: The runs, in the order of their columns.
        compare: The numbers of the runs that the page compares when it is opened: the old and the new one.
    """
    cells, strings = Blocks(), dict[str, int]()
    matrices = [
        made for kind in ("case", "fault") if (made := _matrix(kind, runs, cells, strings)) is not None
    ]
    cells.flush()
    index = {
        "version": VERSION,
        "runs": [_run(run, label) for run, label in zip(runs, labels(runs), strict=True)],
        "words": {LETTERS[grade]: word for grade, word in WORDS.items()},
        "matrices": matrices,
        "strings": list(strings),
        "blocks": cells.starts,
        "compare": compare,
    }
    return Document(json.dumps(index, separators=(",", ":"), allow_nan=False), cells)


def labels(runs: Sequence[RunResults]) -> list[str]:
    """Return a name for each run: its client, with the date or a number if the client is not unique."""
    names = [cut(run.client, _NAME) for run in runs]
    dated = [
        f"{name}, {run.started[:16].replace('T', ' ')}" if names.count(name) > 1 and run.started else name
        for name, run in zip(names, runs, strict=True)
    ]
    return [f"{name} ({place + 1})" if dated.count(name) > 1 else name for place, name in enumerate(dated)]


def _run(run: RunResults, label: str) -> dict[str, Any]:
    return {
        "label": label,
        "language": cut(run.language, _NAME),
        "way": run.way,
        "serve": run.serve,
        "kit": cut(run.kit, _NAME),
        "started": cut(run.started, _NAME),
        "seconds": round(run.seconds, 1),
        "complete": run.complete,
        "problems": [cut(one, TEXT) for one in run.problems[:_REMARKS]],
    }


def _matrix(
    kind: str, runs: Sequence[RunResults], blocks: Blocks, strings: dict[str, int]
) -> dict[str, Any] | None:
    found: dict[tuple[str, _Column], CellResult] = {}
    for number, run in enumerate(runs):
        for cell in run.cells:
            if cell.kind == kind:
                found[cell.column, _Column(number, cell.row)] = cell
    if not found:
        return None
    rows = _ordered_rows(kind, dict.fromkeys(name for name, _ in found))
    columns = sorted({column for _, column in found}, key=lambda one: (one.run, _order(one.row)))
    grades, causes, first = list[str](), list[list[int]](), list[int]()
    count = blocks.count
    for name, _, _ in rows:
        mine = [found.get((name, column)) for column in columns]
        grades.append("".join(LETTERS[cell.grade] if cell else NO_CELL for cell in mine))
        causes.append([_string(cell.cause, strings) if cell and cell.cause else -1 for cell in mine])
        first.append(count)
        for cell in filter(None, mine):
            count = blocks.add(_detail(cell)) + 1
    return {
        "kind": kind,
        "rows": [[cut(text, _NAME) for text in row] for row in rows],
        "columns": [[column.run, cut(column.row, _NAME)] for column in columns],
        "grades": grades,
        "causes": causes,
        "first": first,
    }


def _ordered_rows(kind: str, names: Mapping[str, None]) -> list[tuple[str, str, str]]:
    """Return name, group and subject of each row, in the suite's order; unknown ones are last."""
    if kind == "case":
        known = {case.name: (case.name, case.group, case.about) for case in all_cases()}
        rows = [row for name, row in known.items() if name in names]
        return [*rows, *((name, "other", "") for name in names if name not in known)]
    rows = [(name, name.partition(" | ")[0], "") for name in names]
    phases = {group: place for place, group in enumerate(dict.fromkeys(row[1] for row in rows))}
    return sorted(rows, key=lambda row: phases[row[1]])


def _order(row: str) -> tuple[bool, tuple[int, ...], str]:
    """Return the sort key of versions; protocols are in the order of their names."""
    if len(row) > _NAME or not row[:1].isdecimal():
        return False, (), row
    return True, numbers(row), row


def _string(text: str, strings: dict[str, int]) -> int:
    return strings.setdefault(cut(text, _NAME), len(strings))


def _detail(cell: CellResult) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": cut(cell.name, _NAME),
        "reason": cut(cell.reason, TEXT),
        "expected": [cut(one, TEXT) for one in cell.expected[:_REMARKS]],
        "source": cut(cell.source, TEXT),
        "task": json_text(_without(cell.task, "type", "id")),
        "answer": json_text(_without(cell.answer, "id")),
        "findings": [cut(one, _NAME) for one in cell.findings[:_REMARKS]],
        "off_tape": [cut(one, _NAME) for one in cell.off_tape[:_REMARKS]],
        "output": cut(cell.output, TEXT),
        "seconds": round(cell.seconds, 3),
        "wire": wire_log(cell.trace),
    }
    return {name: value for name, value in fields.items() if value}


def _without(value: Any, *names: str) -> Any:
    """Return a JSON object without the fields that the name of the cell repeats."""
    if not isinstance(value, Mapping):
        return value
    return {key: one for key, one in cast("Mapping[str, Any]", value).items() if key not in names}


def texts(document: Document) -> list[tuple[str, str]]:
    """Return the identifier and the text of each block of the page."""
    blocks = [(f"cells-{number}", text) for number, text in enumerate(document.cells.encoded)]
    return [("index", encode_block(document.index)), *blocks]


__all__ = ["VERSION", "Document", "labels", "make_document", "texts"]
