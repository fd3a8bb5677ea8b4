# SPDX-License-Identifier: Apache-2.0
"""`Examinations`: the work of a survey, in this process or on the workers of a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

import anyio
import anyio.abc
import attrs

from ..bulk.outcome import Outcome
from ..bulk.work import Accepted, Place, Runner
from ..calls.handle import Handle
from .examining import examine_app, unexpected
from .result import SurveyResult, result_from_json
from .settings import AT_ONCE, SurveySettings

FORMAT = "1"
"""The version of a journal's entries."""


@attrs.frozen
class Examinations:
    """Examinations of apps, one for each source."""

    settings: SurveySettings

    @property
    def subject(self) -> Mapping[str, str]:
        """A survey."""
        return {"survey": FORMAT}

    def runner(self) -> Runner:
        """Return the runner that examines apps in this process."""
        return Examiner(self.settings)

    def share(self, workers: int) -> Self:
        """Return the share of one of several workers."""
        return attrs.evolve(self, settings=self.settings.share(workers))

    def check_portable(self) -> None:
        """Do nothing: only sources may have secrets, and `survey` checks them."""

    def is_final(self, outcome: Outcome, *, redo_failed: bool) -> bool:
        """Return whether the result of an earlier run is kept: not if a worker was lost with the app."""
        if outcome.error is not None:
            return False
        return not (redo_failed and result_of(outcome).reason.is_passing)


def result_of(outcome: Outcome) -> SurveyResult:
    """Return the result in an outcome of `Examinations`."""
    if outcome.values is None:
        why = "" if outcome.error is None else outcome.error.message
        found = unexpected(str(outcome.row), why)
    else:
        found = result_from_json(outcome.values[0])
    return attrs.evolve(found, index=outcome.index, recorded=outcome.recorded)


class Examiner:
    """A runner that examines apps in this process, each on its own thread, because the doctor blocks."""

    def __init__(self, settings: SurveySettings) -> None:
        self.settings = settings
        self.allowed = settings.at_once or AT_ONCE
        self.free: anyio.Semaphore
        self._pause = 0.0 if settings.rate is None else 1 / settings.rate
        self._next = 0.0

    async def open(self, tasks: anyio.abc.TaskGroup, on_room: Callable[[], object]) -> None:
        """Create the slots for concurrent examinations."""
        self.free = anyio.Semaphore(self.allowed)

    def close(self) -> None:
        """Do nothing."""

    def check(self) -> None:
        """Do nothing: an app that fails is a result."""

    def has_room(self) -> bool:
        """Return whether another app may be examined now."""
        return self.free.value > 0

    async def place(self) -> Place:
        """Wait until another app may be examined."""
        await self.free.acquire()
        try:
            await self._wait_for_rate()
        except BaseException:
            self.free.release()
            raise
        return _Place(self)

    async def _wait_for_rate(self) -> None:
        now = time.monotonic()
        begin = max(now, self._next)
        self._next = begin + self._pause
        if begin > now:
            await anyio.sleep(begin - now)

    async def attach(self, handle: Handle, index: int, row: Any) -> Outcome | None:
        """Return None: an examination cannot be fetched later."""
        return None


@attrs.define
class _Place:
    examiner: Examiner
    may_have_run: bool = False

    def release(self) -> None:
        """Release the slot."""
        self.examiner.free.release()

    async def run(self, index: int, row: Any, accepted: Accepted | None) -> Outcome:
        """Examine an app on a thread, and release the slot."""
        loop, stopped = asyncio.get_running_loop(), threading.Event()
        found: asyncio.Future[SurveyResult] = loop.create_future()

        def hand_over(result: SurveyResult) -> None:
            if not found.done():
                found.set_result(result)

        def examine() -> None:
            result = examine_app(row, index, self.examiner.settings, stopped)
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the run over
                loop.call_soon_threadsafe(hand_over, result)

        # A daemon thread, because an abandoned examination must not block the exit of the program.
        threading.Thread(target=examine, name="gradio-transport-survey", daemon=True).start()
        try:
            result = await found
        finally:
            stopped.set()
            self.release()
        return Outcome(
            index=index, row=row, values=[result.as_json()], elapsed=result.seconds, source=result.url
        )
