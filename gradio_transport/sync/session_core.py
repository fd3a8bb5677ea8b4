# SPDX-License-Identifier: Apache-2.0
"""The calls of one session, and the sessions of one transport: `SessionCore`, `OpenSessions`."""

from __future__ import annotations

import sys
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from ..calls import session_core
from ..calls.failures import COLLECTED
from ..calls.forking import register_after_fork
from ..calls.session_core import ending
from ..engines.interruptions import check_may_wait, is_held
from ..protocol.commands import Command
from .connection import Connection
from .files import Fetcher
from .heartbeat import HeartbeatThread
from .pending_call import PendingCall
from .session_driver import SessionDriver
from .threads import make_thread, start

CLOSE_SECONDS = 5.0
"""Total seconds that closing waits for its threads to end without a ``timeout=``."""


class OpenSessions:
    """The sessions of one transport, so that closing the transport closes them.

    Threads refer to this and to the connection, never to the `Transport`, so an unreferenced transport can be
    garbage-collected.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._cores: weakref.WeakSet[SessionCore] = weakref.WeakSet()
        self._lock = threading.RLock()
        register_after_fork(self)

    def reset_after_fork(self) -> None:
        """Leave connections, threads and calls to the parent, in a child of ``fork``."""
        self._lock = threading.RLock()
        self.connection.reset_after_fork()
        for core in list(self._cores):
            core.reset_after_fork()

    def add(self, core: SessionCore) -> None:
        """Register a session while it is in use."""
        with self._lock:
            self._cores.add(core)

    def close_collected(self) -> None:
        """Close everything, because the transport was garbage-collected."""
        self.connection.collected = True
        self.close()

    def close(self, timeout: float | None = None) -> None:
        """Close everything, and wait at most `timeout` seconds for all threads to end."""
        if sys.is_finalizing():  # the threads are gone, and never release their locks
            return
        if is_held():
            start(make_thread("close", partial(self.close, timeout)))
            return
        with self._lock:
            if self.connection.closed:
                return
            self.connection.closing.set()
            cores = list(self._cores)
        seconds = CLOSE_SECONDS if timeout is None else timeout
        end = time.monotonic() + seconds
        threads: list[threading.Thread] = []
        with ExitStack() as stack:  # an exception of one must not keep the others open
            stack.callback(join, threads, end)
            stack.callback(lambda: threads.extend(self.connection.close()))
            stack.callback(self.connection.wait_told, end)
            for core in cores:
                stack.callback(_stop, core, threads)


def _stop(core: SessionCore, threads: list[threading.Thread]) -> None:
    threads += core.stop(f"{COLLECTED}," if core.connection.collected else "transport was closed")


def join(threads: Iterable[threading.Thread], end: float) -> None:
    """Wait for threads to end, at most until a time of `time.monotonic`."""
    for thread in threads:
        if thread.is_alive() and thread is not threading.current_thread():
            thread.join(max(0.0, end - time.monotonic()))


def _until(timeout: float | None) -> float:
    return time.monotonic() + (CLOSE_SECONDS if timeout is None else timeout)


class SessionCore(session_core.SessionCore[PendingCall, SessionDriver, HeartbeatThread]):
    """The calls of one session, in the sync API; see the base class."""

    _call_type = PendingCall
    _driver_type = SessionDriver
    _files_type = Fetcher
    _heartbeat_type = HeartbeatThread

    def reset_after_fork(self) -> None:
        """Become a separate session in a child of ``fork``; the calls stay in the parent."""
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
        if is_held():  # by a function that continues after the caller, such as a signal handler, has returned
            self.connection.workers.submit(partial(core.submit_prepared, call))
        else:
            core.submit_prepared(call)
        return call

    def submit_prepared(self, call: PendingCall) -> None:
        """Start a prepared call."""
        with ending(call):
            driver, commands = self.begin(call)
            if driver.tapped.session.shared:
                driver.run(driver.perform(commands), call)
            else:
                driver.start(driver.drive(call, commands), call)

    def call(
        self, endpoint: str | int, arguments: Sequence[Any], keywords: dict[str, Any], options: Any
    ) -> list[Any]:
        """Make a call and wait for it; see `Session.call`."""
        check_may_wait()  # before the call starts, in code that a signal handler interrupts
        core, call = self.prepare(endpoint, arguments, keywords, options)
        with ending(call):
            driver, commands = core.begin(call)
            call.start_awaiting_result()
            if call.needs_timer:  # this thread watches the deadline while another one drives the call
                driver.start(driver.drive(call, commands), call)
            else:
                driver.run(driver.perform(commands), call)
            return call.result()

    def begin(self, call: PendingCall) -> tuple[SessionDriver, Sequence[Command]]:
        """Prepare, open and start a call; return its driver and the first commands."""
        preparation = self.steps_before_open(call)
        if preparation is not None:
            self.connection.run(preparation)
        return self.open(call)

    def reset(self, timeout: float | None = None) -> None:
        """Take a new session hash, and end the calls in progress; see `Session.reset`."""
        if is_held():
            self.connection.do_aside(self.reset)
            return
        self.state.renew_hash()
        join(self.stop("session was reset"), _until(timeout))

    def close(self, timeout: float | None = None) -> None:
        """End the session's calls, its stream and its heartbeat; see `Session.close`."""
        if is_held():
            self.connection.do_aside(self.close)
            return
        self.closed = True
        join(self.stop("session was closed"), _until(timeout))

    def stop(self, what: str) -> list[threading.Thread]:
        """End the calls and streams of the session, and return the threads that end with them."""
        drivers, heartbeat = self.end(what)
        threads = [driver.thread for driver in drivers]
        threads.append(heartbeat.thread if heartbeat is not None else None)
        return [thread for thread in threads if thread is not None]
