# SPDX-License-Identifier: Apache-2.0
"""`Job`: a call in progress, as a `concurrent.futures.Future`.

A job has no thread. The reader of the stream adds each event. The pool of the client starts the call, and
fetches the files of its outputs at its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

import anyio
import anyio.to_thread

from ..app.config import Endpoint
from ..events import Event
from ..files.inputs import holds_files
from ..sync import Call
from .communicator import Communicator
from .errors import cancelled_error, pending_error, translate, translate_errors
from .files import OutputFiles
from .pool import Pool
from .updates import JobHistory, OutputUpdate, Status, StatusUpdate, runs, show_running


class Job(Future[Any]):
    """A call in progress, from `Client.submit`.

    It is a `concurrent.futures.Future`, so `concurrent.futures.wait`, `as_completed` and
    `asyncio.wrap_future` accept it. Iterate over it for its outputs as they arrive: those of a generator, or
    the one output of any other function. Each loop starts with the first output, so no output is lost or
    repeated. The loop raises at its end if the job failed.

    The deadlines of the call apply while you wait with the methods of the job; `concurrent.futures.wait` has
    its own ``timeout``.
    """

    def __init__(self, pool: Pool, files: OutputFiles, endpoint: Endpoint) -> None:
        super().__init__()
        self._pool = pool
        self._files = files
        self._endpoint = endpoint
        self._history = JobHistory()
        self._call: Call | None = None
        self._claimed = False
        self._news = threading.Condition()
        self._wakers: list[Callable[[], object]] = []
        self._nexts: Iterator[Any] | None = None
        super().add_done_callback(
            lambda _: self._notify()
        )  # the first callback, so that waiters do not wait for the others

    # --- called by the client and its transport -------------------------------------------------------

    def _add_event(self, event: Event) -> None:
        """Add an event, in the thread that reads the stream."""
        with self._news:
            self._history.add(event)
            self._notify()

    def _notify(self) -> None:
        """Wake every waiter."""
        with self._news:
            self._news.notify_all()
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def _claim(self) -> bool:
        """Return whether the caller is the first to end the job, because a future can be ended only once."""
        with self._news:
            is_first, self._claimed = not self._claimed, True
            return is_first

    def _attach(self, call: Call) -> None:
        """Set the call after it is made."""
        with self._news:
            self._call = call
            has_ended = self._claimed
            self._notify()
        if has_ended:
            call.cancel()
        else:
            # In the pool, because the callback runs in the reader of the stream, and fetching files takes
            # time.
            call.add_done_callback(lambda ended: self._pool.submit(self._complete, ended))

    def _complete(self, call: Call) -> None:
        """Fetch the files, and end the job with the outcome of the call. It runs in a thread of the pool."""
        try:
            data = call.result()
            last = self._history.outputs[-1] if self._history.outputs else None
            value = (last or OutputUpdate(data)).value(True, self._files.save)
        except BaseException as error:  # noqa: BLE001 - it is raised to the waiter
            self._fail(error)
        else:
            if self._claim():
                self.set_result(value)

    def _fail(self, error: BaseException) -> None:
        if not self._claim():
            return
        if isinstance(error, CancelledError):
            super().cancel()
            self.set_running_or_notify_cancel()
        else:
            self.set_exception(translate(error))

    # --- as a future ------------------------------------------------------------------------------------

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the output: the value, or a tuple of several. For a generator it is the last one.

        Args:
            timeout: Seconds to wait. The job continues afterwards.

        Raises:
            AppError: The app's function raised.
            CancelledError: The job was cancelled.
            TimeoutError: The timeout expired.
            GradioTransportError: The call failed.
        """
        self._wait_for_end(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end, and return the error or None. It raises as `result` does."""
        self._wait_for_end(timeout)
        return super().exception(0)

    def _wait_for_end(self, timeout: float | None) -> None:
        if not self._wait(self.done, timeout):
            raise pending_error(self._endpoint.display_name, timeout, self.status().code.value)
        if self.cancelled():
            raise cancelled_error(self._endpoint.display_name)

    @property
    def _end(self) -> tuple[Any, BaseException | None] | None:
        """The output and the error, after the end of the job."""
        if not self.done():
            return None
        if self.cancelled():
            return None, CancelledError()
        error = super().exception(0)
        return (super().result(0) if error is None else None), error

    @property
    def event_id(self) -> str | None:
        """The server's id of the call. None until it arrives, before 4.9, and outside the queue."""
        return None if self._call is None else self._call.event_id

    @property
    def future(self) -> Future[Any]:
        """The job itself, which is the future of its output."""
        return self

    @functools.cached_property
    def communicator(self) -> Communicator:
        """The job under the names ``communicator.job.latest_status``, ``communicator.job.outputs``."""
        return Communicator(self)

    def running(self) -> bool:
        """Return whether the app's function is running. Outside the queue it is as soon as it is called."""
        call = self._call
        return not self.done() and call is not None and runs(call)

    def cancel(self) -> bool:
        """Cancel the job, and return whether it was cancelled.

        A job that waits in the queue never runs. A generator stops at its next yield, if the server's version
        supports that; `outputs` keeps the earlier outputs. Any other running function continues, and so does
        its job: then it returns False.
        """
        with self._news:
            if self._claimed or (self.running() and not self._yields()):
                return False
            self._claimed = True
            call = self._call
        super().cancel()
        self.set_running_or_notify_cancel()
        if call is not None:
            call.cancel()
        return True

    def _yields(self) -> bool:
        return self._endpoint.generator is True or self._history.yielded

    # --- what has come ----------------------------------------------------------------------------------

    def status(self) -> StatusUpdate:
        """Return the status of the job."""
        with self._news:
            latest = self._history.status
        if not self.done():
            return show_running(latest, self._call)
        if self.cancelled():
            return StatusUpdate(code=Status.CANCELLED, success=False, time=latest.time)
        if latest.code in (Status.FINISHED, Status.QUEUE_FULL):
            return latest
        return StatusUpdate(code=Status.FINISHED, success=super().exception(0) is None)

    def outputs(self) -> list[Any]:
        """Return the outputs so far, each as `result` would return it."""
        with self._news:
            count = len(self._history.outputs)
        return [self._output(place) for place in range(count)]

    def _output(self, place: int) -> Any:
        output = self._history.outputs[place]
        with translate_errors():
            return output.value(self._is_final(place), self._files.save)

    def _is_final(self, place: int) -> bool:
        return self._call is not None and self._call.done() and place == len(self._history.outputs) - 1

    def _has_output(self, place: int) -> bool:
        return place < len(self._history.outputs) or self.done()

    def _wait(self, ready: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until `ready`, and return whether it is. An expired deadline of the call ends the call."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            with self._news:
                if ready():
                    return True
                call = self._call
                deadline = call.deadline if call is not None else None
                until = min(end, math.inf if deadline is None else deadline)
                remaining = until - time.monotonic()
                if remaining > 0:
                    self._news.wait(None if remaining == math.inf else remaining)
                    continue
            # Without holding the condition, because ending the call adds its last event under the call's
            # lock.
            if (call is None or not call._pending.end_if_expired()) and time.monotonic() >= end:
                return ready()

    def __next__(self) -> Any:
        """Return the next output, for ``next(job)``. Loops have their own position."""
        if self._nexts is None:
            self._nexts = iter(self)
        return next(self._nexts)

    def __iter__(self) -> Iterator[Any]:
        place = 0
        while True:
            self._wait(functools.partial(self._has_output, place))
            if place >= len(self._history.outputs):
                break
            yield self._output(place)
            place += 1
        self._raise_failure()

    def _raise_failure(self) -> None:
        """Raise the error of the job, unless it was cancelled."""
        error = None if self.cancelled() else super().exception(0)
        if error is not None:
            raise error

    def __aiter__(self) -> AsyncIterator[Any]:
        return _AsyncOutputs(self)

    async def _wait_async(self, ready: Callable[[], bool]) -> None:
        soon = _scheduler()
        while True:
            woken = anyio.Event()

            def wake(event: anyio.Event = woken) -> None:
                with contextlib.suppress(RuntimeError):  # the loop is closed, so there is no waiter
                    soon(event.set)

            with self._news:
                if ready():
                    return
                self._wakers.append(wake)
                call = self._call
            deadline = call.deadline if call is not None else None
            with anyio.move_on_after(math.inf if deadline is None else max(deadline - time.monotonic(), 0)):
                await woken.wait()
                continue
            if call is not None:
                await anyio.to_thread.run_sync(call._pending.end_if_expired)


class _AsyncOutputs:
    """An async iterator over the outputs of a job. Unlike a generator, it needs no cleanup after a break."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._place = 0

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        job, place = self._job, self._place
        await job._wait_async(lambda: job._has_output(place))
        if place >= len(job._history.outputs):
            job._raise_failure()
            raise StopAsyncIteration
        self._place += 1
        if job._files.saves and holds_files(job._history.outputs[place].data):
            return await anyio.to_thread.run_sync(job._output, place)
        return job._output(place)


def _scheduler() -> Callable[[Callable[[], object]], object]:
    """Return a thread-safe function that schedules a function in the current event loop, asyncio or trio."""
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        import trio

        return trio.lowlevel.current_trio_token().run_sync_soon


__all__ = ["Job"]
