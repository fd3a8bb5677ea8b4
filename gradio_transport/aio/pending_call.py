# SPDX-License-Identifier: Apache-2.0
"""`PendingCall`: a call in progress, shared by the tasks that drive it and wait for it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import anyio
import anyio.lowlevel

from ..calls.call_state import CallState
from ..engines.cancel_checks import cancel_checks
from ..engines.deadline import NEVER
from ..events import Achieved, Event, Failed
from .files import download_files
from .waiters import Waiters


class PendingCall(CallState):
    """A call in progress. The driver delivers to it, and callers wait on it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        # Why not one for both: a task that waits for the result would wake up for every event.
        self._changed = Waiters(self.connection.on_asyncio)
        self._ended = Waiters(self.connection.on_asyncio)
        self._is_check_due = cancel_checks()

    def _wake(self, *, for_end: bool) -> None:
        self._changed.wake()
        if for_end:
            self._ended.wake()

    async def wait(self, timeout: float | None, *, for_end: bool = True) -> bool:
        """Wait for the end of the call, or for an event to read. Return whether it arrived.

        An expired deadline of the call ends the call.
        """
        is_ready, changed = (self.done, self._ended) if for_end else (self.is_readable, self._changed)
        end = None if timeout is None else time.monotonic() + timeout
        while not is_ready():
            if self._is_check_due():
                await anyio.lowlevel.checkpoint_if_cancelled()
                if is_ready():
                    return True
            until = min((when for when in (end, self.deadline) if when is not None), default=None)
            left = None if until is None else until - time.monotonic()
            if left is None or left > 0:
                await changed.wait(left)
                continue
            # Not by a cancellation, because events without a pause would always overtake it.
            await anyio.lowlevel.checkpoint()
            if not self.end_if_expired() and end is not None and time.monotonic() >= end:
                return is_ready()
        return True

    def events(self, timeout: float | None, holder: object) -> AsyncIterator[Event]:
        """Iterate over the events, and keep a reference to an object meanwhile; see `AsyncCall.events`."""
        return _Events(self, timeout, holder)

    async def next_event(self, timeout: float | None) -> Event:
        """Wait for the next event.

        Raises:
            StopAsyncIteration: There is no further event.
        """
        self.start_reading()
        if self.total is not NEVER:
            self.end_if_late()
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
        self.start_awaiting_result()
        await self.wait(timeout)
        data = self.outputs(timeout)
        if self.download_directory is None:
            return data
        if self._downloaded is None:
            self._downloaded = [await download_files(value, self.download_directory) for value in data]
        return self._downloaded

    async def cancel(self, timeout: float | None = None) -> Achieved:
        """Cancel the call; see `AsyncCall.cancel`."""
        told: Sequence[anyio.Event] = self.cancel_now()
        if timeout is not None:
            with anyio.move_on_after(timeout):
                for one in told:
                    await one.wait()
        return self.achieved()


class _Events:
    """The iterator over the events of a call.

    Why not an async generator: after a break in a loop, its reader would have to close it.
    """

    def __init__(self, call: PendingCall, timeout: float | None, holder: object) -> None:
        self._call = call
        self._timeout = timeout
        self._holder = holder

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        return await self._call.next_event(self._timeout)
