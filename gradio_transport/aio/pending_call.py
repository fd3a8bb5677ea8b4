# SPDX-License-Identifier: Apache-2.0
"""A call under way, as the tasks that drive it and wait for it see it: `PendingCall`."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import anyio

from ..adapter.exchange import Exchange, Invocation
from ..calls.app import App
from ..calls.call_state import CallState
from ..calls.deadline import Deadlines
from ..calls.options import CallOptions
from ..calls.tap import TappedSession
from ..errors import GradioTransportError, SlowConsumer
from ..events import Achieved, Event, Failed, Joined
from ..files.outputs import FileReader
from ..policy import Timeouts
from .files import download_files

logger = logging.getLogger(__name__)


class CallDriver(Protocol):
    """What a call asks of the driver of its session."""

    def fetch(self, call: PendingCall) -> None:
        """Open the stream of a call that was joined without one."""
        ...

    async def expire(self, call: PendingCall, error: GradioTransportError) -> None:
        """End a call whose deadline has expired."""
        ...

    async def cancel(self, call: PendingCall) -> None:
        """Cancel a call and tell the server."""
        ...

    async def send(self, call: PendingCall, invocation: Invocation, until: float | None) -> None:
        """Send the next chunk of a streaming input."""
        ...

    async def finish_input(self, call: PendingCall, until: float | None) -> None:
        """Tell the server that no further chunk will come."""
        ...


class PendingCall(CallState):
    """One call under way: what its driver delivers to, and its callers wait on."""

    def __init__(
        self,
        driver: CallDriver,
        app: App,
        tapped: TappedSession,
        exchange: Exchange,
        options: CallOptions,
        deadlines: Deadlines,
        files: FileReader | None,
    ) -> None:
        super().__init__(app, tapped, exchange, options, deadlines, files)
        self.driver = driver
        self.resubmit: Callable[[PendingCall], Awaitable[None]] | None = None
        self._downloaded: list[Any] | None = None
        self._callbacks: list[Callable[[], object]] = []
        # Why not one for both: a task that waits for the result would wake up for every event. Why not
        # conditions: waking would have to be awaited, and delivery is a plain function.
        self._changed = anyio.Event()
        self._ended = anyio.Event()

    # --- delivery ------------------------------------------------------------------------------------

    def deliver(self, event: Event, size: int) -> SlowConsumer | None:
        """Take an event from the driver of the session; return the error if the mailbox refuses it."""
        over = self.take(event, size)
        if over:
            callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                self._run_callback(callback)
        self._changed.set()
        if over or isinstance(event, Joined):  # a waiter for the end has to see the deadline that begins now
            self._ended.set()
        return self.mailbox.overflow

    def start_listening(self) -> None:
        """Begin to wait for the first message: the stream is opened now."""
        if self.event_id is not None:
            self.deadlines.accepted()
        self._changed.set()
        self._ended.set()

    def switch_driver(self, driver: CallDriver, tapped: TappedSession, exchange: Exchange) -> None:
        """Go on with another try."""
        self.driver = driver
        self.start_try(tapped, exchange)

    # --- the end -------------------------------------------------------------------------------------

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        """Run `callback` once the call is done; at once if it is."""
        if self.outcome is None:
            self._callbacks.append(callback)
        else:
            self._run_callback(callback)

    def _run_callback(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except Exception:
            logger.exception("a done callback of %s failed", self.endpoint.display_name)

    async def wait(self, timeout: float | None, *, for_end: bool = True) -> bool:
        """Wait for the end of the call, or for anything to read; return whether it came.

        An expired deadline of the call ends the call.
        """
        is_ready = self.done if for_end else self.is_readable
        end = None if timeout is None else time.monotonic() + timeout
        while not is_ready():
            until = min((when for when in (end, self.deadlines.next) if when is not None), default=None)
            changed = self._next_change(for_end)
            if until is None:
                await changed.wait()
                continue
            with anyio.move_on_after(until - time.monotonic()):
                await changed.wait()
                continue
            if not await self.end_if_expired() and end is not None and time.monotonic() >= end:
                return is_ready()
        return True

    def _next_change(self, for_end: bool) -> anyio.Event:
        """Return the event object that the next change sets.

        Only one that is set is replaced: another task may wait for one that is not, and would wait for ever.
        """
        if for_end:
            if self._ended.is_set():
                self._ended = anyio.Event()
            return self._ended
        if self._changed.is_set():
            self._changed = anyio.Event()
        return self._changed

    async def end_if_expired(self) -> bool:
        """End the call if one of its deadlines has expired, and return whether one had."""
        error = self.expiry
        if error is None:
            return False
        await self.driver.expire(self, error)
        self.deadlines = Deadlines(Timeouts(), time.monotonic)
        return True

    # --- what a caller does ---------------------------------------------------------------------------

    def events(self, timeout: float | None = None) -> AsyncIterator[Event]:
        """Iterate over the events; see `AsyncCall.events`."""
        return _Events(self, timeout)

    async def next_event(self, timeout: float | None) -> Event:
        """Wait for the next event.

        Raises:
            StopAsyncIteration: There is none.
        """
        self._fetch_if_needed()
        self.start_reading()
        event = self.mailbox.get()
        if event is None:
            if not await self.wait(timeout, for_end=False):
                raise self.wait_error(timeout)
            event = self.mailbox.get()
        if event is None:
            raise StopAsyncIteration
        if isinstance(event, Failed):
            raise event.error
        return event

    async def result(self, timeout: float | None = None) -> list[Any]:
        """Wait for the outputs; see `AsyncCall.result`."""
        self._fetch_if_needed()
        self.start_awaiting_result()
        await self.wait(timeout)
        data = self.outputs(timeout)
        if self.download_directory is None:
            return data
        if self._downloaded is None:
            self._downloaded = [await download_files(value, self.download_directory) for value in data]
        return self._downloaded

    def _fetch_if_needed(self) -> None:
        if self.needs_fetch:
            self.driver.fetch(self)

    async def send(self, arguments: tuple[Any, ...], timeout: float | None) -> None:
        """Send the next chunk of a streaming input; see `AsyncCall.send`."""
        chunk = self.next_chunk(arguments)
        with self.allowance(timeout, "the chunk") as allowed:
            await self.driver.send(self, chunk, allowed.until(self.deadlines.total))
            self.check_sent()

    async def finish(self, timeout: float | None) -> None:
        """Tell the server that no further chunk will come; see `AsyncCall.finish`."""
        with self.allowance(timeout, "the end of the input") as allowed:
            await self.driver.finish_input(self, allowed.until(self.deadlines.total))
            self.check_sent()

    async def cancel(self, timeout: float | None = None) -> Achieved:
        """Cancel the call; see `AsyncCall.cancel`."""
        with anyio.move_on_after(timeout):
            await self.driver.cancel(self)
        return self.achieved()


class _Events:
    """The iterator over the events of a call.

    Why not an async generator: one that is left in the middle of a loop would have to be closed by its
    reader.
    """

    def __init__(self, call: PendingCall, timeout: float | None) -> None:
        self._call = call
        self._timeout = timeout

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        return await self._call.next_event(self._timeout)
