# SPDX-License-Identifier: Apache-2.0
"""The async connection to one app. It performs steps, and holds the task group."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import anyio.abc
import anyio.to_thread

from ..calls import steps
from ..calls.app import App
from ..calls.failures import hide_secrets
from ..calls.steps import OtherStep, Steps
from ..engines.base import AsyncEngine, StreamEnded, engine_name
from ..engines.interruptions import find_foreign
from ..errors import GradioTransportError, LocalProtocolError, Phase
from ..files.disk import read_upload
from ..files.upload import ReadFile, ReadServerFile
from ..protocol.commands import Closed, Ending, Response
from .files import AsyncRemoteFile
from .waiters import runs_on_asyncio

logger = logging.getLogger(__name__)

T = TypeVar("T")

CLOSE_SECONDS = 1.0
"""Seconds for closing the connections, even if no time is left."""

TELL_SECONDS = 2.0
"""Seconds that closing waits for pending cancel requests."""

REQUESTS_AT_ONCE = 32
"""The most concurrent joins, polls and cancellations.

A thousand new connections at once would overload the server's accept queue and the pool.
"""


class Connection:
    """A performer of the steps of requests and sessions, each in the requesting task."""

    def __init__(self, app: App, engine: AsyncEngine) -> None:
        self.app = app
        self.engine = engine
        app.engine = engine_name(engine)
        app.identity.connections = getattr(engine, "connections", None)
        if os.environ.get("GRADIO_TRANSPORT_TRACE"):  # imports the trace package only if needed
            from ..trace.environment import record_as_environment_says

            record_as_environment_says(app.taps)
        self.closed = self.collected = False
        self.on_asyncio = runs_on_asyncio()
        self.tasks: anyio.abc.TaskGroup | None = None
        self._ended: anyio.Event | None = None
        self._turns = anyio.Semaphore(REQUESTS_AT_ONCE)
        self._exclusive = anyio.Lock()
        self._telling: set[anyio.CancelScope] = set()
        self._tell_until = math.inf

    async def hold(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Hold the task group of the transport.

        Why not the caller's own group: `aclose` inside the caller's block must end these tasks only.
        """
        self._ended = anyio.Event()
        try:
            async with anyio.create_task_group() as self.tasks:
                task_status.started()
                await anyio.sleep_forever()
        finally:
            self._ended.set()

    def spawn(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Run work in a task of the transport. An exception is logged, and ends only the task."""
        if self.tasks is None or self.closed:
            raise LocalProtocolError(
                "The transport is closed, or not entered yet. Use it inside its 'async with' block."
            )
        self.tasks.start_soon(_run_job, work, *arguments)

    def tell(self, steps: Steps[Any]) -> anyio.Event:
        """Send a cancellation to the server, in its own task. Return an event that is set afterwards."""
        told = anyio.Event()
        if self.tasks is None or self._ended is None or self._ended.is_set():
            told.set()
        else:
            # Shielded, because the caller's block may be cancelled.
            scope = anyio.CancelScope(shield=True, deadline=self._tell_until)
            self._telling.add(scope)
            self.tasks.start_soon(_run_job, self._tell, steps, scope, told)
        return told

    async def _tell(self, steps: Steps[Any], scope: anyio.CancelScope, told: anyio.Event) -> None:
        try:
            with scope:
                await self.run(steps)
        finally:
            self._telling.discard(scope)
            told.set()

    async def run(self, sequence: Steps[T]) -> T:
        """Perform steps until the sequence ends, and return its result."""
        try:
            step = next(sequence)
            while True:
                try:
                    # Why not in `_perform`: each chunk of a stream passes each coroutine.
                    if isinstance(step, steps.Read):
                        result = await anext(step.chunks, _END)
                    else:
                        result = await self._perform(step)
                except StreamEnded as ended:  # for drivers only, so from `anext`
                    step = sequence.send(ended.closed)
                except BaseException as error:  # noqa: BLE001
                    # Any exception is thrown into the sequence, so that the sequence can clean up.
                    step = sequence.throw(find_foreign(error) or error)
                else:
                    step = sequence.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value
        except GradioTransportError as error:
            hide_secrets(error, self.app.secrets)
            raise

    async def _perform(self, step: OtherStep) -> Any:
        match step:
            case steps.Operation():
                return await step.perform(self.engine)
            case steps.Send():
                return await self._send(step)
            case steps.Pause():
                if step.waiter is not None:
                    return not await step.waiter.wait(step.seconds)
                await anyio.sleep(step.seconds)
                return not self.closed
            case steps.Use():
                try:
                    return await self.run(step.steps)
                finally:
                    if step.chunks is not None:
                        await step.chunks.aclose()
                    await step.live.aclose()
            case steps.Droppable():
                return await step.owner.run_droppable(step.channel, step.steps)
            case steps.Exclusive():
                return await self._run_exclusively(step)
            case ReadFile():
                return await anyio.to_thread.run_sync(read_upload, step.path)
            case ReadServerFile():
                if not isinstance(step.file, AsyncRemoteFile):
                    raise step.refusal()
                return await step.file.read(timeout=step.seconds)

    async def _send(self, step: steps.Send) -> Response:
        # Why not direct calls too: they take as long as their functions, and would delay short requests.
        if step.phase is Phase.COMPLETE:
            return await self.engine.request(step.request, step.begin())
        await self._take_turn(step)
        try:
            return await self.engine.request(step.request, step.begin())
        finally:
            self._turns.release()

    async def _take_turn(self, step: steps.Send) -> None:
        """Wait until fewer than `REQUESTS_AT_ONCE` short requests are running.

        Raises:
            TimeoutExpired: None ended within the remaining time of the call.
        """
        try:
            # Why not always with a timeout: a cancel scope for each request takes time.
            self._turns.acquire_nowait()
        except anyio.WouldBlock:
            remaining = step.deadline.remaining
            if remaining is None:
                await self._turns.acquire()
                return
            with anyio.move_on_after(remaining) as waiting:
                await self._turns.acquire()
            if waiting.cancelled_caught:
                raise step.deadline.error(step.phase) from None

    async def _run_exclusively(self, step: steps.Exclusive) -> None:
        with anyio.move_on_after(step.deadline.remaining):
            async with self._exclusive:
                return await self.run(step.steps)
        raise step.deadline.error(step.phase)

    async def aclose(self, timeout: float | None = None) -> None:
        """End all tasks and close all connections. Return when no task is left or `timeout` has expired."""
        self.closed = True
        seconds = TELL_SECONDS if timeout is None else min(timeout, TELL_SECONDS)
        self._tell_until = anyio.current_time() + seconds
        for scope in self._telling:
            scope.deadline = min(scope.deadline, self._tell_until)
        if self.tasks is not None:
            self.tasks.cancel_scope.cancel()
        with anyio.move_on_after(timeout, shield=True) as waiting:
            if self._ended is not None:
                await self._ended.wait()
        # Connections are closed even if the tasks took all the time.
        deadline = max(waiting.deadline, anyio.current_time() + CLOSE_SECONDS)
        with anyio.CancelScope(deadline=deadline, shield=True):
            await self.engine.aclose()


async def _run_job(work: Callable[..., Any], *arguments: Any) -> None:
    try:
        await work(*arguments)
    except Exception:
        # Why not raise it: that would cancel every task of the transport, and the caller's block.
        logger.exception("a task of the transport failed")


_END = Closed(Ending.CLEAN)
