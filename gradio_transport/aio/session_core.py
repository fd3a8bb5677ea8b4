# SPDX-License-Identifier: Apache-2.0
"""The calls of one session, and the sessions of one transport: `SessionCore`, `OpenSessions`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import attrs

from ..adapter.contract import Adapter
from ..calls.component_server import component_reply, component_request
from ..calls.failures import closed_error, stream_lost_error
from ..calls.handle import Handle
from ..calls.options import CallOptions
from ..calls.session_state import SessionState
from ..errors import GradioTransportError, LocalProtocolError, Phase
from ..events import Failed
from .connection import Connection
from .files import run_within
from .heartbeat import HeartbeatTask
from .pending_call import PendingCall
from .session_driver import Begin, SessionDriver

CLOSE_SECONDS = 5.0
"""How long closing a session waits for its streams, unless it is told a time."""


class OpenSessions:
    """What the sessions of one transport have open, so that closing the transport closes it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._drivers: set[SessionDriver] = set()

    def open_driver(self, adapter: Adapter, state: SessionState) -> SessionDriver:
        """Return the driver of a new session of an adapter."""
        if self.connection.closed:
            raise LocalProtocolError("The transport is closed.")
        tapped = self.connection.app.open_session(adapter, state.session_hash)
        driver = SessionDriver(self.connection, tapped, state)
        self._drivers.add(driver)
        return driver

    def discard(self, driver: SessionDriver) -> None:
        """Forget a driver."""
        self._drivers.discard(driver)

    def start_heartbeat(self, state: SessionState) -> HeartbeatTask:
        """Keep the heartbeat of a session open until it is stopped."""
        heartbeat = HeartbeatTask(self.connection, state)
        self.connection.spawn(heartbeat.run)
        return heartbeat

    async def aclose(self, timeout: float | None = None) -> None:
        """Close everything, and return when no task is left, or `timeout` seconds are over."""
        if not self.connection.closed:
            # First, so that no call is submitted again because this ends it.
            self.connection.closed = True
            for driver in list(self._drivers):
                driver.close(closed_error("transport was closed"))
        await self.connection.aclose(timeout)


class SessionCore:
    """One ``session_hash``: begins its calls, and keeps a driver for each adapter they go by."""

    def __init__(
        self,
        sessions: OpenSessions,
        headers: Mapping[str, str] | None = None,
        session_hash: str | None = None,
    ) -> None:
        self.state = SessionState(sessions.connection.app, headers, session_hash)
        self.closed = False
        self._sessions = sessions
        self._connection = sessions.connection
        self._drivers: dict[str, SessionDriver] = {}
        self._heartbeat: HeartbeatTask | None = None

    @property
    def call_count(self) -> int:
        """How many calls are under way."""
        return sum(driver.call_count for driver in self._drivers.values())

    # --- calls ---------------------------------------------------------------------------------------

    def submit(
        self,
        endpoint: str | int,
        arguments: Sequence[Any],
        keywords: dict[str, Any],
        options: CallOptions | Any,
    ) -> PendingCall:
        """Start a call in a task of the transport; see `gradio_transport.sync.Session.submit`."""
        call, first, driver = self._begin(endpoint, arguments, keywords, options)
        self._connection.spawn(driver.drive, call, first)
        return call

    async def call(
        self,
        endpoint: str | int,
        arguments: Sequence[Any],
        keywords: dict[str, Any],
        options: CallOptions | Any,
    ) -> list[Any]:
        """Make a call and wait for it; see `AsyncSession.call`."""
        call, first, driver = self._begin(endpoint, arguments, keywords, options)
        call.start_awaiting_result()
        try:
            if call.deadlines.need_timer:  # this task watches the clock while another one drives the call
                self._connection.spawn(driver.drive, call, first)
            else:
                await driver.drive(call, first)
            return await call.result()
        except BaseException:
            if not call.done():
                # Shielded: the task may be cancelled, and the server has to be asked to cancel all the same.
                with anyio.CancelScope(shield=True):
                    await call.cancel()
            raise

    def _begin(
        self,
        endpoint: str | int,
        arguments: Sequence[Any],
        keywords: dict[str, Any],
        options: CallOptions | Any,
    ) -> tuple[PendingCall, Begin, SessionDriver]:
        app = self._connection.app
        options = app.call_options(options, keywords)
        if options.own_session:
            return self._begin_in_own_session(endpoint, arguments, keywords, options)
        deadlines = app.deadlines(options)
        adapter, invocation = app.prepare(self.state.config, endpoint, arguments, keywords, options)
        driver = self._find_driver(adapter)
        call, first = driver.begin(invocation, options, deadlines)
        call.resubmit = self._submit_again
        self._keep_heartbeat()
        return call, first, driver

    def _begin_in_own_session(
        self, endpoint: str | int, arguments: Sequence[Any], keywords: dict[str, Any], options: CallOptions
    ) -> tuple[PendingCall, Begin, SessionDriver]:
        """Begin a call in a session of its own, which ends with the call."""
        own = SessionCore(self._sessions, self.state.credentials.headers)
        try:
            begun = own._begin(endpoint, arguments, keywords, attrs.evolve(options, own_session=False))
        except BaseException:
            own.close()
            raise
        begun[0].add_done_callback(own.close)
        return begun

    async def _submit_again(self, call: PendingCall) -> None:
        """Make another try of a call whose stream was lost, with a new hash if that was lost with it."""
        try:
            driver = self._find_driver(self._connection.app.options.registry.get(call.adapter))
            commands = driver.retry(call)
            self._keep_heartbeat()
        except GradioTransportError as error:
            call.deliver(Failed(event_id=call.event_id, error=error), 0)
            return
        await driver.drive(call, commands)

    def attach(self, handle: Handle, options: CallOptions) -> PendingCall:
        """Begin to fetch a call that was joined elsewhere, in this session, which ends with the call."""
        deadlines = self._connection.app.deadlines(options)
        adapter, invocation = self._connection.app.prepare_attach(handle)
        driver = self._find_driver(adapter)
        call, first = driver.begin(invocation, options, deadlines)
        self._connection.spawn(driver.drive, call, first)
        self._keep_heartbeat()
        call.add_done_callback(self.close)
        return call

    def _find_driver(self, adapter: Adapter) -> SessionDriver:
        if self.closed:
            raise LocalProtocolError("The session is closed.")
        driver = self._drivers.get(adapter.name)
        if driver is not None and not driver.usable:
            # Why not open the stream again: the server has forgotten the session, and answers 200 all the
            # same.
            self._sessions.discard(driver)
            driver.close(stream_lost_error())
            self.state.renew_hash()
            driver = None
        if driver is None:
            driver = self._drivers[adapter.name] = self._sessions.open_driver(adapter, self.state)
        return driver

    def _keep_heartbeat(self) -> None:
        """Open the heartbeat of the session, where the app needs one."""
        heartbeat = self._heartbeat
        if heartbeat is not None and heartbeat.session_hash != self.state.session_hash:
            heartbeat.stop()
            self._heartbeat = heartbeat = None
        if heartbeat is None and self.state.needs_heartbeat:
            self._heartbeat = self._sessions.start_heartbeat(self.state)

    async def call_component(self, component_id: int, fn_name: str, data: Any, timeout: float | None) -> Any:
        """Call a function that a component has on the server; see `AsyncSession.component_server`."""
        app = self._connection.app
        command = component_request(
            app.discovery.urls, self.state.config, self.state.session_hash, component_id, fn_name, data
        )
        app.taps.command(command, 0)
        what = f"The reply of the component's function {fn_name!r}"
        work = self._connection.request(command, app.options.timeouts, credentials=self.state.credentials)
        response = await run_within(timeout, what, Phase.COMPLETE, work)
        app.taps.response(command.channel, 0, response)
        return component_reply(response, fn_name, app.options.limits)

    # --- the end -------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Take another session hash, and end the calls under way."""
        self._end("session was reset")
        self.state.renew_hash()

    def close(self) -> None:
        """End the session's calls, its stream and its heartbeat; wait for nothing (for done callbacks)."""
        self.closed = True
        self._end("session was closed")

    async def aclose(self, timeout: float | None = None) -> None:
        """Do as `close`, and wait until the streams are closed; see `AsyncSession.aclose`."""
        drivers = list(self._drivers.values())
        self.close()
        # Shielded, as all closing: a task that is cancelled has to close its session all the same.
        with anyio.move_on_after(CLOSE_SECONDS if timeout is None else timeout, shield=True):
            for driver in drivers:
                await driver.wait_closed()

    def _end(self, what: str) -> None:
        drivers, self._drivers = list(self._drivers.values()), {}
        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._heartbeat = None
        for driver in drivers:
            driver.close(closed_error(what))
            self._sessions.discard(driver)
