# SPDX-License-Identifier: Apache-2.0
"""What a caller holds: `Call`, one call under way."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..adapter import Exchange
from ..config import Endpoint
from ..driver import (
    Deadlines,
    expired,
    outcome,
)
from ..errors import (
    Phase,
    SlowConsumer,
    Timeout,
)
from ..events import Achieved, Cancelled, Event, Failed, Heartbeat, Joined
from ..flow import State
from ..mailbox import Mailbox
from ..policy import Timeouts

if TYPE_CHECKING:
    from .runner import Runner

logger = logging.getLogger(__name__)


class Call:
    """One call under way: iterate it for its events, or ask for its result.

    Iterating yields every event up to the last one, and raises when the transport failed or the server
    refused; an error of the app's own function is the last event (`ProcessCompleted` with ``success`` false)
    and is raised by `result`.
    """

    def __init__(self, runner: Runner, exchange: Exchange, timeouts: Timeouts) -> None:
        self._runner = runner
        self._exchange = exchange
        self._condition = threading.Condition()
        limits = exchange.context.limits
        self._mailbox = Mailbox(limits.mailbox_bytes, limits.mailbox_policy)
        self._outcome: Event | None = None
        self._callbacks: list[Callable[[Call], object]] = []
        self._deadlines = Deadlines(timeouts, time.monotonic)

    @property
    def endpoint(self) -> Endpoint:
        """What is called."""
        return self._exchange.invocation.endpoint

    @property
    def event_id(self) -> str | None:
        """The server's name for the call, once it has one."""
        return self._exchange.event_id

    @property
    def session_hash(self) -> str:
        """The session it belongs to."""
        return self._exchange.context.session_hash

    @property
    def adapter(self) -> str:
        """The protocol it goes by."""
        return self._runner.wire.adapter

    @property
    def status(self) -> State:
        """Where it stands."""
        return self._exchange.state

    @property
    def last_event(self) -> Event | None:
        """The newest event that has come, read or not."""
        return self._exchange.last_event

    @property
    def deviations(self) -> Sequence[str]:
        """What came out of the order of the flow: no error, but worth a look when debugging a server."""
        return tuple(self._exchange.deviations)

    def done(self) -> bool:
        """Return whether the outcome is known."""
        return self._outcome is not None

    def add_done_callback(self, callback: Callable[[Call], object]) -> None:
        """Call `callback` with this call once it is done, from the thread that learns of it."""
        with self._condition:
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
        with self._condition:
            if isinstance(event, Joined):
                self._deadlines.accepted()
            elif not isinstance(event, Heartbeat):
                self._deadlines.heard()
            self._mailbox.put(event, size)
            callbacks: list[Callable[[Call], object]] = []
            if event.terminal and self._outcome is None:
                self._outcome = event
                callbacks, self._callbacks = self._callbacks, []
            self._condition.notify_all()
        for callback in callbacks:
            self._run_callback(callback)
        return self._mailbox.overflow

    def _wait(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until `ready`, and return whether it is. An expired deadline of the call ends the call."""
        give_up = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._condition:
                if ready():
                    return True
                until = min((x for x in (give_up, self._deadlines.next) if x is not None), default=None)
                now = time.monotonic()
                if until is None or until > now:
                    self._condition.wait(None if until is None else until - now)
                    continue
            knob = self._deadlines.knob()
            if knob is not None:
                self._runner.expire(self, expired(*knob, self._exchange))
                self._deadlines = Deadlines(Timeouts(), time.monotonic)
            elif give_up is not None and time.monotonic() >= give_up:
                return ready()

    def __iter__(self) -> Iterator[Event]:
        while True:
            self._wait(lambda: len(self._mailbox) > 0 or self._outcome is not None, None)
            with self._condition:
                event = self._mailbox.get()
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
            Timeout: The time is over (``knob`` is ``"timeout"``), or a deadline of the call expired.
            GradioTransportError: The call failed.
            CancelledError: Somebody cancelled it.
        """
        if not self._wait(lambda: self._outcome is not None, timeout):
            raise Timeout(
                f"No result within {timeout} s; the call goes on ({self.status.value}).",
                knob="timeout",
                seconds=timeout,
                phase=Phase.STREAM,
                adapter=self.adapter,
                may_have_run=self._exchange.accepted,
            )
        assert self._outcome is not None
        return outcome(self._outcome)

    def cancel(self) -> Achieved:
        """Give the call up here at once, and tell the server as far as its generation has a way to.

        Returns:
            What that achieves on the server; `Achieved.UNKNOWN` for a call that was already over.
        """
        self._runner.cancel(self)
        outcome = self._outcome
        return outcome.achieved if isinstance(outcome, Cancelled) else Achieved.UNKNOWN
