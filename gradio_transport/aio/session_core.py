# SPDX-License-Identifier: Apache-2.0
"""The calls of one session, and the sessions of one transport: `SessionCore`, `OpenSessions`."""

from __future__ import annotations

import weakref
from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeAlias

import anyio

from ..adapter.contract import Adapter
from ..adapter.exchange import Invocation
from ..calls import session_core
from ..calls.options import CallOptions
from ..calls.steps import Steps
from ..errors import GradioTransportError, LocalProtocolError
from ..protocol.commands import Command
from .connection import Connection
from .files import Fetcher
from .heartbeat import HeartbeatTask
from .pending_call import PendingCall
from .session_driver import SessionDriver

CLOSE_SECONDS = 5.0
"""How long closing a session waits for its streams without a ``timeout=``."""


Begun: TypeAlias = tuple[SessionDriver, Sequence[Command]] | Steps[None]
"""A call that is opened, with its driver and first commands, or the steps that place its files before."""


class OpenSessions:
    """What the sessions of one transport have open, so that closing the transport closes it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.cores: weakref.WeakSet[SessionCore] = weakref.WeakSet()

    async def aclose(self, timeout: float | None = None) -> None:
        """Close everything, and return when no task is left, or `timeout` seconds are over."""
        if not self.connection.closed:
            # First, so that no call is submitted again because this ends it.
            self.connection.closed = True
            for core in list(self.cores):
                core.end("transport was closed")
        await self.connection.aclose(timeout)


class SessionCore(session_core.SessionCore[PendingCall, SessionDriver, HeartbeatTask]):
    """The calls of one session, made by tasks; see the base class."""

    def __init__(
        self,
        sessions: OpenSessions,
        headers: Mapping[str, str] | None = None,
        session_hash: str | None = None,
    ) -> None:
        super().__init__(sessions.connection.app, headers, session_hash)
        self._sessions = sessions
        self._connection = sessions.connection
        sessions.cores.add(self)

    def _new_call(self, adapter: str, invocation: Invocation, options: CallOptions) -> PendingCall:
        fetcher = Fetcher(self._connection, self.state.credentials)
        files = self.file_reader(invocation, fetcher.remote_file)
        return PendingCall(self._connection, self.state, adapter, invocation, options, files)

    def _new_driver(self, adapter: Adapter) -> SessionDriver:
        if self._connection.closed:
            raise LocalProtocolError("The transport is closed.")
        tapped = self.state.app.open_session(adapter, self.state.session_hash)
        return SessionDriver(self._connection, self.state, tapped, self.resubmit)

    def _own_session(self) -> SessionCore:
        return SessionCore(self._sessions, self.state.credentials.headers)

    def _start_heartbeat(self) -> HeartbeatTask:
        heartbeat = HeartbeatTask(self._connection, self.state)
        self._connection.spawn(heartbeat.run)
        return heartbeat

    def _stop_heartbeat(self, heartbeat: HeartbeatTask) -> None:
        heartbeat.stop()

    # --- calls -----------------------------------------------------------------------------------------

    def submit(
        self, endpoint: str | int, arguments: Sequence[Any], keywords: dict[str, Any], options: Any
    ) -> PendingCall:
        """Start a call in a task of the transport; see `gradio_transport.sync.Session.submit`."""
        core, call = self.prepare(endpoint, arguments, keywords, options)
        self._connection.spawn(core.drive, call, core.begin(call))
        return call

    async def call(
        self, endpoint: str | int, arguments: Sequence[Any], keywords: dict[str, Any], options: Any
    ) -> list[Any]:
        """Make a call and wait for it; see `AsyncSession.call`."""
        core, call = self.prepare(endpoint, arguments, keywords, options)
        begun = core.begin(call)
        call.start_awaiting_result()
        try:
            if call.needs_timer:  # this task watches the clock while another one drives the call
                self._connection.spawn(core.drive, call, begun)
            else:
                await core.drive(call, begun)
            return await call.result()
        except BaseException:
            if not call.done():
                # Shielded: the task may be cancelled, and the server has to be asked to cancel all the same.
                with anyio.CancelScope(shield=True):
                    await call.cancel()
            raise

    def begin(self, call: PendingCall) -> Begun:
        """Open and start a call without files; return its driver and first commands, or how to place them."""
        try:
            return self.place_files(call) or self.open(call)
        except GradioTransportError as error:
            call.fail(error)
            raise

    async def drive(self, call: PendingCall, begun: Begun) -> None:
        """Perform a call's commands, once its files are placed and it is opened."""
        if isinstance(begun, Generator):
            with anyio.CancelScope() as scope:
                call.add_done_callback(scope.cancel)  # a call that has ended needs no files
                try:
                    await self._connection.run(begun)
                except GradioTransportError as error:
                    call.fail(error)
            if call.done() or call.end_if_expired():
                return
            try:
                begun = self.open(call)
            except GradioTransportError as error:
                call.fail(error)
                return
        driver, commands = begun
        await driver.run(driver.drive(call, commands))

    async def component_server(
        self, component_id: int, fn_name: str, data: Any, timeout: float | None
    ) -> Any:
        """Call a function that a component has on the server; see `AsyncSession.component_server`."""
        return await self._connection.run(self.call_component(component_id, fn_name, data, timeout))

    # --- the end ---------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Take another session hash, and end the calls under way."""
        self.end("session was reset")
        self.state.renew_hash()

    def close(self) -> None:
        """End the session's calls, its stream and its heartbeat; wait for nothing (for done callbacks)."""
        self.closed = True
        self.end("session was closed")

    async def aclose(self, timeout: float | None = None) -> None:
        """Do as `close`, and wait until the streams are closed; see `AsyncSession.aclose`."""
        drivers = list(self._drivers.values())
        self.close()
        # Shielded, as all closing: a task that is cancelled has to close its session all the same.
        with anyio.move_on_after(CLOSE_SECONDS if timeout is None else timeout, shield=True):
            for driver in drivers:
                await driver.wait_closed()
