# SPDX-License-Identifier: Apache-2.0
"""The selection of a run: versions and cases, and cells of faults, chosen by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

import attrs

from gradio_transport.errors import did_you_mean

from ..cases import Case, all_cases, numbers
from ..faults.cases import Cell, load_cells
from ..traces import folder, versions


class SelectionError(ValueError):
    """A text of the caller selects nothing. The message lists the choices."""


@attrs.frozen
class CaseCell:
    """A case on a version."""

    version: str
    case: Case

    @property
    def name(self) -> str:
        """The name in reports."""
        return f"{self.version}/{self.case.name}"


@attrs.frozen
class FaultCell:
    """A fault in a phase of a protocol."""

    cell: Cell

    @property
    def name(self) -> str:
        """The name in reports."""
        return self.cell.name


@attrs.frozen
class TraceCell:
    """One of the caller's own traces."""

    path: Path

    @property
    def name(self) -> str:
        """The name in reports."""
        return f"{self.path.parent.name}/{self.path.stem}"


PlannedCell: TypeAlias = CaseCell | FaultCell | TraceCell


def select_versions(text: str) -> list[str]:
    """Return the recorded versions that a text names, oldest first.

    Args:
        text: Versions with commas between them: ``3.50.2``, a prefix ``4``, a range ``4..6`` (both
            included, ``6`` with all that begins with it), an open one ``4..``; or ``all``.

    Raises:
        SelectionError: A part names no recorded version.
    """
    recorded = versions()
    if text.strip() in ("all", ""):
        return recorded
    chosen: set[str] = set()
    for part in filter(None, (one.strip() for one in text.split(","))):
        first, dots, last = part.partition("..")
        if not all(re.fullmatch(r"\d+(\.\d+)*|", one) for one in (first, last)) or part == "..":
            raise SelectionError(
                f"{part!r} is not a version. Pass one such as 6.31.0, or a range such as 4..6."
            )
        found = [
            one
            for one in recorded
            if (numbers(first) <= numbers(one) and (not last or _is_up_to(one, last)))
            if dots or _begins_with(one, first)
        ]
        if not found:
            raise SelectionError(
                f"Version {part} was not recorded. The recorded versions are {', '.join(recorded)}."
            )
        chosen.update(found)
    return sorted(chosen, key=numbers)


def _begins_with(version: str, prefix: str) -> bool:
    wanted = prefix.split(".")
    return version.split(".")[: len(wanted)] == wanted


def _is_up_to(version: str, last: str) -> bool:
    return numbers(version) <= numbers(last) or _begins_with(version, last)


def select_cases(text: str) -> list[Case]:
    """Return the cases of patterns with commas between them, ``count,cancel_*``, or of a group, ``files``.

    Raises:
        SelectionError: A pattern names none.
    """
    cases = list(all_cases())
    if text.strip() in ("all", "*", ""):
        return cases
    chosen: set[str] = set()
    for pattern in filter(None, (one.strip() for one in text.split(","))):
        found = {case.name for case in cases if fnmatchcase(case.name, pattern)}
        found = found or {case.name for case in cases if case.group == pattern}
        if not found:
            near = did_you_mean(pattern, [case.name for case in cases])
            advice = "`gradio-transport-conformance list` prints all cases."
            raise SelectionError(f"There is no case {pattern!r}.{near} {advice}")
        chosen |= found
    return [case for case in cases if case.name in chosen]


def select_faults(patterns: Sequence[str]) -> list[Cell]:
    """Return the cells of faults that match any of the patterns, or ``all``.

    Args:
        patterns: Of the cell's whole name (``sse_v3 | join | *``), of the fault (``503*``), or words that all
            must be its protocol, adapter, kind or phase: ``websocket join``.

    Raises:
        SelectionError: A pattern matches none.
    """
    cells = list(load_cells())
    chosen: dict[str, Cell] = {}
    for pattern in patterns:
        found = [cell for cell in cells if pattern == "all" or _fits(cell, pattern)]
        if not found:
            near = did_you_mean(pattern, [cell.name for cell in cells])
            advice = "`gradio-transport-conformance list --faults` prints all faults."
            raise SelectionError(f"There is no fault {pattern!r}.{near} {advice}")
        chosen.update({cell.name: cell for cell in found})
    return list(chosen.values())


def _fits(cell: Cell, pattern: str) -> bool:
    if pattern in (cell.name, cell.fault.name):
        return True
    if fnmatchcase(cell.name, pattern) or fnmatchcase(cell.fault.name, pattern):
        return True
    protocol = cell.protocol
    return set(pattern.split()) <= {protocol.name, protocol.adapter, protocol.kind, cell.phase}


def plan_cases(chosen: Sequence[str], cases: Sequence[Case]) -> list[CaseCell]:
    """Return the cells of versions and cases that were recorded, or that the version does not support."""
    return [
        CaseCell(version, case)
        for version in chosen
        for case in cases
        if case.applies(version)
        and (case.unsupported(version) is not None or (folder(version) / f"{case.name}.jsonl").is_file())
    ]


def find_traces(path: Path) -> list[TraceCell]:
    """Return the traces in a folder and below it, or the one in a file.

    Raises:
        SelectionError: There is none.
    """
    found = [path] if path.is_file() else sorted(path.rglob("*.jsonl"))
    if not found:
        raise SelectionError(f"There is no trace (*.jsonl) in {path}.")
    return [TraceCell(one) for one in found]


__all__ = [
    "CaseCell", "FaultCell", "PlannedCell", "SelectionError", "TraceCell", "find_traces", "plan_cases",
    "select_cases", "select_faults", "select_versions",
]  # fmt: skip
