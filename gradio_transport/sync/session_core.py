# SPDX-License-Identifier: Apache-2.0
"""The calls of one session, and the sessions of one transport: `SessionCore`, `OpenSessions`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from ..adapter.contract import Adapter
from ..calls.component_server import component_reply, component_request
from ..calls.deadline import Allowance
from ..calls.failures import closed_error, stream_lost_error
from ..calls.forking import register_after_fork
from ..calls.handle import Handle
from ..calls.options import CallOptions
from ..calls.requests import add_elapsed
from ..calls.session_state import SessionState
from ..errors import GradioTransportError, LocalProtocolError, Phase
from ..events import Failed
from ..protocol.commands import Command
from .connection import Connection
from .heartbeat import HeartbeatThread
from .pending_call import PendingCall
from .session_driver import SessionDriver

JOIN_THREAD_SECONDS = 5.0
"""How long `close` waits for each thread to end."""


class OpenSessions:
    """What the sessions of one transport have open, so that closing the transport closes it.

    Threads refer to this and to the connection, never to the `Transport`: one that is forgotten is collected.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._drivers: set[SessionDriver] = set()
        self._heartbeats: set[HeartbeatThread] = set()
        self._lock = threading.Lock()
        register_after_fork(self)

    def reset_after_fork(self) -> None:
        """Leave connections, threads and calls to the parent, in a child of ``fork``."""
        drivers, self._drivers, self._heartbeats = list(self._drivers), set(), set()
        self._lock = threading.Lock()
        self.connection.reset_after_fork()
        for driver in drivers:
            driver.reset_after_fork()

    def open_driver(self, adapter: Adapter, state: SessionState) -> SessionDriver:
        """Return the driver of a new session of an adapter."""
        tapped = self.connection.app.open_session(adapter, state.session_hash)
        driver = SessionDriver(self.connection, tapped, state)
        with self._lock:
            self._check_open()
            self._drivers.add(driver)
        return driver

    def discard(self, driver: SessionDriver) -> None:
        """Forget a driver."""
        with self._lock:
            self._drivers.discard(driver)

    def start_heartbeat(self, state: SessionState) -> HeartbeatThread:
        """Keep the heartbeat of a session open until `stop_heartbeat`."""
        heartbeat = HeartbeatThread(self.connection, state)
        with self._lock:
            self._check_open()
            self._heartbeats.add(heartbeat)
        heartbeat.start()
        return heartbeat

    def stop_heartbeat(self, heartbeat: HeartbeatThread) -> None:
        """End a heartbeat."""
        with self._lock:
            self._heartbeats.discard(heartbeat)
        heartbeat.stop()

    def _check_open(self) -> None:
        if self.connection.closed:
            raise LocalProtocolError("The transport is closed.")

    def close(self, timeout: float | None = None) -> None:
        """Close everything, and leave no thread behind, unless one does not end within `timeout` seconds."""
        with self._lock:
            if self.connection.closed:
                return
            self.connection.closing.set()
            drivers, heartbeats = list(self._drivers), list(self._heartbeats)
            self._heartbeats.clear()
        readers = [driver.close(closed_error("transport was closed")) for driver in drivers]
        for heartbeat in heartbeats:
            heartbeat.stop()
        join([*readers, *heartbeats, *self.connection.close()], timeout)


def join(threads: Iterable[threading.Thread | None], timeout: float | None = None) -> None:
    """Wait for threads that end, `timeout` seconds in all at most."""
    end = None if timeout is None else time.monotonic() + timeout
    for thread in threads:
        if thread is not None and thread is not threading.current_thread():
            remaining = JOIN_THREAD_SECONDS if end is None else end - time.monotonic()
            thread.join(min(JOIN_THREAD_SECONDS, max(0.0, remaining)))


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
        # Reentrant, because a done callback of a call that `close` ends may call the session again.
        self._lock = threading.RLock()
        self._drivers: dict[str, SessionDriver] = {}
        self._heartbeat: HeartbeatThread | None = None
        register_after_fork(self)

    def reset_after_fork(self) -> None:
        """Become a session of the child's own, in a child of ``fork``."""
        self._lock = threading.RLock()
        self._drivers, self._heartbeat = {}, None
        self.state.renew_hash()

    @property
    def call_count(self) -> int:
        """How many calls are under way."""
        return sum(driver.call_count for driver in list(self._drivers.values()))

    # --- calls ---------------------------------------------------------------------------------------

    def submit(
        self,
        endpoint: str | int,
        arguments: Sequence[Any],
        keywords: dict[str, Any],
        options: CallOptions | Any,
    ) -> PendingCall:
        """Start a call; see `Session.submit`."""
        call, commands, driver = self._begin(endpoint, arguments, keywords, options)
        if driver.tapped.session.shared:
            try:
                driver.perform(commands)
            except BaseException:  # Ctrl-C during the join: the caller would get no call to cancel
                call.cancel()
                raise
        else:
            self._connection.workers.submit(partial(driver.drive, call, commands))
        return call

    def call(
        self,
        endpoint: str | int,
        arguments: Sequence[Any],
        keywords: dict[str, Any],
        options: CallOptions | Any,
    ) -> list[Any]:
        """Make a call and wait for it; see `Session.call`."""
        call, commands, driver = self._begin(endpoint, arguments, keywords, options)
        call.start_awaiting_result()
        try:
            if call.deadlines.need_timer:  # this thread watches the clock while another one drives the call
                self._connection.workers.submit(partial(driver.drive, call, commands))
            else:
                driver.guard(lambda: driver.perform(commands))
            return call.result()
        except BaseException:
            if not call.done():
                call.cancel()
            raise

    def _begin(
        self,
        endpoint: str | int,
        arguments: Sequence[Any],
        keywords: dict[str, Any],
        options: CallOptions | Any,
    ) -> tuple[PendingCall, list[Command], SessionDriver]:
        app = self._connection.app
        options = app.call_options(options, keywords)
        if options.own_session:
            return self._begin_in_own_session(endpoint, arguments, keywords, options)
        deadlines = app.deadlines(options)
        adapter, invocation = app.prepare(self.state.config, endpoint, arguments, keywords, options)
        with add_elapsed(adapter.name):
            invocation = self._connection.place_files(
                invocation,
                deadlines.timeouts,
                self.state.credentials,
                deadlines.total,
                options.upload_progress,
            )
        # Under the lock, so that `close` and `reset` find either no call or one that they can end.
        with self._lock:
            driver = self._find_driver(adapter)
            call, commands = driver.begin(invocation, options, deadlines)
            call.resubmit = self._submit_again
            self._keep_heartbeat()
        return call, commands, driver

    def _begin_in_own_session(
        self, endpoint: str | int, arguments: Sequence[Any], keywords: dict[str, Any], options: CallOptions
    ) -> tuple[PendingCall, list[Command], SessionDriver]:
        """Begin a call in a session of its own, which ends with the call."""
        own = SessionCore(self._sessions, self.state.credentials.headers)
        try:
            begun = own._begin(endpoint, arguments, keywords, attrs.evolve(options, own_session=False))
        except BaseException:
            own.close()
            raise
        begun[0].add_done_callback(own.close)
        return begun

    def _submit_again(self, call: PendingCall) -> None:
        """Make another try of a call whose stream was lost, with a new hash if that was lost with it."""
        try:
            with self._lock:
                driver = self._find_driver(self._connection.app.options.registry.get(call.adapter))
                commands = driver.retry(call)
                self._keep_heartbeat()
        except GradioTransportError as error:
            call.end(Failed(event_id=call.event_id, error=error))
            return
        driver.guard(lambda: driver.perform(commands))

    def attach(self, handle: Handle, options: CallOptions) -> PendingCall:
        """Begin to fetch a call that was joined elsewhere, in this session, which ends with the call."""
        deadlines = self._connection.app.deadlines(options)
        adapter, invocation = self._connection.app.prepare_attach(handle)
        with self._lock:
            driver = self._find_driver(adapter)
            call, commands = driver.begin(invocation, options, deadlines)
            self._keep_heartbeat()
        driver.perform_in_background(commands)
        call.add_done_callback(self.close)
        return call

    def _find_driver(self, adapter: Adapter) -> SessionDriver:
        if self.closed:
            raise LocalProtocolError("The session is closed.")
        driver = self._drivers.get(adapter.name)
        if driver is not None and not driver.usable:
            # Why not open the stream again: the server has forgotten the session with it, and answers 200 all
            # the same.
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
            self._sessions.stop_heartbeat(heartbeat)
            self._heartbeat = heartbeat = None
        if heartbeat is None and self.state.needs_heartbeat:
            self._heartbeat = self._sessions.start_heartbeat(self.state)

    def call_component(self, component_id: int, fn_name: str, data: Any, timeout: float | None) -> Any:
        """Call a function that a component has on the server; see `Session.component_server`."""
        app = self._connection.app
        command = component_request(
            app.discovery.urls, self.state.config, self.state.session_hash, component_id, fn_name, data
        )
        app.taps.command(command, 0)
        what = f"The reply of the component's function {fn_name!r}"
        with Allowance(timeout, what, Phase.COMPLETE):
            response = self._connection.request(
                command, app.options.timeouts, timeout, credentials=self.state.credentials
            )
        app.taps.response(command.channel, 0, response)
        return component_reply(response, fn_name, app.options.limits)

    # --- the end -------------------------------------------------------------------------------------

    def reset(self, timeout: float | None = None) -> None:
        """Take another session hash, and end the calls under way; see `Session.reset`."""
        with self._lock:
            self.state.renew_hash()
            threads = self._end("session was reset")
        join(threads, timeout)

    def close(self, timeout: float | None = None) -> None:
        """End the session's calls, its stream and its heartbeat; see `Session.close`."""
        with self._lock:
            self.closed = True
            threads = self._end("session was closed")
        # Without the lock: the threads may need it to end.
        join(threads, timeout)

    def _end(self, what: str) -> list[threading.Thread]:
        """End what the session has under way, and return the threads that end with it."""
        drivers, self._drivers = list(self._drivers.values()), {}
        threads: list[threading.Thread | None] = [self._heartbeat]
        if self._heartbeat is not None:
            self._sessions.stop_heartbeat(self._heartbeat)
            self._heartbeat = None
        for driver in drivers:
            threads.append(driver.close(closed_error(what)))
            self._sessions.discard(driver)
        return [thread for thread in threads if thread is not None]
