# SPDX-License-Identifier: Apache-2.0
"""`RemoteRunner`: sends rows to workers, and receives their reports."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import anyio
import anyio.abc
import anyio.to_thread
import attrs

from ...calls.handle import Handle
from ...errors import GradioTransportError, Phase, TransportError
from ..controller import FIRST
from ..outcome import Outcome
from ..running import WorkerLost
from ..work import Accepted, Place, Runner, Work
from .worker import Report, Task

logger = logging.getLogger(__name__)

REPLACEMENTS = 3
"""The most lost workers that one run replaces. If a worker dies repeatedly, its rows are the cause."""


class Gone(Exception):
    """The worker or the whole engine is lost."""


class Hand(Protocol):
    """The connection of the run to a worker. Its methods block; one thread at a time calls them."""

    def exchange(self, tasks: Sequence[Task]) -> Report:
        """Send rows to the worker, and wait for a while for its report.

        Raises:
            Gone: The worker is lost.
        """
        ...

    def close(self) -> None:
        """Release the worker."""


class Engine(Protocol):
    """An engine that has workers."""

    def start(self, work: Work) -> list[Hand]:
        """Start the workers."""
        ...

    def replace(self) -> Hand | None:
        """Start a worker in place of a lost one, if there is room."""
        ...

    def close(self) -> None:
        """Release the workers of `start`; the engine itself belongs to the caller."""


@attrs.define
class _Job:
    """A row of a worker, sent or not."""

    task: Task
    accepted: Accepted | None
    done: anyio.Event = attrs.field(factory=anyio.Event)
    outcome: Outcome | None = None


@attrs.define(eq=False)
class _Member:
    """A worker, and the rows that it has."""

    hand: Hand
    room: int
    outbox: deque[_Job] = attrs.field(factory=deque[_Job])
    held: dict[int, _Job] = attrs.field(factory=dict[int, _Job])
    reserved: int = 0
    given: anyio.Event = attrs.field(factory=anyio.Event)

    @property
    def load(self) -> int:
        """The number of its rows, including reserved slots."""
        return self.reserved + len(self.outbox) + len(self.held)


class RemoteRunner:
    """A runner that runs the rows on the workers of an engine."""

    def __init__(self, engine: Engine, work: Work) -> None:
        self._engine = engine
        self._work = work
        self._members: list[_Member] = []
        self._changed = anyio.Event()
        self._replaced = self._replacing = 0
        self._failure: GradioTransportError | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self._serving = anyio.CancelScope()
        self._local: Runner | None = None
        self._opening = anyio.Lock()
        self._on_room: Callable[[], object] = lambda: None

    @property
    def allowed(self) -> int:
        """The most rows that the workers run at once."""
        return sum(member.room for member in self._members)

    async def open(self, tasks: anyio.abc.TaskGroup, on_room: Callable[[], object]) -> None:
        """Start the workers."""
        self._tasks, self._on_room = tasks, on_room
        hands = await anyio.to_thread.run_sync(self._engine.start, self._work)
        at_once = self._work.settings.at_once
        first = FIRST if at_once is None else math.ceil(at_once / len(hands))
        self._members = [_Member(hand, first) for hand in hands]
        tasks.start_soon(self._serve_all)

    def close(self) -> None:
        """Release the workers."""
        self._serving.cancel()
        if self._local is not None:
            self._local.close()

    def check(self) -> None:
        """Raise the error of the workers if they cannot reach the app."""
        if self._failure is not None:
            raise self._failure

    async def _serve_all(self) -> None:
        try:
            with self._serving:
                async with anyio.create_task_group() as serving:
                    for member in self._members:
                        serving.start_soon(self._serve, member, serving)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._let_go)

    def _let_go(self) -> None:
        for member in self._members:
            member.hand.close()
        self._engine.close()

    async def _serve(self, member: _Member, serving: anyio.abc.TaskGroup) -> None:
        """Send a worker its rows and receive its reports, until it is lost."""
        while True:
            if not member.outbox and not member.held:
                member.given = anyio.Event()
                await member.given.wait()
            jobs = [member.outbox.popleft() for _ in range(len(member.outbox))]
            member.held |= {job.task.index: job for job in jobs}
            try:
                report = await anyio.to_thread.run_sync(
                    member.hand.exchange, [job.task for job in jobs], abandon_on_cancel=True
                )
            except Gone as gone:
                await self._lose(member, str(gone), serving)
                return
            except GradioTransportError as error:
                self._failure = error
                await self._lose(member, str(error), serving)
                return
            self._take(member, report)

    def _take(self, member: _Member, report: Report) -> None:
        member.room = report.room
        for index, handle in report.accepted:
            job = member.held.get(index)
            if job is not None and job.accepted is not None:
                job.accepted(handle)
        for outcome in report.ended:
            job = member.held.pop(outcome.index, None)
            if job is not None:
                job.outcome = attrs.evolve(outcome, row=job.task.row)
                job.done.set()
        self._wake()

    async def _lose(self, member: _Member, why: str, serving: anyio.abc.TaskGroup) -> None:
        logger.warning("a worker was lost with %d rows: %s", len(member.held) + len(member.outbox), why)
        self._members.remove(member)
        for job in [*member.held.values(), *member.outbox]:
            self._end_lost(job, why, sent=job.task.index in member.held)
        if self._failure is None and self._replaced < REPLACEMENTS:
            self._replaced += 1
            self._replacing += 1
            hand = await anyio.to_thread.run_sync(self._engine.replace)
            self._replacing -= 1
            if hand is not None:
                another = _Member(hand, member.room)
                self._members.append(another)
                serving.start_soon(self._serve, another, serving)
                self._on_room()
        self._wake()

    def _end_lost(self, job: _Job, why: str, *, sent: bool) -> None:
        error: GradioTransportError
        if self._failure is not None:
            error = self._failure
        else:
            error = WorkerLost(
                f"The worker that had the row was lost: {why}",
                phase=Phase.STREAM,
                retryable=not sent,
                may_have_run=sent,
            )
        job.outcome = Outcome(
            index=job.task.index,
            row=job.task.row,
            error=error,
            attempts=int(sent),
            may_have_run=error.may_have_run,
        )
        job.done.set()

    def _wake(self) -> None:
        self._changed.set()

    def has_room(self) -> bool:
        """Return whether a worker can accept another row."""
        return any(member.load < member.room for member in self._members)

    async def place(self) -> Place:
        """Wait until a worker can accept another row.

        Raises:
            GradioTransportError: There is no worker left, or they cannot reach the app.
        """
        while True:
            if self._failure is not None:
                raise self._failure
            if not self._members and not self._replacing:
                raise TransportError(
                    "All workers of the run are lost. With a journal, the next run continues."
                )
            free = [member for member in self._members if member.load < member.room]
            if free:
                member = min(free, key=lambda one: one.load)
                member.reserved += 1
                return _RemotePlace(self, member)
            if self._changed.is_set():
                self._changed = anyio.Event()
            await self._changed.wait()

    async def attach(self, handle: Handle, index: int, row: object) -> Outcome | None:
        """Fetch a call by its handle, from this process.

        Raises:
            GradioTransportError: This process cannot reach the app.
        """
        async with self._opening:
            if self._local is None and self._tasks is not None:
                local = self._work.runner()
                await local.open(self._tasks, lambda: None)
                self._local = local
        return None if self._local is None else await self._local.attach(handle, index, row)


@attrs.define
class _RemotePlace:
    """A slot of a worker."""

    runner: RemoteRunner
    member: _Member
    may_have_run: bool = True

    def release(self) -> None:
        """Release the slot."""
        self.member.reserved -= 1
        self.runner._wake()

    async def run(self, index: int, row: object, accepted: Accepted | None) -> Outcome:
        """Send the row to the worker, and wait for its outcome."""
        job = _Job(Task(index, row), accepted)
        self.release()
        if self.member not in self.runner._members:
            self.runner._end_lost(job, "it was lost before the row was sent", sent=False)
        else:
            self.member.outbox.append(job)
            self.member.given.set()
            await job.done.wait()
        assert job.outcome is not None  # noqa: S101 - set with the event
        return job.outcome
