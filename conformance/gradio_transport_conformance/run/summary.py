# SPDX-License-Identifier: Apache-2.0
"""The results of a run as text: counts by row, then the wrong cells, grouped by cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from gradio_transport.errors import visible

from ..grading import Grade
from .results import WORDS, CellResult, RunResults

_SHOWN_CELLS = 5
_LONGEST_REASON = 300


def counts_line(cells: Sequence[CellResult]) -> str:
    """Return the number of cells with each grade: ``46 right, 8 wrong, 10 cannot``."""
    counted = {grade: sum(cell.grade is grade for cell in cells) for grade in WORDS}
    always = (Grade.PASS, Grade.FAIL)
    return ", ".join(
        f"{count} {WORDS[grade]}" for grade, count in counted.items() if count or grade in always
    )


def summary(results: RunResults) -> str:
    """Return the results as text."""
    lines = [_heading(results), "", *_table(results.cells)]
    for grade, title in (
        (Grade.FAIL, "Wrong"),
        (Grade.OFF_TAPE, "Off tape (the recording has no reply)"),
        (Grade.CANNOT, "Cannot"),
        (Grade.KNOWN_FAIL, "Known failures"),
    ):
        chosen = [cell for cell in results.cells if cell.grade is grade]
        if chosen:
            lines += ["", f"{title}: {len(chosen)}", *_by_cause(chosen, with_reasons=grade is Grade.FAIL)]
    findings = _findings(results.cells)
    if findings:
        lines += ["", "Findings of the servers (not graded)", *findings]
    if results.problems:
        lines += ["", *results.problems]
    if not results.complete:
        lines += ["", "The run was interrupted: not all cells were played."]
    lines += ["", f"{counts_line(results.cells)} in {results.seconds:.1f} s"]
    return "\n".join(lines)


def _heading(results: RunResults) -> str:
    language = f", {results.language}" if results.language else ""
    served = f", recordings served as {results.serve}" if results.serve else ""
    return f"{visible(results.client)}{visible(language)}{served}"


def _table(cells: Sequence[CellResult]) -> Iterator[str]:
    """Yield a row for each version, and for each protocol of the faults."""
    shown = [grade for grade in WORDS if any(cell.grade is grade for cell in cells)]
    if not shown:
        yield "Nothing was played."
        return
    rows = list(dict.fromkeys((cell.kind, cell.row) for cell in cells))
    names = {key: key[1] if key[0] == "case" else f"faults {key[1]}" for key in rows}
    width = max(7, *map(len, names.values()))
    yield " ".join(
        ["version".ljust(width), *(WORDS[grade].rjust(max(7, len(WORDS[grade]))) for grade in shown)]
    )
    for key in rows:
        mine = [cell for cell in cells if (cell.kind, cell.row) == key]
        numbers = [sum(cell.grade is grade for cell in mine) for grade in shown]
        yield " ".join(
            [
                names[key].ljust(width),
                *(
                    str(number or "-").rjust(max(7, len(WORDS[grade])))
                    for grade, number in zip(shown, numbers, strict=True)
                ),
            ]
        )


def _by_cause(cells: Sequence[CellResult], *, with_reasons: bool) -> Iterator[str]:
    groups = [(cause, list(group)) for cause, group in groupby(sorted(cells, key=_cause), key=_cause)]
    for cause, group in sorted(groups, key=lambda one: -len(one[1])):
        yield f"  {len(group):4}  {visible(cause)}"
        named = ", ".join(cell.name for cell in group[:_SHOWN_CELLS])
        more = f" and {len(group) - _SHOWN_CELLS} more" if len(group) > _SHOWN_CELLS else ""
        yield f"        {visible(named)}{more}"
        if with_reasons:
            yield f"        e.g. {_shorten(group[0].reason)}"
            if group[0].output:
                yield f"        output: {_shorten(group[0].output[-_LONGEST_REASON:])}"


def _cause(cell: CellResult) -> str:
    return cell.cause or "no reason"


def _shorten(text: str) -> str:
    line = visible(" ".join(text.split()))
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}…"


def _findings(cells: Sequence[CellResult]) -> Iterator[str] | list[str]:
    found = [finding for cell in cells for finding in cell.findings]
    counted = sorted(((found.count(one), one) for one in dict.fromkeys(found)), reverse=True)
    return [f"  {count:4}  {_shorten(finding)}" for count, finding in counted]


__all__ = ["counts_line", "summary"]
