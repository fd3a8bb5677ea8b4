# SPDX-License-Identifier: Apache-2.0
"""The changes between two runs, cell by cell."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence

import attrs

from gradio_transport.errors import visible

from ..grading import Grade
from ..run.results import WORDS, CellResult, RunResults

_SHOWN = 200
"""The number of cells that are listed for each change."""

_LONGEST = 200


class Change(enum.StrEnum):
    """The change of a cell. The page uses the same names."""

    NEWLY_WRONG = "newly wrong"
    NO_LONGER_RIGHT = "no longer right"
    """It was right, and is now off tape, cannot, or a known failure."""
    NEWLY_RIGHT = "newly right"
    OTHER = "other change"
    OTHER_CAUSE = "other cause"
    """It is wrong in both runs, for another cause."""
    ADDED = "only in the new run"
    REMOVED = "only in the old run"


WORSE = (Change.NEWLY_WRONG, Change.NO_LONGER_RIGHT)
"""The changes for the worse."""


@attrs.frozen
class ChangedCell:
    """A cell that is not the same in both runs.

    Attributes:
        old: Its result in the old run; None: it was not played.
        new: Its result in the new run; None: it was not played.
    """

    change: Change
    old: CellResult | None
    new: CellResult | None

    @property
    def name(self) -> str:
        """Name of the cell."""
        found = self.new or self.old
        return found.name if found else ""


@attrs.frozen
class Comparison:
    """The changes between two runs.

    Attributes:
        changed: The cells that differ, in the order of the new run; cells of only the old run are last.
        same: The number of cells that are the same.
    """

    old: RunResults
    new: RunResults
    changed: Sequence[ChangedCell]
    same: int

    @property
    def is_worse(self) -> bool:
        """Whether a cell became worse, or the new run is incomplete."""
        return not self.new.complete or any(cell.change in WORSE for cell in self.changed)


def compare_runs(old: RunResults, new: RunResults) -> Comparison:
    """Compare two runs. Cells are the same if their kinds and names are."""
    before = {(cell.kind, cell.name): cell for cell in old.cells}
    after = {(cell.kind, cell.name): cell for cell in new.cells}
    changed = [
        ChangedCell(change, before.get(key), after.get(key))
        for key in [*after, *(key for key in before if key not in after)]
        if (change := _change(before.get(key), after.get(key))) is not None
    ]
    return Comparison(old, new, changed, len({*before, *after}) - len(changed))


def _change(old: CellResult | None, new: CellResult | None) -> Change | None:
    if old is None:
        return Change.ADDED
    if new is None:
        return Change.REMOVED
    if old.grade is new.grade:
        is_other = new.grade is Grade.FAIL and old.cause != new.cause
        return Change.OTHER_CAUSE if is_other else None
    if new.grade is Grade.FAIL:
        return Change.NEWLY_WRONG
    if old.grade is Grade.PASS:
        return Change.NO_LONGER_RIGHT
    return Change.NEWLY_RIGHT if new.grade is Grade.PASS else Change.OTHER


def comparison_text(comparison: Comparison) -> str:
    """Return a comparison as text."""
    return "\n".join(_lines(comparison))


def _lines(comparison: Comparison) -> Iterator[str]:
    yield f"old: {_run_line(comparison.old)}"
    yield f"new: {_run_line(comparison.new)}"
    if not comparison.new.complete:
        yield "The new run was interrupted: cells may be missing."
    for change in Change:
        cells = [cell for cell in comparison.changed if cell.change is change]
        if cells:
            yield ""
            yield f"{change.value.capitalize()}: {len(cells)}"
            yield from map(_cell_line, cells[:_SHOWN])
            if len(cells) > _SHOWN:
                yield f"  and {len(cells) - _SHOWN} more"
    counts = [f"{sum(cell.change is one for cell in comparison.changed)} {one.value}" for one in Change]
    shown = [count for count in counts if not count.startswith("0 ")]
    yield ""
    yield f"{', '.join([*shown, f'{comparison.same} unchanged'])}"


def _run_line(run: RunResults) -> str:
    return visible(", ".join(filter(None, (run.client, run.language, run.started))))


def _cell_line(cell: ChangedCell) -> str:
    was = WORDS[cell.old.grade] if cell.old else "not played"
    now = WORDS[cell.new.grade] if cell.new else "not played"
    cause = f"  ({cell.new.cause})" if cell.new and cell.new.cause else ""
    return visible(f"  {cell.name}: {was} -> {now}{cause}"[:_LONGEST])


__all__ = ["WORSE", "Change", "ChangedCell", "Comparison", "compare_runs", "comparison_text"]
