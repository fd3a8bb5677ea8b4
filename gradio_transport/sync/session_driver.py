# SPDX-License-Identifier: Apache-2.0
"""Drives one session by threads: `SessionDriver`.

Which thread waits for what:

* a shared stream (sse_v1+) has one reader thread for each session, started with its first call;
* a protocol whose calls have a channel of their own is pumped by the caller (`Session.call`), or by one of
  a bounded number of workers (`Session.submit`), because a legacy server drops a call whose client does not
  answer it within seconds;
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
    """Drives one session; see the base class."""

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
        """Perform steps in this thread; a fault in them ends their call, or all calls of the session.

        What is neither of the library nor of what it calls is raised: Ctrl-C, exceptions of signal handlers.
        """
        try:
            self._connection.run(steps)
        except BaseException as error:
            self.report(error, call)
            if is_foreign(error):
                raise

    def _run_in_background(self, steps: Steps[Any], call: PendingCall | None = None) -> None:
        with suppress(BaseException):  # reported; there is no caller to raise it to
            self.run(steps, call)

    def start(self, steps: Steps[Any], call: PendingCall) -> None:
        """Perform steps in a worker."""
        self._connection.workers.submit(lambda: self._run_in_background(steps, call))

    def tell(self, steps: Steps[Any]) -> Flag:
        """Perform the steps that tell the server of a cancellation, in a thread for that."""
        return self._connection.tell(steps)

    def prepare_reading(self) -> None:
        """Start the thread that reads the shared stream."""
        self._reader.prepare()

    def start_reading(self, command: OpenStream) -> None:
        """Read the shared stream in the session's thread, once the stream before has ended."""
        self._reader.prepare()
        self._reader.open(command)

    def start_at(self, when: float, call: PendingCall, job: Callable[[], object]) -> None:
        """Run a short job at a time of `time.monotonic`; at once when the transport is closed."""
        self._connection.alarms.at(when, job)

    def drop(self, channel: str) -> None:
        """Drop a stream or socket now, and wake the thread that reads it."""
        live = self._live.pop(channel, None)
        if live is not None:
            live.abort()

    @property
    def thread(self) -> threading.Thread | None:
        """The thread that reads its shared stream."""
        return self._reader.thread

    def close(self, error: GradioTransportError) -> None:
        """End the calls under way with an error, drop the streams, and let the reader's thread end."""
        try:
            super().close(error)
        finally:
            self._reader.close()
            # Last: it wakes a reader that is opening a stream, which nothing else can reach.
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
