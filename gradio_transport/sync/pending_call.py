# SPDX-License-Identifier: Apache-2.0
"""`PendingCall`: a call in progress, shared by the threads that drive it and wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ..calls.call_state import CallState
from ..engines.deadline import NEVER
from ..engines.interruptions import check_may_wait, is_held, not_holding
from ..errors import LocalProtocolError
from ..events import Achieved, Event, Failed
from .files import download_files
from .threads import Change, Flag


class PendingCall(CallState):
    """A call in progress. The driver delivers to it, and callers wait on it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._make_changes()

    def _make_changes(self) -> None:
        self._changed = Change()
        # Why not one for both: a thread that waits for the result would wake up for every event.
        self._ended = Change()

    def _wake(self, *, for_end: bool) -> None:
        self._changed.notify()
        if for_end:
            self._ended.notify()

    def reset_after_fork(self) -> None:
        """End the call in a child of ``fork``, because its messages arrive in the parent only."""
        self._lock = threading.RLock()
        self._make_changes()
        self._callbacks = []
        message = "The process was forked: the call continues in the parent, and can be read only there."
        self.deliver(Failed(error=LocalProtocolError(message, may_have_run=True)), 0)

    @not_holding
    def wait(self, timeout: float | None, *, for_end: bool = True) -> bool:
        """Wait for the end of the call, or for an event to read. Return whether it arrived.

        An expired deadline of the call ends the call.

        Raises:
            LocalProtocolError: Waiting is not possible here; see `check_may_wait`.
        """
        is_ready, changed = (self.done, self._ended) if for_end else (self.is_readable, self._changed)
        if is_ready():
            return True
        check_may_wait()
        end = None if timeout is None else time.monotonic() + timeout
        with changed.wait() as waiter:
            while not is_ready():
                until = min((when for when in (end, self.deadline) if when is not None), default=None)
                now = time.monotonic()
                if until is None or until > now:
                    waiter.sleep(None if until is None else until - now)
                elif not self.end_if_expired() and end is not None and time.monotonic() >= end:
                    return is_ready()
        return True

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """Iterate over the events; see `Call.events`."""
        self.start_reading()
        while True:
            if self.total is not NEVER:
                self.end_if_late()
            with self._lock:
                event = self.mailbox.get()
                is_ready = event is not None or self.outcome is not None
            if not is_ready:
                if not self.wait(timeout, for_end=False):
                    raise self.wait_error(timeout)
                continue
            if event is None:
                return
            if isinstance(event, Failed):
                raise event.error
            yield event

    def result(self, timeout: float | None = None) -> list[Any]:
        """Wait for the outputs; see `Call.result`."""
        self.start_awaiting_result()
        self.wait(timeout)
        data = self.outputs(timeout)
        if self.download_directory is None:
            return data
        if self._downloaded is None:
            self._downloaded = [download_files(value, self.download_directory) for value in data]
        return self._downloaded

    def fetch(self) -> None:
        """Open the stream of a call that was joined without one, or is not joined yet, without waiting."""
        if is_held():
            self.connection.do_aside(super().fetch)
        else:
            super().fetch()

    def cancel(self, timeout: float | None = None) -> Achieved:
        """Cancel the call; see `Call.cancel`."""
        if is_held():
            self.connection.do_aside(self.cancel_now)
            return self.achieved()
        told: Sequence[Flag] = self.cancel_now()
        if timeout is not None:
            end = time.monotonic() + timeout
            for one in told:
                one.wait(max(0.0, end - time.monotonic()))
        return self.achieved()
