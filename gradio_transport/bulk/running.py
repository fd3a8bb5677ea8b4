# SPDX-License-Identifier: Apache-2.0
"""`Run`: reads rows, runs them, keeps the journal, and delivers outcomes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, TypeAlias, cast

import anyio
import anyio.abc
import anyio.from_thread
import attrs

from ..calls.handle import Handle
from ..errors import GradioTransportError, Phase, StreamLost
from .journal import Entry, Journal
from .outcome import Outcome
from .rows import END, RowSource, digest, row_source
from .work import Accepted, Place, Runner, Work

logger = logging.getLogger(__name__)

WINDOW = 256
"""The most rows that are started but not yet taken by the caller, to bound the memory."""


_Job: TypeAlias = tuple[int, Any, str, Place]
"""A row with its index, its digest, and its slot."""


class Run:
    """One run over rows.

    Args:
        rows: The source of the rows.
        work: The work for each row.
        runner: Runs the work.
        journal: Path of the journal, or None.
        in_order: Whether outcomes are delivered in the order of the rows.
        redo_failed: Whether rows that failed in an earlier run are repeated.
        deliver: Receives each outcome, and must not wait.
    """

    def __init__(
        self,
        rows: Any,
        work: Work,
        runner: Runner,
        *,
        journal: Any,
        in_order: bool,
        redo_failed: bool,
        deliver: Callable[[Outcome], None],
    ) -> None:
        self._rows = rows
        self._work = work
        self._runner = runner
        self._settings = work.settings
        self._journal_path = journal
        self._journal: Journal | None = None
        self._redo_failed = redo_failed
        self._deliver = _InOrder(deliver) if in_order else deliver
        self._turn = anyio.Lock()
        self._spare = 0  # tasks without a row
        self._add_task: Callable[[], object] = lambda: None
        self._index = 0
        self._stopped = False
        self._failure: Exception | None = None
        self._untaken = 0
        self._window = max(WINDOW, 2 * (self._settings.at_once or 0))
        self._taken = anyio.Event()
        self._reading: anyio.CancelScope | None = None
        self._running = anyio.CancelScope()

    async def run(self) -> None:
        """Run all rows, and return when the last outcome is delivered."""
        with self._running:
            if self._journal_path is not None:
                self._journal = Journal(self._journal_path, self._work.subject)
            try:
                async with _unwrapped(), anyio.create_task_group() as holding:
                    await self._runner.open(holding, lambda: self._add_task())
                    try:
                        async with anyio.from_thread.BlockingPortal() as portal:
                            await self._call_all(row_source(self._rows, portal))
                    finally:
                        self._runner.close()
            finally:
                if self._journal is not None:
                    self._journal.close()

    def stop(self) -> None:
        """Start no further row. Running rows continue to their end."""
        self._stopped = True
        if self._reading is not None:
            self._reading.cancel()

    def cancel(self) -> None:
        """End at once. Running calls are cancelled, or left to a later run that has their handles."""
        self._running.cancel()

    def take(self, count: int = 1) -> None:
        """Count outcomes that the caller has taken."""
        self._untaken -= count
        self._taken.set()

    async def _call_all(self, source: RowSource) -> None:
        try:
            async with anyio.create_task_group() as calling:
                self._add_task = partial(self._start_task, source, calling)
                self._add_task()
        finally:
            source.close()
        if self._failure is not None:
            raise self._failure
        self._runner.check()

    def _start_task(self, source: RowSource, calling: anyio.abc.TaskGroup) -> None:
        """Start a task that runs rows, unless one is already waiting for a row."""
        if not self._spare and not self._stopped:
            self._spare += 1
            calling.start_soon(self._do_rows, source, calling)

    async def _do_rows(self, source: RowSource, calling: anyio.abc.TaskGroup) -> None:
        """Run one row after the other, in parallel with other tasks. Start another task while there is room.

        Why not one task that reads the rows for the others: each row would take two more turns of the loop.
        """
        while True:
            job = await self._next(source, calling)
            self._spare -= 1
            if job is None:
                return
            if self._runner.has_room():
                self._add_task()
            await self._do(*job)
            self._spare += 1

    async def _next(self, source: RowSource, calling: anyio.abc.TaskGroup) -> _Job | None:
        """Return the next row to call, with a slot; None if there is none, or the run stops.

        An error that prevents further calls is stored. Raised here, it would cancel the running rows, which
        would then be in doubt.
        """
        try:
            self._turn.acquire_nowait()
        except anyio.WouldBlock:
            await self._turn.acquire()
        job: _Job | None = None
        try:
            while job is None and not self._stopped:
                if self._is_ready(source):
                    job = await self._read(source, calling)
                else:
                    with anyio.CancelScope() as self._reading:
                        job = await self._read(source, calling)
        except Exception as error:  # noqa: BLE001 - raised once the rows under way have ended
            self._failure, self._stopped = error, True
        finally:
            self._reading = None
            self._turn.release()
        return job

    def _is_ready(self, source: RowSource) -> bool:
        """Return whether `_read` will not wait, so that it needs no scope for `stop` to cancel."""
        return (
            self._untaken < self._window
            and source.is_ready()
            and self._runner.has_room()
            and self._settings.rate is None
        )

    async def _read(self, source: RowSource, calling: anyio.abc.TaskGroup) -> _Job | None:
        """Read a row, and return it with a slot; None if it already has an outcome, or at the end."""
        while self._untaken >= self._window:
            self._taken = anyio.Event()
            await self._taken.wait()
        row = await source.next()
        if row is END:
            self._stopped = True
            return None
        index, self._index = self._index, self._index + 1
        key = "" if self._journal is None else digest(row)
        entry = None if self._journal is None else self._journal.entry(index, row, key)
        recorded = self._recorded(entry)
        if recorded is not None:
            self._untaken += 1
            self._deliver(recorded)
        elif entry is not None and entry.outcome is None:
            self._untaken += 1
            calling.start_soon(self._resolve, index, row, key, entry)
        else:
            place = await self._runner.place()
            self._untaken += 1
            return index, row, key, place
        return None

    def _recorded(self, entry: Entry | None) -> Outcome | None:
        """Return the outcome of an earlier run, if it is kept."""
        outcome = None if entry is None else entry.outcome
        if outcome is None or self._work.is_final(outcome, redo_failed=self._redo_failed):
            return outcome
        return None

    async def _do(self, index: int, row: Any, key: str, place: Place) -> None:
        """Run a row, and run it again if it was lost and may be repeated."""
        attempts, is_settled = 0, True
        while True:
            if self._journal is not None:
                self._journal.started(index, key)
            handle: list[Handle] = []
            try:
                outcome = await place.run(index, row, self._accept(index, handle))
            except BaseException:
                if self._journal is not None and not place.may_have_run and not attempts:
                    self._journal.forget(index)
                raise
            attempts += outcome.attempts
            if outcome.error is None or not isinstance(outcome.error, WorkerLost):
                break
            found, is_settled = await self._fetch(handle[-1] if handle else None, index, row)
            if found is not None:
                outcome = found
                break
            another = await self._place_again(outcome, attempts)
            if another is None:
                break
            place = another
        if attempts != outcome.attempts:
            outcome = attrs.evolve(outcome, attempts=attempts)
        self._end(outcome, is_settled=is_settled)

    async def _fetch(self, handle: Handle | None, index: int, row: Any) -> tuple[Outcome | None, bool]:
        """Fetch a call that was lost here. Return its outcome, and whether that is final for later runs."""
        if handle is None:
            return None, True
        try:
            return await self._runner.attach(handle, index, row), True
        except GradioTransportError as error:
            logger.warning("row %d cannot be fetched now: %s", index, error)
            return None, False

    async def _place_again(self, outcome: Outcome, attempts: int) -> Place | None:
        """Return a slot for a row whose worker was lost, if there is one and the row may be called again."""
        if outcome.may_have_run and not (self._settings.repeatable and attempts < self._settings.attempts):
            return None
        try:
            return await self._runner.place()
        except GradioTransportError:
            return None  # the reader of the rows ends the run with this error

    def _accept(self, index: int, handle: list[Handle]) -> Accepted | None:
        if self._settings.late is False:
            return None

        def accepted(given: Handle) -> None:
            handle.append(given)
            if self._journal is not None:
                self._journal.accepted(index, given)

        return accepted

    async def _resolve(self, index: int, row: Any, key: str, entry: Entry) -> None:
        """Complete a row that an earlier run started: fetch it, or call it again if it may be repeated."""
        outcome, is_settled = await self._fetch(entry.handle, index, row)
        if outcome is None:
            error = StreamLost(
                "An earlier run ended during this call, and its result cannot be fetched any more. The "
                "function may have run. To call it again anyway, declare it repeatable.",
                phase=Phase.STREAM,
                may_have_run=True,
            )
            outcome = Outcome(index=index, row=row, error=error, attempts=0, may_have_run=True)
            place = await self._place_again(outcome, 0)
            if place is not None:
                await self._do(index, row, key, place)
                return
        self._end(outcome, is_settled=is_settled)

    def _end(self, outcome: Outcome, *, is_settled: bool) -> None:
        """Deliver an outcome. One that is not settled stays in the journal unchanged, for a later run."""
        if self._journal is not None and is_settled:
            self._journal.ended(outcome)
        self._deliver(outcome)


class WorkerLost(StreamLost):
    """A worker of the engine ended while it had the row; the function may have run."""


class _InOrder:
    """A buffer that delivers outcomes in the order of their rows."""

    def __init__(self, deliver: Callable[[Outcome], None]) -> None:
        self._deliver = deliver
        self._waiting: dict[int, Outcome] = {}
        self._next = 0

    def __call__(self, outcome: Outcome) -> None:
        self._waiting[outcome.index] = outcome
        while (following := self._waiting.pop(self._next, None)) is not None:
            self._next += 1
            self._deliver(following)


class _unwrapped:  # noqa: N801 - used as a statement
    """Raise the first error of a task group, which ended the others, instead of the group."""

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, BaseExceptionGroup):
            raise first_of(cast("BaseException", error)) from None


def first_of(error: BaseException) -> BaseException:
    """Return the first error in a group of any depth, or an error that is not a group."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error
