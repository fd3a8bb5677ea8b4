# SPDX-License-Identifier: Apache-2.0
"""The calls of one session, and the sessions of one transport: `SessionCore`, `OpenSessions`."""

from __future__ import annotations

import weakref
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from typing import Any, TypeAlias

import anyio

from ..calls import session_core
from ..calls.failures import internal_error
from ..calls.session_core import ending
from ..calls.steps import Steps
from ..protocol.commands import Command
from .connection import Connection
from .files import Fetcher
from .heartbeat import HeartbeatTask
from .pending_call import PendingCall
from .session_driver import SessionDriver

CLOSE_SECONDS = 5.0
"""Seconds that closing a session waits for its streams without a ``timeout=``."""


Begun: TypeAlias = tuple[SessionDriver, Sequence[Command]] | Steps[None]
"""A call with its driver and first commands if it is opened, or with the steps before that."""


class OpenSessions:
    """The open sessions of one transport, so that closing the transport closes them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._cores: weakref.WeakSet[SessionCore] = weakref.WeakSet()

    def add(self, core: SessionCore) -> None:
        """Register a session while it is in use."""
        self._cores.add(core)

    async def aclose(self, timeout: float | None = None) -> None:
        """Close everything. Return when no task is left or after `timeout` seconds."""
        if not self.connection.closed:
            # First, so that no call is resubmitted because of this.
            self.connection.closed = True
        try:
            with ExitStack() as stack:  # an exception of one must not keep the others open
                for core in list(self._cores):
                    stack.callback(core.end, "transport was closed")
        finally:
            await self.connection.aclose(timeout)


class SessionCore(session_core.SessionCore[PendingCall, SessionDriver, HeartbeatTask]):
    """The calls of one session, in the async API; see the base class."""

    _call_type = PendingCall
    _driver_type = SessionDriver
    _files_type = Fetcher
    _heartbeat_type = HeartbeatTask

    def submit(
        self, endpoint: str | int, arguments: Sequence[Any], keywords: dict[str, Any], options: Any
    ) -> PendingCall:
        """Start a call in a task of the transport; see `gradio_transport.sync.Session.submit`."""
        core, call = self.prepare(endpoint, arguments, keywords, options)
        with ending(call):
            self.connection.spawn(core.drive, call, core.begin(call))
        return call

    async def call(
        self, endpoint: str | int, arguments: Sequence[Any], keywords: dict[str, Any], options: Any
    ) -> list[Any]:
        """Make a call and wait for it; see `AsyncSession.call`."""
        core, call = self.prepare(endpoint, arguments, keywords, options)
        with ending(call):
            begun = core.begin(call)
            call.start_awaiting_result()
            if call.needs_timer:  # this task watches the deadline while another one drives the call
                self.connection.spawn(core.drive, call, begun)
            else:
                await core.drive(call, begun)
            return await call.result()

    def begin(self, call: PendingCall) -> Begun:
        """Open and start a call. Return its driver and first commands, or the steps before that."""
        return self.steps_before_open(call) or self.open(call)

    async def drive(self, call: PendingCall, begun: Begun) -> None:
        """Perform a call's commands, after it is prepared and opened."""
        if isinstance(begun, Generator):
            with anyio.CancelScope() as scope:
                call.add_done_callback(scope.cancel)  # an ended call needs no preparation
                try:
                    await self.connection.run(begun)
                except Exception as error:  # noqa: BLE001 - whatever it is, the call is told
                    call.abandon(internal_error(error))
            if call.done() or call.end_if_expired():
                return
            try:
                begun = self.open(call)
            except Exception as error:  # noqa: BLE001
                call.abandon(internal_error(error))
                return
        driver, commands = begun
        await driver.run(driver.drive(call, commands), call)

    def reset(self) -> None:
        """Take a new session hash, and end the calls in progress."""
        self.end("session was reset")
        self.state.renew_hash()

    def close(self) -> None:
        """End the session's calls, its stream and its heartbeat, without waiting (for done callbacks)."""
        self.closed = True
        self.end("session was closed")

    async def aclose(self, timeout: float | None = None) -> None:
        """Close the session, and wait until the streams are closed; see `AsyncSession.aclose`."""
        drivers = list(self._drivers.values())
        self.close()
        # Shielded, as all closing: a cancelled task must still close its session.
        with anyio.move_on_after(CLOSE_SECONDS if timeout is None else timeout, shield=True):
            for driver in drivers:
                await driver.wait_closed()
