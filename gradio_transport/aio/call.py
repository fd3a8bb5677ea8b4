# SPDX-License-Identifier: Apache-2.0
"""What a caller holds: `AsyncCall`, one call under way."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any

import anyio

from ..adapter.exchange import Exchange
from ..calls.call_state import CallState
from ..calls.deadline import Deadlines
from ..calls.options import CallOptions
from ..errors import SlowConsumer
from ..events import Achieved, Event, Failed, Joined
from ..files.outputs import FileReader
from ..policy import Timeouts
from .files import saved

if TYPE_CHECKING:
    from .runner import Runner

logger = logging.getLogger(__name__)


class AsyncCall(CallState):
    """One call under way: iterate it for events, or await its result; see `gradio_transport.sync.Call`."""

    def __init__(
        self,
        runner: Runner,
        exchange: Exchange,
        options: CallOptions,
        deadlines: Deadlines,
        files: FileReader | None,
    ) -> None:
        super().__init__(runner._core.app, runner.wire, exchange, options, deadlines, files)
        self._runner = runner
        self._saved: list[Any] | None = None
        self._told_something = anyio.Event()
        self._ended = anyio.Event()  # of its own: waiting for the end costs nothing till then
        self._callbacks: list[Callable[[AsyncCall], object]] = []
        self._resubmit: Callable[[AsyncCall], Awaitable[None]] | None = None

    def add_done_callback(self, callback: Callable[[AsyncCall], object]) -> None:
        """Call `callback` with this call once it is done, from the task that learns of it."""
        if self._outcome is None:
            self._callbacks.append(callback)
        else:
            self._run_callback(callback)

    def _run_callback(self, callback: Callable[[AsyncCall], object]) -> None:
        try:
            callback(self)
        except Exception:
            logger.exception("a done callback of %s failed", self.endpoint.display_name)

    def _deliver(self, event: Event, size: int) -> SlowConsumer | None:
        """Take an event from whoever drives the session; return the error if the mailbox refuses it."""
        over = self._take(event, size)
        if over:
            callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                self._run_callback(callback)
        self._told_something.set()
        if over or isinstance(event, Joined):  # with the join a deadline begins
            self._ended.set()
        return self._mailbox.overflow

    async def _wait(self, timeout: float | None, *, for_end: bool = True) -> bool:
        """Wait for the end of the call, or for anything to read; return whether it came.

        An expired deadline of the call ends the call.
        """
        ready = self.done if for_end else self._told
        give_up = None if timeout is None else time.monotonic() + timeout
        while not ready():
            until = min((x for x in (give_up, self._deadlines.next) if x is not None), default=None)
            changed = self._change(for_end)
            if until is None:
                await changed.wait()
                continue
            with anyio.move_on_after(until - time.monotonic()):
                await changed.wait()
                continue
            if not await self._end_if_late() and give_up is not None and time.monotonic() >= give_up:
                return ready()
        return True

    async def _end_if_late(self) -> bool:
        """End the call if its deadline is over, and return whether it was."""
        overdue = self._overdue
        if overdue is None:
            return False
        await self._runner.expire(self, overdue)
        self._deadlines = Deadlines(Timeouts(), time.monotonic)
        return True

    def _change(self, for_end: bool) -> anyio.Event:
        """Return what will be set next; one that somebody may be waiting for is never replaced."""
        if for_end:
            if self._ended.is_set():
                self._ended = anyio.Event()
            return self._ended
        if self._told_something.is_set():
            self._told_something = anyio.Event()
        return self._told_something

    def __aiter__(self) -> AsyncIterator[Event]:
        return self.events()

    def events(self, timeout: float | None = None) -> AsyncIterator[Event]:
        """Iterate over the events; see `gradio_transport.sync.Call.events`."""
        return _Events(self, timeout)

    async def __anext__(self) -> Event:
        return await self._next(None)

    async def _next(self, timeout: float | None) -> Event:
        self._ask()
        self._reads()
        event = self._mailbox.get()
        if event is None:
            if not await self._wait(timeout, for_end=False):
                raise self._impatient(timeout)
            event = self._mailbox.get()
        if event is None:
            raise StopAsyncIteration
        if isinstance(event, Failed):
            raise event.error
        return event

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        return self.result().__await__()

    async def result(self, timeout: float | None = None) -> list[Any]:
        """Wait for the outputs; see `gradio_transport.sync.Call.result`."""
        self._ask()
        self._awaits_result()
        await self._wait(timeout)
        data = self._result(timeout)
        if self._download_to is None:
            return data
        if self._saved is None:
            self._saved = [await saved(value, self._download_to) for value in data]
        return self._saved

    def fetch(self) -> None:
        """Open the stream of a call made with ``attach="late"``; see `gradio_transport.sync.Call.fetch`."""
        self._runner.fetch(self)

    def _ask(self) -> None:
        if self._fetched_when_asked:
            self.fetch()

    def _listening(self) -> None:
        """Take note that the stream is opened now: the wait for the first message begins."""
        if self.event_id is not None:
            self._deadlines.accepted()
        self._told_something.set()
        self._ended.set()

    def _again_by(self, runner: Runner, exchange: Exchange) -> None:
        """Go on with another try."""
        self._runner = runner
        self._again(runner.wire, exchange)

    async def send(self, *arguments: Any, timeout: float | None = None) -> None:
        """Send the next chunk of a streaming input; see `gradio_transport.sync.Call.send`."""
        chunk = self._chunk(arguments)
        with self._allowance(timeout, "the chunk") as allowed:
            await self._runner.send(self, chunk, allowed.until(self._deadlines.total))
            self._check_sent()

    async def finish(self, timeout: float | None = None) -> None:
        """Say that no further chunk will come; see `gradio_transport.sync.Call.finish`."""
        with self._allowance(timeout, "the end of the input") as allowed:
            await self._runner.finish_input(self, allowed.until(self._deadlines.total))
            self._check_sent()

    async def cancel(self, timeout: float | None = None) -> Achieved:
        """Give the call up here at once, and tell the server; see `gradio_transport.sync.Call.cancel`."""
        with anyio.move_on_after(timeout):
            await self._runner.cancel(self)
        return self._achieved()


# An iterator of its own, not a generator: leaving the loop early then leaves nothing to be cleaned up.
class _Events:
    def __init__(self, call: AsyncCall, timeout: float | None) -> None:
        self._call = call
        self._timeout = timeout

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        return await self._call._next(self._timeout)
