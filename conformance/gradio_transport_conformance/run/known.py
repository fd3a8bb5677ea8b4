# SPDX-License-Identifier: Apache-2.0
"""Lists of known failures: a run fails if an entry passes, so that the list stays current."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import attrs

from ..grading import Grade
from .results import CellResult

COMMENT = " #"


@attrs.frozen
class KnownFailure:
    """An entry of a list.

    Attributes:
        pattern: The name of a cell, or a pattern of names.
        because: The reason why it fails.
        line: The line of the entry in its file.
    """

    pattern: str
    because: str
    line: int

    def covers(self, name: str) -> bool:
        """Return whether the entry matches a cell."""
        return name == self.pattern or fnmatchcase(name, self.pattern)


@attrs.frozen
class KnownFailures:
    """A list of known failures.

    Attributes:
        path: Its file.
    """

    path: str
    entries: Sequence[KnownFailure]

    def apply(self, results: Iterable[CellResult]) -> list[CellResult]:
        """Return the results with known failures graded as such, and listed cells that pass as failures."""
        return [self._apply_to(one) for one in results]

    def _apply_to(self, result: CellResult) -> CellResult:
        entry = next((one for one in self.entries if one.covers(result.name)), None)
        if entry is None:
            return result
        if result.grade is Grade.FAIL:
            return attrs.evolve(result, grade=Grade.KNOWN_FAIL, cause=entry.because or result.cause)
        if result.grade is Grade.PASS:
            reason = f"passes, but is listed as failing in {self.path}, line {entry.line}. Remove the entry."
            cause = "passes, but is listed as failing"
            return attrs.evolve(result, grade=Grade.FAIL, cause=cause, reason=reason)
        return result

    def find_unused(self, names: Iterable[str]) -> list[str]:
        """Return a problem for each entry that matches none of the cells."""
        known = list(names)
        return [
            f"{self.path}, line {entry.line}: no cell of this run is named {entry.pattern!r}"
            for entry in self.entries
            if not any(map(entry.covers, known))
        ]


def read_known_failures(path: Path) -> KnownFailures:
    """Return the list in a file.

    Each line is the name of a cell, or a pattern such as ``6.*/queue_full``, and after `` #`` the reason.
    Empty lines, and those that begin with ``#``, are skipped.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not UTF-8.
    """
    entries: list[KnownFailure] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        pattern, _, because = line.partition(COMMENT)
        if pattern.strip() and not pattern.startswith("#"):
            entries.append(KnownFailure(pattern.strip(), because.strip(), number))
    return KnownFailures(path.name, entries)


__all__ = ["KnownFailure", "KnownFailures", "read_known_failures"]
