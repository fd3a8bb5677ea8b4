# SPDX-License-Identifier: Apache-2.0
"""What a caller holds: `Call`, one call under way."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..adapter.exchange import Exchange
from ..calls.call_state import CallState
from ..calls.deadline import Deadlines
from ..calls.options import CallOptions
from ..errors import LocalProtocolError, SlowConsumer
from ..events import Achieved, Event, Failed, Joined
from ..files.outputs import FileReader
from ..policy import Timeouts
from .files import saved

if TYPE_CHECKING:
    from .runner import Runner

logger = logging.getLogger(__name__)


class Call(CallState):
    """One call under way: iterate it for its events, or ask for its result.

    Iterating yields every event up to the last one, and raises when the transport failed or the server
    refused; an error of the app's own function is the last event (`ProcessCompleted` with ``success`` false)
    and is raised by `result`.
    """

    def __init__(
        self,
        runner: Runner,
        exchange: Exchange,
        options: CallOptions,
        deadlines: Deadlines,
        files: FileReader | None,
    ) -> None:
        super().__init__(runner._core.app, runner.wire, exchange, options, deadlines, files)
        self._runner = runner
        self._saved: list[Any] | None = None
        self._lock = threading.RLock()
        self._told_something = threading.Condition(self._lock)
        self._ended = threading.Condition(
            self._lock
        )  # of its own: waiting for the end costs nothing till then
        self._callbacks: list[Callable[[Call], object]] = []
        self._resubmit: Callable[[Call], None] | None = None

    def add_done_callback(self, callback: Callable[[Call], object]) -> None:
        """Call `callback` with this call once it is done, from the thread that learns of it.

        That is often the reader of the session's stream: a callback must not wait for a call of the same
        session, whose messages nobody would read meanwhile.
        """
        with self._lock:
            if self._outcome is None:
                self._callbacks.append(callback)
                return
        self._run_callback(callback)

    def _run_callback(self, callback: Callable[[Call], object]) -> None:
        try:
            callback(self)
        except Exception:
            logger.exception("a done callback of %s failed", self.endpoint.display_name)

    def _deliver(self, event: Event, size: int) -> SlowConsumer | None:
        """Take an event from whoever drives the session; return the error if the mailbox refuses it."""
        with self._lock:
            over = self._take(event, size)
            self._told_something.notify_all()
            if over or isinstance(event, Joined):  # with the join a deadline begins
                self._ended.notify_all()
        return self._mailbox.overflow

    def begin_anew(self) -> None:
        """In a child of ``fork``: end here, where nobody reads the call's messages any more."""
        self._lock = threading.RLock()
        self._told_something = threading.Condition(self._lock)
        self._ended = threading.Condition(self._lock)
        self._callbacks = []
        message = "The process was forked: the call goes on in the parent, and can be read there only."
        self._take(Failed(error=LocalProtocolError(message, may_have_run=True)), 0)

    def _run_callbacks(self) -> None:
        """Call who waits for the end; whoever delivered it does so without any lock."""
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            self._run_callback(callback)

    def _wait(self, timeout: float | None, *, for_end: bool = True) -> bool:
        """Wait for the end of the call, or for anything to read; return whether it came.

        An expired deadline of the call ends the call.
        """
        ready, changed = (self.done, self._ended) if for_end else (self._told, self._told_something)
        give_up = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._lock:
                if ready():
                    return True
                until = min((x for x in (give_up, self._deadlines.next) if x is not None), default=None)
                now = time.monotonic()
                if until is None or until > now:
                    changed.wait(None if until is None else until - now)
                    continue
            if self.end_if_late():
                continue
            if give_up is not None and time.monotonic() >= give_up:
                return ready()

    def end_if_late(self) -> bool:
        """End the call if its `deadline` is over, and return whether it was.

        For who waits for the call by a callback or a listener; its own methods see to that themselves.
        """
        overdue = self._overdue
        if overdue is None:
            return False
        self._runner.expire(self, overdue)
        self._deadlines = Deadlines(Timeouts(), time.monotonic)
        return True

    def __iter__(self) -> Iterator[Event]:
        return self.events()

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """Iterate over the events.

        Args:
            timeout: Seconds to wait for each one; the call itself goes on when they are over, and so may the
                reading, by another iterator.

        Raises:
            TimeoutExpired: Nothing came in time (``setting`` is ``"timeout"``), or a deadline of the call expired.
            GradioTransportError: The call failed.
        """
        self._ask()
        self._reads()
        while True:
            with self._lock:
                event = self._mailbox.get()
                told = event is not None or self._outcome is not None
            if not told:
                if not self._wait(timeout, for_end=False):
                    raise self._impatient(timeout)
                continue
            if event is None:
                return
            if isinstance(event, Failed):
                raise event.error
            yield event

    def result(self, timeout: float | None = None) -> list[Any]:
        """Wait for the outputs.

        Args:
            timeout: Seconds to wait here; the call itself goes on when they are over.

        Raises:
            AppError: The app's function raised.
            TimeoutExpired: The time is over (``setting`` is ``"timeout"``), or a deadline of the call expired.
            GradioTransportError: The call failed.
            CancelledError: Somebody cancelled it.
        """
        self._ask()
        self._awaits_result()
        self._wait(timeout)
        data = self._result(timeout)
        if self._download_to is None:
            return data
        if self._saved is None:
            self._saved = [saved(value, self._download_to) for value in data]
        return self._saved

    def fetch(self) -> None:
        """Open the stream of a call that was made with ``attach="late"``, without waiting for anything.

        `result` and iteration do so themselves, unless ``fetch_after`` says when. Nothing happens if it is
        open, or the call over.
        """
        self._runner.fetch(self)

    def _ask(self) -> None:
        if self._fetched_when_asked:
            self.fetch()

    def _listening(self) -> None:
        """Take note that the stream is opened now: the wait for the first message begins."""
        with self._lock:
            if self.event_id is not None:
                self._deadlines.accepted()
            self._told_something.notify_all()
            self._ended.notify_all()

    def _again_by(self, runner: Runner, exchange: Exchange) -> bool:
        """Go on with another try; return whether anybody still wants it."""
        with self._lock:
            if self._outcome is not None:
                return False
            self._runner = runner
            self._again(runner.wire, exchange)
            return True

    def _end_between(self, event: Event) -> None:
        """End a call that is not under way, because it waits to be submitted again."""
        self._deliver(event, 0)
        self._run_callbacks()

    def send(self, *arguments: Any, timeout: float | None = None) -> None:
        """Send the next chunk of a streaming input (5.0+); the first one went with the call itself.

        Args:
            *arguments: Values of the endpoint's parameters, in order.
            timeout: Seconds for its files and the server's answer; the call goes on when they are over, and
                the chunk may have come.

        Raises:
            LocalProtocolError: The call is over.
            ServerRefused: The server takes no more: the time limit is reached.
            TimeoutExpired: The server did not answer in time.
            UnsupportedProtocol: The endpoint takes no streaming input.
        """
        chunk = self._chunk(arguments)
        with self._allowance(timeout, "the chunk") as allowed:
            self._runner.send(self, chunk, allowed.until(self._deadlines.total))
            self._check_sent()

    def finish(self, timeout: float | None = None) -> None:
        """Say that no further chunk will come; the call then completes. Nothing happens if it is over.

        Args:
            timeout: Seconds for the server's answer; the call goes on when they are over.

        Raises:
            TimeoutExpired: The server did not answer in time.
            UnsupportedProtocol: The endpoint takes no streaming input.
        """
        with self._allowance(timeout, "the end of the input") as allowed:
            self._runner.finish_input(self, allowed.until(self._deadlines.total))
            self._check_sent()

    def cancel(self, timeout: float | None = None) -> Achieved:
        """Give the call up here at once, and tell the server as far as its generation has a way to.

        Args:
            timeout: Seconds to wait for the server to take note, ``Timeouts(connect=)`` if None.

        Returns:
            What that achieves on the server; `Achieved.UNKNOWN` for a call that was already over.
        """
        self._runner.cancel(self, timeout)
        return self._achieved()
