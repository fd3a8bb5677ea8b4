# SPDX-License-Identifier: Apache-2.0
"""The interface of a player: it plays cells and returns their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import attrs

from ..faults.cases import Cell
from ..grading import Grade
from .causes import cause_of
from .results import CellResult
from .selection import CaseCell, FaultCell
from .serving import ServeMode
from .tasks import describe_step, places, source_of


@attrs.frozen(kw_only=True)
class Identity:
    """The program that is graded.

    Attributes:
        name: Its name, with the version.
        language: Its language, with the version.
    """

    name: str
    language: str = ""


class Player(Protocol):
    """Plays cells. Each worker of a run has one of its own."""

    @property
    def identity(self) -> Identity:
        """The program that is graded."""
        ...

    def play_case(self, cell: CaseCell) -> CellResult:
        """Play a case on a version that supports it."""
        ...

    def play_fault(self, cell: FaultCell) -> CellResult:
        """Play a fault."""
        ...

    def close(self) -> None:
        """Release the player's resources."""
        ...


MakePlayer = Callable[[], Player]


def case_result(cell: CaseCell, grade: Grade, **fields: Any) -> CellResult:
    """Return the result of a case."""
    steps = [step for group in cell.case.steps_for(cell.version) for step in group]
    reason = str(fields.pop("reason", ""))
    return CellResult(
        name=cell.name,
        kind="case",
        row=cell.version,
        column=cell.case.name,
        grade=grade,
        cause=fields.pop("cause", "") or (cause_of(reason) if grade is not Grade.PASS else ""),
        reason=reason,
        expected=[describe_step(step) for step in steps],
        source=source_of(cell.case, cell.version),
        **fields,
    )


def fault_result(cell: FaultCell, problems: Sequence[str], **fields: Any) -> CellResult:
    """Return the result of a fault from its problems; `grade` overrides the grade that follows from them."""
    found: Cell = cell.cell
    grade = fields.pop("grade", Grade.FAIL if problems else Grade.PASS)
    reason = fields.pop("reason", "; ".join(problems))
    return CellResult(
        name=found.name,
        kind="fault",
        row=found.protocol.name,
        column=f"{found.phase} | {found.fault.name}",
        grade=grade,
        cause=fields.pop("cause", "") or (cause_of(reason) if grade is not Grade.PASS else ""),
        reason=reason,
        expected=[f'/count("x") returns {found.value}' if found.expect.value is True else f"{found.expect}"],
        source=f"faults, {found.fault.name}",
        **fields,
    )


SEVERAL_APPS = "the recording has several apps, of which only one can be served"
"""Why the bytes of some cases of Gradio 2.x cannot be served."""


def can_serve(cell: CaseCell, mode: ServeMode) -> bool:
    """Return whether the recording of a case can be served in a given mode."""
    return mode is ServeMode.MESSAGES or len(places(cell.version, cell.case.name).sources) <= 1


__all__ = [
    "SEVERAL_APPS", "Identity", "MakePlayer", "Player", "can_serve", "case_result", "fault_result",
]  # fmt: skip
