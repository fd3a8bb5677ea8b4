# SPDX-License-Identifier: Apache-2.0
"""`Worker`: runs rows in a process of an engine, on its own thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import anyio
import anyio.abc
import attrs

from ...calls.handle import Handle
from ...errors import GradioTransportError
from ..outcome import Outcome
from ..running import first_of
from ..work import Work

IDLE_SECONDS = 60.0
"""Seconds that an idle worker of a pool keeps its connections."""


@attrs.frozen
class Task:
    """A row sent to a worker."""

    index: int
    row: Any


@attrs.frozen
class Report:
    """The report of a worker.

    Attributes:
        accepted: Handles of calls that a server has accepted and another process can fetch, by index.
        ended: Outcomes, without their rows.
        room: The most rows that the worker runs at once.
    """

    accepted: list[tuple[int, Handle]]
    ended: list[Outcome]
    room: int


class Worker:
    """A worker that runs rows on its own thread, with its own connections.

    Any thread may call its methods, without a running event loop.
    """

    def __init__(self, work: Work) -> None:
        self._runner = work.runner()
        self._lock = threading.Condition()
        self._accepted: list[tuple[int, Handle]] = []
        self._ended: dict[int, Outcome] = {}
        self._under_way: set[int] = set()
        self._failure: BaseException | None = None
        self._last: tuple[int, Report] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inbox: list[Task] = []
        self._given: asyncio.Event | None = None
        self._closed = False
        self.used_at = time.monotonic()
        self._thread = threading.Thread(target=self._main, name="gradio-transport worker", daemon=True)
        self._thread.start()

    def exchange(self, number: int, tasks: Sequence[Task], wait: float) -> Report:
        """Accept rows, and report the outcomes so far, after waiting at most `wait` seconds for news.

        Args:
            number: Number of the exchange. If it is repeated because its reply was lost, it gets the same
                report, and its rows are not started again.
            tasks: Rows to start.
            wait: Seconds.

        Raises:
            GradioTransportError: The worker cannot reach the app.
        """
        with self._lock:
            if self._last is not None and self._last[0] == number:
                return self._last[1]
            self._begin(tasks)
            self._lock.wait_for(lambda: self._accepted or self._ended or self._failure is not None, wait)
            ended = list(self._ended.values())
            accepted, self._accepted = self._accepted, []
            self._ended.clear()
            if not ended and self._failure is not None:
                raise self._failure
            report = Report(accepted, ended, self._runner.allowed)
            self._last = number, report
            return report

    def do(self, tasks: Sequence[Task]) -> Report:
        """Run rows, and return when all have ended. Several threads can share a worker."""
        wanted = {task.index for task in tasks}
        with self._lock:
            self._begin(tasks)
            self._lock.wait_for(lambda: wanted <= self._ended.keys() or self._failure is not None)
            ended = [self._ended.pop(index) for index in wanted if index in self._ended]
            self.used_at = time.monotonic()
            if self._failure is not None and len(ended) < len(wanted):
                raise self._failure
            return Report([], ended, self._runner.allowed)

    @property
    def is_busy(self) -> bool:
        """Whether rows are running."""
        with self._lock:
            return bool(self._under_way)

    def close(self) -> None:
        """End the calls and the thread."""
        with self._lock:
            self._closed = True
            self._wake()
        self._thread.join(10)

    def _begin(self, tasks: Sequence[Task]) -> None:
        self.used_at = time.monotonic()
        self._inbox.extend(tasks)
        self._under_way.update(task.index for task in tasks)
        self._wake()

    def _wake(self) -> None:
        """Make the loop read its inbox. Before the loop runs, this is not needed."""
        if self._loop is not None and self._given is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._given.set)

    async def _one(self, task: Task) -> None:
        began = time.monotonic()
        try:
            place = await self._runner.place()
        except GradioTransportError as error:
            outcome = Outcome(index=task.index, row=None, error=error, elapsed=time.monotonic() - began)
        else:
            outcome = await place.run(task.index, task.row, partial(self._accept, task.index))
        if outcome.error is not None:
            _drop_causes(outcome.error)
        with self._lock:
            self._ended[task.index] = attrs.evolve(outcome, row=None)
            self._under_way.discard(task.index)
            self._lock.notify_all()

    def _accept(self, index: int, handle: Handle) -> None:
        with self._lock:
            self._accepted.append((index, handle))
            self._lock.notify_all()

    def _main(self) -> None:
        try:
            anyio.run(self._work)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            failure = first_of(error)
        else:
            failure = RuntimeError("the worker is closed")
        _drop_causes(failure)
        with self._lock:
            self._failure = failure
            self._lock.notify_all()

    async def _work(self) -> None:
        async with anyio.create_task_group() as holding:
            await self._runner.open(holding, lambda: None)
            try:
                async with anyio.create_task_group() as calling:
                    await self._take_rows(calling)
                    calling.cancel_scope.cancel()
            finally:
                self._runner.close()

    async def _take_rows(self, calling: anyio.abc.TaskGroup) -> None:
        """Start the rows of the inbox as they arrive, until the worker is closed."""
        given = asyncio.Event()
        with self._lock:
            self._loop, self._given = asyncio.get_running_loop(), given
        while not self._closed:
            given.clear()
            with self._lock:
                tasks, self._inbox = self._inbox, []
            for task in tasks:
                calling.start_soon(self._one, task)
            if not self._closed:
                await given.wait()


def _drop_causes(error: BaseException) -> None:
    """Remove the causes of an error, because Dask would pickle them too.

    Exceptions of other libraries cannot all be pickled, and may quote what the server sent.
    """
    error.__cause__ = error.__context__ = error.__traceback__ = None


_workers: dict[str, Worker] = {}
_workers_lock = threading.Lock()


def do_in_pool(run: str, work: Work, tasks: Sequence[Task]) -> Report:
    """Run rows on this process's worker for a run, which is created on first use."""
    with _workers_lock:
        worker = _workers.get(run)
        if worker is None:
            worker = _workers[run] = Worker(work)
            threading.Thread(target=_dismiss_when_idle, args=(run,), daemon=True).start()
    return worker.do(tasks)


def dismiss(run: str) -> None:
    """Release this process's worker for a run, if any."""
    with _workers_lock:
        worker = _workers.pop(run, None)
    if worker is not None:
        worker.close()


def _dismiss_when_idle(run: str) -> None:
    while True:
        time.sleep(IDLE_SECONDS)
        with _workers_lock:
            worker = _workers.get(run)
        if worker is None:
            return
        if time.monotonic() - worker.used_at >= IDLE_SECONDS and not worker.is_busy:
            dismiss(run)
            return
