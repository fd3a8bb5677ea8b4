# SPDX-License-Identifier: Apache-2.0
"""Drives one session by tasks of the transport: `SessionDriver`."""

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


class SessionDriver(session_driver.SessionDriver[PendingCall]):
    """Drives one session; see the base class. Its streams are dropped by cancelling who reads them."""

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
        self._readers: set[anyio.Event] = set()

    async def run(self, steps: Steps[Any], call: PendingCall | None = None) -> None:
        """Perform steps in this task; a fault in them ends their call, or all calls of the session.

        What is neither of the library nor of what it calls is raised, as is a cancellation of the task.
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
        """Perform the steps that tell the server of a cancellation, in a task for that."""
        return self._connection.tell(steps)

    def start_reading(self, command: OpenStream) -> None:
        """Read the shared stream in a task of its own."""
        self._connection.spawn(self.run, self.read_shared(command))

    def start_at(self, when: float, call: PendingCall, job: Callable[[], object]) -> None:
        """Run a short job at a time of `time.monotonic`; at once when the transport is closed."""
        self._connection.spawn(_run_at, when, call, job)

    async def run_droppable(self, channel: str, steps: Steps[Any]) -> Any:
        """Perform steps until they end, or until `drop`; None in that case."""
        ended, scope = anyio.Event(), anyio.CancelScope()
        self._readers.add(ended)
        try:
            with scope:
                self._scopes[channel] = scope
                return await self._connection.run(steps)
            return None
        finally:
            if self._scopes.get(channel) is scope:
                del self._scopes[channel]
            self._readers.discard(ended)
            ended.set()

    def drop(self, channel: str) -> None:
        """Drop a stream or socket now, and cancel who reads or opens it."""
        self._live.pop(channel, None)
        scope = self._scopes.pop(channel, None)
        if scope is not None:
            scope.cancel()

    def close(self, error: GradioTransportError) -> None:
        """End the calls under way with an error, and drop the streams, also those that are being opened."""
        super().close(error)
        for channel in list(self._scopes):
            self.drop(channel)

    async def wait_closed(self) -> None:
        """Wait until every stream and socket is closed; call `close` before."""
        for reader in list(self._readers):
            await reader.wait()


async def _run_at(when: float, call: PendingCall, job: Callable[[], object]) -> None:
    try:
        if not await call.wait(when - time.monotonic()):
            job()
    except anyio.get_cancelled_exc_class():
        job()
        raise
