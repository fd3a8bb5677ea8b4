# SPDX-License-Identifier: Apache-2.0
"""The calls of one session, and the sessions of one transport: `SessionCore`, `OpenSessions`."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

from ..calls import session_core
from ..calls.forking import register_after_fork
from ..errors import GradioTransportError
from ..protocol.commands import Command
from .connection import Connection
from .files import Fetcher
from .heartbeat import HeartbeatThread
from .pending_call import PendingCall
from .session_driver import SessionDriver

JOIN_THREAD_SECONDS = 5.0
"""How long `close` waits for each thread to end."""


class OpenSessions:
    """The sessions of one transport, so that closing the transport closes them.

    Threads refer to this and to the connection, never to the `Transport`: one that is forgotten is collected.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._cores: weakref.WeakSet[SessionCore] = weakref.WeakSet()
        self._lock = threading.Lock()
        register_after_fork(self)

    def reset_after_fork(self) -> None:
        """Leave connections, threads and calls to the parent, in a child of ``fork``."""
        self._lock = threading.Lock()
        self.connection.reset_after_fork()
        for core in list(self._cores):
            core.reset_after_fork()

    def add(self, core: SessionCore) -> None:
        """Remember a session as long as it is used."""
        with self._lock:
            self._cores.add(core)

    def close(self, timeout: float | None = None) -> None:
        """Close everything, and leave no thread behind, unless one does not end within `timeout` seconds."""
        with self._lock:
            if self.connection.closed:
                return
            self.connection.closing.set()
            cores = list(self._cores)
        threads = [thread for core in cores for thread in core.stop("transport was closed")]
        join([*threads, *self.connection.close()], timeout)


def join(threads: Iterable[threading.Thread | None], timeout: float | None = None) -> None:
    """Wait for threads that end, `timeout` seconds in all at most."""
    end = None if timeout is None else time.monotonic() + timeout
    for thread in threads:
        if thread is not None and thread is not threading.current_thread():
            remaining = JOIN_THREAD_SECONDS if end is None else end - time.monotonic()
            thread.join(min(JOIN_THREAD_SECONDS, max(0.0, remaining)))


class SessionCore(session_core.SessionCore[PendingCall, SessionDriver, HeartbeatThread]):
    """The calls of one session, made by threads; see the base class."""

    _call_type = PendingCall
    _driver_type = SessionDriver
    _files_type = Fetcher
    _heartbeat_type = HeartbeatThread

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        # Reentrant, because a done callback of a call that `close` ends may call the session again.
        self._lock = threading.RLock()

    def reset_after_fork(self) -> None:
        """Become a session of the child's own, in a child of ``fork``; the calls stay with the parent."""
        self._lock = threading.RLock()
        drivers, self._drivers = list(self._drivers.values()), {}
        self._heartbeat, self._unopened = None, set()
        for driver in drivers:
            driver.reset_after_fork()
        self.state.renew_hash()

    def submit(
        self, endpoint: str | int, arguments: Sequence[Any], keywords: dict[str, Any], options: Any
    ) -> PendingCall:
        """Start a call; see `Session.submit`."""
        core, call = self.prepare(endpoint, arguments, keywords, options)
        driver, commands = core.begin(call)
        if driver.tapped.session.shared:
            try:
                self.connection.run(driver.perform(commands))
            except BaseException:  # Ctrl-C during the join: the caller would get no call to cancel
                call.cancel()
                raise
        else:
            driver.start(driver.drive(call, commands))
        return call

    def call(
        self, endpoint: str | int, arguments: Sequence[Any], keywords: dict[str, Any], options: Any
    ) -> list[Any]:
        """Make a call and wait for it; see `Session.call`."""
        core, call = self.prepare(endpoint, arguments, keywords, options)
        driver, commands = core.begin(call)
        call.start_awaiting_result()
        try:
            if call.needs_timer:  # this thread watches the clock while another one drives the call
                driver.start(driver.drive(call, commands))
            else:
                driver.run(driver.perform(commands))
            return call.result()
        except BaseException:
            if not call.done():
                call.cancel()
            raise

    def begin(self, call: PendingCall) -> tuple[SessionDriver, Sequence[Command]]:
        """Prepare, open and start a call; return its driver and the first commands."""
        try:
            preparation = self.steps_before_open(call)
            if preparation is not None:
                self.connection.run(preparation)
            return self.open(call)
        except GradioTransportError as error:
            call.fail(error)
            raise
        except BaseException:
            call.cancel()
            raise

    def reset(self, timeout: float | None = None) -> None:
        """Take another session hash, and end the calls under way; see `Session.reset`."""
        with self._lock:
            self.state.renew_hash()
            threads = self.stop("session was reset")
        join(threads, timeout)

    def close(self, timeout: float | None = None) -> None:
        """End the session's calls, its stream and its heartbeat; see `Session.close`."""
        with self._lock:
            self.closed = True
            threads = self.stop("session was closed")
        # Without the lock: the threads may need it to end.
        join(threads, timeout)

    def stop(self, what: str) -> list[threading.Thread]:
        """End what the session has under way, and return the threads that end with it."""
        with self._lock:
            drivers, heartbeat = self.end(what)
        threads = [driver.thread for driver in drivers]
        return [thread for thread in (*threads, heartbeat) if thread is not None]
