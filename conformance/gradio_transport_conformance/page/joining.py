# SPDX-License-Identifier: Apache-2.0
"""Joins runs of one client that were made in parts, such as one version at a time."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from ..run.results import RunResults

_ALIKE = ("client", "language", "way", "serve", "kit")


def join_runs(runs: Iterable[RunResults]) -> list[RunResults]:
    """Return the runs; those of one client are joined if they were served alike and have no cell twice."""
    joined: list[RunResults] = []
    for run in runs:
        place = next((place for place, one in enumerate(joined) if _are_parts(one, run)), None)
        if place is None:
            joined.append(run)
        else:
            joined[place] = _join(joined[place], run)
    return joined


def _are_parts(one: RunResults, other: RunResults) -> bool:
    if any(
        getattr(one, name) != getattr(other, name) for name in ("client", "language", "way", "serve", "kit")
    ):
        return False
    return {(cell.kind, cell.name) for cell in one.cells}.isdisjoint(
        (cell.kind, cell.name) for cell in other.cells
    )


def _join(one: RunResults, other: RunResults) -> RunResults:
    return attrs.evolve(
        one,
        cells=[*one.cells, *other.cells],
        started=min(filter(None, (one.started, other.started)), default=""),
        seconds=one.seconds + other.seconds,
        complete=one.complete and other.complete,
        problems=[*one.problems, *other.problems],
    )


__all__ = ["join_runs"]
