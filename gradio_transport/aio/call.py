# SPDX-License-Identifier: Apache-2.0
"""What a caller holds: `AsyncCall`, one call under way."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

import anyio

from ..adapter import Exchange
from ..config import Endpoint
from ..driver import (
    Deadlines,
    expired,
    outcome,
)
from ..errors import (
    Phase,
    SlowConsumer,
    Timeout,
)
from ..events import Achieved, Cancelled, Event, Failed, Heartbeat, Joined
from ..flow import State
from ..mailbox import Mailbox
from ..policy import Timeouts

if TYPE_CHECKING:
    from .runner import Runner

logger = logging.getLogger(__name__)


class AsyncCall:
    """One call under way: iterate it for events, or await its result; see `gradio_transport.sync.Call`."""

    def __init__(self, runner: Runner, exchange: Exchange, timeouts: Timeouts) -> None:
        self._runner = runner
        self._exchange = exchange
        self._changed = anyio.Event()
        limits = exchange.context.limits
        self._mailbox = Mailbox(limits.mailbox_bytes, limits.mailbox_policy)
        self._outcome: Event | None = None
        self._callbacks: list[Callable[[AsyncCall], object]] = []
        self._deadlines = Deadlines(timeouts, time.monotonic)
        self._scope: anyio.CancelScope | None = None

    @property
    def endpoint(self) -> Endpoint:
        """What is called."""
        return self._exchange.invocation.endpoint

    @property
    def event_id(self) -> str | None:
        """The server's name for the call, once it has one."""
        return self._exchange.event_id

    @property
    def session_hash(self) -> str:
        """The session it belongs to."""
        return self._exchange.context.session_hash

    @property
    def adapter(self) -> str:
        """The protocol it goes by."""
        return self._runner.wire.adapter

    @property
    def status(self) -> State:
        """Where it stands."""
        return self._exchange.state

    @property
    def last_event(self) -> Event | None:
        """The newest event that has come, read or not."""
        return self._exchange.last_event

    @property
    def deviations(self) -> Sequence[str]:
        """What came out of the order of the flow: no error, but worth a look when debugging a server."""
        return tuple(self._exchange.deviations)

    def done(self) -> bool:
        """Return whether the outcome is known."""
        return self._outcome is not None

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
        if isinstance(event, Joined):
            self._deadlines.accepted()
        elif not isinstance(event, Heartbeat):
            self._deadlines.heard()
        self._mailbox.put(event, size)
        if event.terminal and self._outcome is None:
            self._outcome = event
            callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                self._run_callback(callback)
        self._changed.set()
        return self._mailbox.overflow

    async def _wait(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until `ready`, and return whether it is. An expired deadline of the call ends the call."""
        give_up = None if timeout is None else time.monotonic() + timeout
        while not ready():
            until = min((x for x in (give_up, self._deadlines.next) if x is not None), default=None)
            if self._changed.is_set():  # never replace one that somebody else may be waiting for
                self._changed = anyio.Event()
            if until is None:
                await self._changed.wait()
                continue
            with anyio.move_on_after(until - time.monotonic()):
                await self._changed.wait()
                continue
            knob = self._deadlines.knob()
            if knob is not None:
                await self._runner.expire(self, expired(*knob, self._exchange))
                self._deadlines = Deadlines(Timeouts(), time.monotonic)
            elif give_up is not None and time.monotonic() >= give_up:
                return ready()
        return True

    # An iterator of its own, not a generator: leaving the loop early then leaves nothing to be cleaned up.
    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        await self._wait(lambda: len(self._mailbox) > 0 or self._outcome is not None, None)
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
        if not await self._wait(lambda: self._outcome is not None, timeout):
            raise Timeout(
                f"No result within {timeout} s; the call goes on ({self.status.value}).",
                knob="timeout",
                seconds=timeout,
                phase=Phase.STREAM,
                adapter=self.adapter,
                may_have_run=self._exchange.accepted,
            )
        assert self._outcome is not None
        return outcome(self._outcome)

    async def cancel(self) -> Achieved:
        """Give the call up here at once, and tell the server; see `gradio_transport.sync.Call.cancel`."""
        await self._runner.cancel(self)
        end = self._outcome
        return end.achieved if isinstance(end, Cancelled) else Achieved.UNKNOWN
