# SPDX-License-Identifier: Apache-2.0
"""`SessionDriver`: drives one session with tasks of the transport."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anyio

from ..calls import session_driver
from ..calls.session_state import SessionState
from ..calls.steps import Steps
from ..calls.tap import TappedSession
from ..engines.interruptions import is_foreign
from ..errors import GradioTransportError
from ..protocol.commands import OpenStream
from .connection import Connection
from .pending_call import PendingCall
from .waiters import Waiters


class SessionDriver(session_driver.SessionDriver[PendingCall]):
    """A driver of one session; see the base class. It drops a stream by cancelling its reader."""

    def __init__(
        self,
        connection: Connection,
        state: SessionState,
        tapped: TappedSession,
        resubmit: Callable[[PendingCall], object],
    ) -> None:
        super().__init__(state, tapped, resubmit)
        self._connection = connection
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._reader_count = 0
        self._reader_ended = Waiters(connection.on_asyncio)

    async def run(self, steps: Steps[Any], call: PendingCall | None = None) -> None:
        """Perform steps in this task. An exception in them ends their call, or all calls of the session.

        Exceptions from outside the library and its callees are raised, and so is a cancellation of the task.
        """
        try:
            await self._connection.run(steps)
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:
            self.report(error, call)
            if is_foreign(error):
                raise

    def start(self, steps: Steps[Any], call: PendingCall) -> None:
        """Perform steps in a task of the transport."""
        self._connection.spawn(self.run, steps, call)

    def tell(self, steps: Steps[Any]) -> anyio.Event:
        """Perform the steps that send a cancellation to the server, in their own task."""
        return self._connection.tell(steps)

    def start_reading(self, command: OpenStream) -> None:
        """Read the shared stream in its own task."""
        self._connection.spawn(self.run, self.read_shared(command))

    def start_at(self, when: float, call: PendingCall, job: Callable[[], object]) -> None:
        """Run a short job at a time of `time.monotonic`, or at once when the transport closes."""
        self._connection.spawn(_run_at, when, call, job)

    async def run_droppable(self, channel: str, steps: Steps[Any]) -> Any:
        """Perform steps until they end, or until `drop`; return None then."""
        scope = anyio.CancelScope()
        self._reader_count += 1
        try:
            with scope:
                self._scopes[channel] = scope
                return await self._connection.run(steps)
            return None
        finally:
            if self._scopes.get(channel) is scope:
                del self._scopes[channel]
            self._reader_count -= 1
            self._reader_ended.wake()

    def drop(self, channel: str) -> None:
        """Drop a stream or socket now, and cancel the task that reads or opens it."""
        self._live.pop(channel, None)
        scope = self._scopes.pop(channel, None)
        if scope is not None:
            scope.cancel()

    def close(self, error: GradioTransportError) -> None:
        """End the calls in progress with an error, and drop the streams, including those being opened."""
        super().close(error)
        for channel in list(self._scopes):
            self.drop(channel)

    async def wait_closed(self) -> None:
        """Wait until every stream and socket is closed. Call `close` first."""
        while self._reader_count:
            await self._reader_ended.wait()


async def _run_at(when: float, call: PendingCall, job: Callable[[], object]) -> None:
    try:
        if not await call.wait(when - time.monotonic()):
            job()
    except anyio.get_cancelled_exc_class():
        job()
        raise
