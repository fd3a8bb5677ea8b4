# SPDX-License-Identifier: Apache-2.0
"""`SessionDriver`: drives one session with threads.

The threads:

* a shared stream (sse_v1+) has one reader thread for each session, started with its first call;
* for a protocol with a connection per call, the caller (`Session.call`) or one of a bounded number of workers
  (`Session.submit`) reads the connection, because a legacy server drops a call whose client does not reply
  within seconds;
* callers wait on their call's condition; nothing polls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..calls import session_driver
from ..calls.session_state import SessionState
from ..calls.steps import Steps
from ..calls.tap import TappedSession
from ..engines.base import Interruption
from ..engines.interruptions import is_foreign
from ..errors import GradioTransportError
from ..protocol.commands import OpenStream
from .connection import Connection
from .pending_call import PendingCall
from .stream_reader import StreamReader
from .threads import Flag


class SessionDriver(session_driver.SessionDriver[PendingCall]):
    """A driver of one session; see the base class."""

    def __init__(
        self,
        connection: Connection,
        state: SessionState,
        tapped: TappedSession,
        resubmit: Callable[[PendingCall], object],
    ) -> None:
        super().__init__(state, tapped, resubmit)
        self._connection = connection
        self._start_without_threads()

    def _start_without_threads(self) -> None:
        self._lock = threading.RLock()
        self._reader = self._reader_waiter = StreamReader(
            f"stream-{self.tapped.number}", lambda command: self._run_in_background(self.read_shared(command))
        )
        self._interruption = Interruption()

    def run(self, steps: Steps[Any], call: PendingCall | None = None) -> None:
        """Perform steps in this thread. An exception in them ends their call, or all calls of the session.

        Exceptions from outside the library and its callees are raised: Ctrl-C, exceptions of signal handlers.
        """
        try:
            self._connection.run(steps)
        except BaseException as error:
            self.report(error, call)
            if is_foreign(error):
                raise

    def _run_in_background(self, steps: Steps[Any], call: PendingCall | None = None) -> None:
        with suppress(BaseException):  # reported, because there is no caller
            self.run(steps, call)

    def start(self, steps: Steps[Any], call: PendingCall) -> None:
        """Perform steps in a worker."""
        self._connection.workers.submit(lambda: self._run_in_background(steps, call))

    def tell(self, steps: Steps[Any]) -> Flag:
        """Perform the steps that send a cancellation to the server, in a separate thread."""
        return self._connection.tell(steps)

    def prepare_reading(self) -> None:
        """Start the thread that reads the shared stream."""
        self._reader.prepare()

    def start_reading(self, command: OpenStream) -> None:
        """Read the shared stream in the session's thread, after the previous stream has ended."""
        self._reader.prepare()
        self._reader.open(command)

    def start_at(self, when: float, call: PendingCall, job: Callable[[], object]) -> None:
        """Run a short job at a time of `time.monotonic`, or at once when the transport closes."""
        self._connection.alarms.at(when, job)

    def drop(self, channel: str) -> None:
        """Drop a stream or socket now, and wake the thread that reads it."""
        live = self._live.pop(channel, None)
        if live is not None:
            live.abort()

    @property
    def thread(self) -> threading.Thread | None:
        """The thread that reads the shared stream."""
        return self._reader.thread

    def close(self, error: GradioTransportError) -> None:
        """End the calls in progress with an error, drop the streams, and let the reader thread end."""
        try:
            super().close(error)
        finally:
            self._reader.close()
            # Last, because only this wakes a reader that is opening a stream.
            assert self._interruption is not None
            self._interruption.interrupt()

    def reset_after_fork(self) -> None:
        """Leave the session and its calls to the parent, in a child of ``fork``."""
        self._left_to_parent = self._closed = True
        self._start_without_threads()
        self._live.clear()
        calls, self._calls = list(self._calls.values()), {}
        for call in calls:
            call.reset_after_fork()
