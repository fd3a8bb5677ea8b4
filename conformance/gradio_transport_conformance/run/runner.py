# SPDX-License-Identifier: Apache-2.0
"""Plays a plan by several workers, and keeps the order of the results."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from typing import Protocol, runtime_checkable

import attrs

from ..driver.process import DriverFailure
from ..grading import Grade
from .players import MakePlayer, Player, case_result, fault_result
from .results import CellResult
from .selection import CaseCell, FaultCell, PlannedCell, TraceCell


@runtime_checkable
class TracePlayer(Protocol):
    """A player that accepts the caller's own traces."""

    def play_trace(self, cell: TraceCell) -> CellResult:
        """Play a trace."""
        ...


@attrs.define(eq=False)
class _Players:
    """The players of a run; each worker takes one for a cell, so there are as many players as workers."""

    make: MakePlayer
    _idle: queue.LifoQueue[Player] = attrs.field(factory=lambda: queue.LifoQueue[Player]())

    def take(self) -> Player:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self.make()

    def give_back(self, player: Player) -> None:
        self._idle.put(player)

    def close(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()


def run_plan(
    plan: Sequence[PlannedCell],
    first: Player,
    make: MakePlayer,
    *,
    jobs: int = 1,
    on_result: Callable[[CellResult], None] = lambda _: None,
) -> tuple[list[CellResult], bool]:
    """Play cells, and return their results in the order of the plan, and whether all were played.

    Args:
        plan: The cells.
        first: A player, which is closed at the end.
        make: Creates one more for each additional worker.
        jobs: The number of workers.
        on_result: Called with each result as it arrives, in the caller's thread.

    Ctrl-C ends the run early: cells in progress are completed, the others are left out.
    """
    players = _Players(make)
    players.give_back(first)
    results: dict[int, CellResult] = {}
    complete = True
    with ThreadPoolExecutor(jobs, thread_name_prefix="conformance") as pool:
        futures: dict[Future[CellResult], int] = {
            pool.submit(_play, players, cell): place for place, cell in enumerate(plan)
        }
        try:
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                on_result(future.result())
        except KeyboardInterrupt:
            complete = False
            pool.shutdown(wait=True, cancel_futures=True)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            players.close()
    return [results[place] for place in sorted(results)], complete


def _play(players: _Players, cell: PlannedCell) -> CellResult:
    if isinstance(cell, CaseCell):
        why_not = cell.case.unsupported(cell.version)
        if why_not is not None:
            return case_result(cell, Grade.UNSUPPORTED, reason=why_not)
    try:
        player = players.take()
    except DriverFailure as error:
        return _failed(cell, error.cause, str(error))
    try:
        return _play_with(player, cell)
    except Exception as error:  # noqa: BLE001 - one cell must not end the run
        return _failed(
            cell, f"error of the suite: {type(error).__name__}", f"{type(error).__name__}: {error}"
        )
    finally:
        players.give_back(player)


def _play_with(player: Player, cell: PlannedCell) -> CellResult:
    if isinstance(cell, CaseCell):
        return player.play_case(cell)
    if isinstance(cell, FaultCell):
        return player.play_fault(cell)
    if isinstance(player, TracePlayer):
        return player.play_trace(cell)
    raise TypeError("only an adapter can be graded by your own traces")


def _failed(cell: PlannedCell, cause: str, reason: str) -> CellResult:
    if isinstance(cell, CaseCell):
        return case_result(cell, Grade.FAIL, cause=cause, reason=reason)
    if isinstance(cell, FaultCell):
        return fault_result(cell, [reason], cause=cause)
    return CellResult(
        name=cell.name,
        kind="case",
        row=cell.path.parent.name,
        column=cell.path.stem,
        grade=Grade.FAIL,
        cause=cause,
        reason=reason,
    )


__all__ = ["TracePlayer", "run_plan"]
