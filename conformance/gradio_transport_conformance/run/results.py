# SPDX-License-Identifier: Apache-2.0
"""The results of a run, as data for reports, and their JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import attrs

from ..grading import Grade
from .bodies import BodyTable, Unfolding

FORMAT = "gradio-transport-conformance-results"
VERSION = 2
"""The version of the format. Version 1, which can also be read, has each trace as one text, and no bodies."""

WORDS: Mapping[Grade, str] = {
    Grade.PASS: "right",
    Grade.FAIL: "wrong",
    Grade.KNOWN_FAIL: "known",
    Grade.OFF_TAPE: "off tape",
    Grade.CANNOT: "cannot",
    Grade.UNSUPPORTED: "unsupported",
}
"""The names of the grades in a summary, in its order."""


@attrs.frozen(kw_only=True)
class CellResult:
    """The result of one cell: a case on a version, or a fault in a phase of a protocol.

    Attributes:
        name: Name of the cell: ``6.31.0/count``, or ``sse_v3 | join | 503 with json``.
        kind: ``case`` or ``fault``.
        row: The version, or the protocol of a fault.
        column: The case, or the fault and its phase.
        cause: Why it is not right, in a few words that other cells may share.
        reason: The same in full.
        expected: The expected result, one line for each step.
        source: The file of the expectation, and the reason for it.
        task: The task; None: none was sent.
        answer: The client's answer.
        findings: The server's observations of the client. They are not graded.
        off_tape: Requests for which the recording has no reply.
        output: The driver's output outside the protocol.
        seconds: The duration.
        trace: The traffic, as a trace of the project's format, if it was recorded.
    """

    name: str
    kind: str
    row: str
    column: str
    grade: Grade
    cause: str = ""
    reason: str = ""
    expected: Sequence[str] = ()
    source: str = ""
    task: Mapping[str, Any] | None = None
    answer: Any = None
    findings: Sequence[str] = ()
    off_tape: Sequence[str] = ()
    output: str = ""
    seconds: float = 0.0
    trace: str | None = None


@attrs.frozen(kw_only=True)
class RunResults:
    """A run.

    Attributes:
        client: Name and version of the graded program.
        language: Its language, with the version.
        way: How it was graded: ``client``, ``face`` or ``adapter``.
        serve: ``bytes`` or ``messages``; empty if no recordings were served.
        kit: Version of the suite.
        started: When, in UTC, as ISO 8601.
        seconds: How long it took.
        complete: Whether all planned cells were played.
        problems: Problems of the run itself, such as entries of the known failures that match no cell.
    """

    client: str
    cells: Sequence[CellResult]
    language: str = ""
    way: str = "client"
    serve: str = ""
    kit: str = ""
    started: str = ""
    seconds: float = 0.0
    seed: int = 0
    complete: bool = True
    problems: Sequence[str] = ()

    def counts(self) -> dict[Grade, int]:
        """Return the number of cells with each grade."""
        counted = Counter(cell.grade for cell in self.cells)
        return {grade: counted[grade] for grade in WORDS}

    @property
    def is_right(self) -> bool:
        """Whether no cell is wrong and the run has no problems."""
        return not self.problems and not any(cell.grade is Grade.FAIL for cell in self.cells)


def to_json(results: RunResults) -> dict[str, Any]:
    """Return the results as a JSON object. Texts that traces share are in its ``bodies``, once."""
    body: dict[str, Any] = attrs.asdict(results, value_serializer=lambda _, __, value: _plain(value))
    table = BodyTable()
    for cell in body["cells"]:
        if cell["trace"] is not None:
            cell["trace"] = table.fold(cell["trace"])
    return {"format": FORMAT, "version": VERSION, **body, "bodies": table.bodies}


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Grade) else value


def write_json(results: RunResults, path: Path) -> None:
    """Write the results to a file."""
    text = json.dumps(to_json(results), ensure_ascii=False, indent=1, default=repr)
    path.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def read_json(path: Path) -> RunResults:
    """Return the results in a file.

    Raises:
        ValueError: The file has no results, or those of a later version.
    """
    try:
        value: Any = json.loads(path.read_text("utf-8"))
        if value["format"] != FORMAT:
            raise ValueError("it has another format")
        version = value["version"]
        if version not in (1, VERSION):
            raise ValueError(f"its format has version {version!r:.40}, and this suite reads 1 to {VERSION}")
        fields = cast("dict[str, Any]", value)
        traces = Unfolding(fields["bodies"]) if version == VERSION else None
        cells = [_read_cell(one, traces) for one in fields["cells"]]
        known = {field.name for field in attrs.fields(RunResults)}
        rest: dict[str, Any] = {name: one for name, one in fields.items() if name in known}
        rest["cells"] = cells
        return RunResults(**rest)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} does not contain the results of a run: {error}") from None


def _read_cell(value: dict[str, Any], traces: Unfolding | None) -> CellResult:
    fields: dict[str, Any] = {**value, "grade": Grade(value["grade"])}
    if traces is not None and fields["trace"] is not None:
        fields["trace"] = traces.unfold(fields["trace"])
    return CellResult(**fields)


__all__ = ["WORDS", "CellResult", "RunResults", "read_json", "to_json", "write_json"]
