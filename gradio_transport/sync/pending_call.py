# SPDX-License-Identifier: Apache-2.0
"""A call under way, as the threads that drive it and wait for it see it: `PendingCall`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from ..adapter.exchange import Exchange, Invocation
from ..calls.app import App
from ..calls.call_state import CallState
from ..calls.deadline import Deadlines
from ..calls.options import CallOptions
from ..calls.tap import TappedSession
from ..errors import GradioTransportError, LocalProtocolError, SlowConsumer
from ..events import Achieved, Event, Failed, Joined
from ..files.outputs import FileReader
from ..policy import Timeouts
from .files import download_files

logger = logging.getLogger(__name__)


class CallDriver(Protocol):
    """What a call asks of the driver of its session."""

    def fetch(self, call: PendingCall) -> None:
        """Open the stream of a call that was joined without one."""
        ...

    def expire(self, call: PendingCall, error: GradioTransportError) -> None:
        """End a call whose deadline has expired."""
        ...

    def cancel(self, call: PendingCall, timeout: float | None = None) -> None:
        """Cancel a call and tell the server."""
        ...

    def send(self, call: PendingCall, invocation: Invocation, until: float | None) -> None:
        """Send the next chunk of a streaming input."""
        ...

    def finish_input(self, call: PendingCall, until: float | None) -> None:
        """Tell the server that no further chunk will come."""
        ...


class PendingCall(CallState):
    """One call under way: what its driver delivers to, and its callers wait on."""

    def __init__(
        self,
        driver: CallDriver,
        app: App,
        tapped: TappedSession,
        exchange: Exchange,
        options: CallOptions,
        deadlines: Deadlines,
        files: FileReader | None,
    ) -> None:
        super().__init__(app, tapped, exchange, options, deadlines, files)
        self.driver = driver
        self.resubmit: Callable[[PendingCall], None] | None = None
        self._downloaded: list[Any] | None = None
        self._callbacks: list[Callable[[], object]] = []
        self._make_locks()

    def _make_locks(self) -> None:
        # Reentrant, because a listener and a done callback may ask the call for its state.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        # Why not one condition for both: a thread that waits for the result would wake up for every event.
        self._ended = threading.Condition(self._lock)

    # --- delivery ------------------------------------------------------------------------------------

    def deliver(self, event: Event, size: int) -> SlowConsumer | None:
        """Take an event from the driver of the session; return the error if the mailbox refuses it."""
        with self._lock:
            over = self.take(event, size)
            self._changed.notify_all()
            if over or isinstance(
                event, Joined
            ):  # a waiter for the end has to see the deadline that begins now
                self._ended.notify_all()
        return self.mailbox.overflow

    def end(self, event: Event) -> None:
        """End a call that is not under way, because it waits to be submitted again."""
        self.deliver(event, 0)
        self.run_callbacks()

    def start_listening(self) -> None:
        """Begin to wait for the first message: the stream is opened now."""
        with self._lock:
            if self.event_id is not None:
                self.deadlines.accepted()
            self._changed.notify_all()
            self._ended.notify_all()

    def switch_driver(self, driver: CallDriver, tapped: TappedSession, exchange: Exchange) -> bool:
        """Go on with another try; return False if the call has ended meanwhile."""
        with self._lock:
            if self.outcome is not None:
                return False
            self.driver = driver
            self.start_try(tapped, exchange)
            return True

    def reset_after_fork(self) -> None:
        """End the call in a child of ``fork``: its messages come to the parent only."""
        self._make_locks()
        self._callbacks = []
        message = "The process was forked: the call goes on in the parent, and can be read there only."
        self.take(Failed(error=LocalProtocolError(message, may_have_run=True)), 0)

    # --- the end -------------------------------------------------------------------------------------

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        """Run `callback` once the call is done; at once if it is."""
        with self._lock:
            if self.outcome is None:
                self._callbacks.append(callback)
                return
        self._run_callback(callback)

    def run_callbacks(self) -> None:
        """Run the done callbacks. The driver does so without any lock, because they may call anything."""
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            self._run_callback(callback)

    def _run_callback(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except Exception:
            logger.exception("a done callback of %s failed", self.endpoint.display_name)

    def wait(self, timeout: float | None, *, for_end: bool = True) -> bool:
        """Wait for the end of the call, or for anything to read; return whether it came.

        An expired deadline of the call ends the call.
        """
        is_ready, changed = (self.done, self._ended) if for_end else (self.is_readable, self._changed)
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._lock:
                if is_ready():
                    return True
                until = min((when for when in (end, self.deadlines.next) if when is not None), default=None)
                now = time.monotonic()
                if until is None or until > now:
                    changed.wait(None if until is None else until - now)
                    continue
            # Without the lock: ending the call takes the lock of its session, which its reader takes first.
            if self.end_if_expired():
                continue
            if end is not None and time.monotonic() >= end:
                return is_ready()

    def end_if_expired(self) -> bool:
        """End the call if one of its deadlines has expired, and return whether one had.

        Waiting does so by itself. This is for waiting by a callback or a listener.
        """
        error = self.expiry
        if error is None:
            return False
        self.driver.expire(self, error)
        self.deadlines = Deadlines(Timeouts(), time.monotonic)
        return True

    # --- what a caller does ---------------------------------------------------------------------------

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """Iterate over the events; see `Call.events`."""
        self._fetch_if_needed()
        self.start_reading()
        while True:
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
        self._fetch_if_needed()
        self.start_awaiting_result()
        self.wait(timeout)
        data = self.outputs(timeout)
        if self.download_directory is None:
            return data
        if self._downloaded is None:
            self._downloaded = [download_files(value, self.download_directory) for value in data]
        return self._downloaded

    def _fetch_if_needed(self) -> None:
        if self.needs_fetch:
            self.driver.fetch(self)

    def send(self, arguments: tuple[Any, ...], timeout: float | None) -> None:
        """Send the next chunk of a streaming input; see `Call.send`."""
        chunk = self.next_chunk(arguments)
        with self.allowance(timeout, "the chunk") as allowed:
            self.driver.send(self, chunk, allowed.until(self.deadlines.total))
            self.check_sent()

    def finish(self, timeout: float | None) -> None:
        """Tell the server that no further chunk will come; see `Call.finish`."""
        with self.allowance(timeout, "the end of the input") as allowed:
            self.driver.finish_input(self, allowed.until(self.deadlines.total))
            self.check_sent()

    def cancel(self, timeout: float | None = None) -> Achieved:
        """Cancel the call; see `Call.cancel`."""
        self.driver.cancel(self, timeout)
        return self.achieved()
