# SPDX-License-Identifier: Apache-2.0
"""The state of a call in both APIs: its deadlines, its events, its end, and its errors."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack
from functools import partial
from typing import Any

import attrs

from ..adapter.exchange import Exchange, Invocation
from ..app.config import Endpoint
from ..engines.deadline import NEVER, Deadline
from ..engines.interruptions import is_foreign, not_holding
from ..errors import (
    AppError,
    GradioTransportError,
    LocalProtocolError,
    Phase,
    SessionNotFound,
    StreamLost,
    TimeoutExpired,
)
from ..events import (
    WITH_OUTPUTS,
    Achieved,
    Cancelled,
    Event,
    Failed,
    Heartbeat,
    Joined,
    ProcessCompleted,
    Resubmitted,
)
from ..files.outputs import FileReader
from ..protocol.diff import NO_COPIES, Copies
from ..protocol.flow import State
from .backoff import delays
from .call_driver import CallDriver
from .failures import callback_error, hide_secrets
from .forwarding import forwarded_headers
from .mailbox import Mailbox
from .observing import CallObserver, Observer, guarded
from .options import CallOptions
from .session_state import SessionState
from .steps import Steps
from .tap import TappedSession

logger = logging.getLogger(__name__)

_deviations = logging.getLogger(f"{__name__}.deviations")
_deviations.addHandler(logging.NullHandler())  # without a handler, its warnings would go to stderr

LOGGED_DEVIATIONS = 5
"""The most deviations that are logged per call, because a server may make any number."""

_WITH_ERROR = (Failed, ProcessCompleted, Resubmitted)
"""Events that carry the error for the caller."""

_PHASES = {State.JOINING: Phase.JOIN}
"""The state of a call before its first event."""


class CallState:
    """The state of a call in either API: everything except waiting.

    It exists before its exchange, because its files may have to be uploaded first.
    """

    def __init__(
        self,
        connection: Any,
        state: SessionState,
        adapter: str,
        invocation: Invocation,
        options: CallOptions,
        files: FileReader | None,
    ) -> None:
        app = state.app
        self.connection = connection
        self._session_state = state
        self._driver: CallDriver | None = None
        self._tapped: TappedSession | None = None
        self._exchange: Exchange | None = None
        self.adapter = adapter
        """The adapter of the call."""
        self.invocation = invocation
        self.discovery = app.discovery
        """The discovery of the app when the call was prepared."""
        self._file_reader = files
        self.preparing = Phase.DISCOVER
        """The reason why it waits before it is opened: the app, then its files."""
        self.options = options
        self.timeouts = options.timeouts or app.options.timeouts
        self.total = Deadline.after(self.timeouts.total, "total")
        self._first_message = NEVER
        self._averages = app.averages
        self._pauses = delays(app.options.retry) if options.repeatable else iter(())
        self._attempt = 1
        self.waits_for_retry = False
        self._has_request = invocation.event_id is not None
        self._submitted = time.monotonic()
        self.download_directory = options.download_files
        self._listener = options.listener
        self._listener_error: GradioTransportError | None = None
        self._observer: CallObserver | None = None
        self.headers: Mapping[str, str] = {**forwarded_headers(), **(options.headers or {})}
        if self.headers:
            app.secrets.add_passing_headers(self.headers)
        if state.credentials.headers:
            app.secrets.add_passing_headers(state.credentials.headers)
        if options.oauth_token is not None:
            app.secrets.add_passing(options.oauth_token)
        limits = app.options.limits
        self.mailbox = Mailbox(limits.mailbox_bytes, limits.mailbox_policy)
        self.mailbox.unread = options.listener is not None
        self._events_read = False
        self.outcome: Event | None = None
        self._callbacks: list[Callable[[], object]] = []
        self._downloaded: list[Any] | None = None
        # Reentrant, because a listener and a done callback may ask the call for its state. The async API
        # needs none, but a `nullcontext` takes longer.
        self._lock = threading.RLock()

    def _wake(self, *, for_end: bool) -> None:
        """Wake the waiters for a change; with `for_end` also the waiters for the end."""

    def start_observing(self, observer: Observer) -> None:
        """Attach an observer to the call, and send the headers that it adds to the requests."""
        observed = self._session_state.app.observed_call(self.endpoint, self.adapter)
        self._observer = guarded(partial(observer.start, observed))
        if self._observer is not None:
            # Last, so that a header of the caller takes precedence. It is not a secret.
            self.headers = {**self._observer.headers, **self.headers}

    def address_again(self, adapter: str, invocation: Invocation, files: FileReader | None) -> None:
        """Address an unopened call to the app as it is after a restart."""
        self.adapter, self.invocation, self._file_reader = adapter, invocation, files
        self.discovery, self._averages = self._session_state.app.discovery, self._session_state.app.averages

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint that is called."""
        return self.invocation.endpoint

    @property
    def tapped(self) -> TappedSession:
        """The session of the call."""
        assert self._tapped is not None
        return self._tapped

    @property
    def exchange(self) -> Exchange:
        """The state machine of the call."""
        assert self._exchange is not None
        return self._exchange

    @property
    def opened(self) -> bool:
        """Whether the call has a state machine, so its files are uploaded."""
        return self._exchange is not None

    @property
    def event_id(self) -> str | None:
        """The server's id of the call, or None."""
        return self._exchange.event_id if self._exchange is not None else None

    @property
    def session_hash(self) -> str:
        """The session it belongs to."""
        if self._exchange is None:
            return self._session_state.session_hash
        return self._exchange.context.session_hash

    @property
    def status(self) -> State:
        """The state of the call."""
        if self._exchange is not None:
            return self._exchange.state
        if self.outcome is None:
            return State.IDLE
        return State.CANCELLED if isinstance(self.outcome, Cancelled) else State.FAILED

    @property
    def last_event(self) -> Event | None:
        """The newest event, read or not."""
        return self._exchange.last_event if self._exchange is not None else self.outcome

    @property
    def deviations(self) -> Sequence[str]:
        """The server's deviations from the protocol: not errors, but useful when you debug a server."""
        return tuple(self._exchange.deviations) if self._exchange is not None else ()

    @property
    def accepted(self) -> bool:
        """Whether the server may have begun to run the function."""
        return self._exchange is not None and self._exchange.accepted

    def done(self) -> bool:
        """Return whether the outcome is known."""
        return self.outcome is not None

    # --- deadlines -------------------------------------------------------------------------------------

    @property
    def next_deadline(self) -> Deadline:
        """The next of the call's deadlines."""
        return self.total.sooner(self._first_message)

    @property
    def deadline(self) -> float | None:
        """Time when the next deadline of the call expires, by `time.monotonic`; None if there is none."""
        following = self.next_deadline
        return None if following is NEVER or self.outcome is not None else following.at

    @property
    def needs_timer(self) -> bool:
        """Whether its deadlines need a timer, because the bound on silence would be too late."""
        first, idle = self.timeouts.first_message, self.timeouts.idle
        return self.total is not NEVER or (first is not None and (idle is None or first < idle))

    @property
    def expiry(self) -> TimeoutExpired | None:
        """The error for the deadline of the whole call that has expired, or None."""
        if self.outcome is not None:
            return None
        expired = next((one for one in (self.total, self._first_message) if one.expired), None)
        if expired is None:
            return None
        last, state = self.last_event, self.status
        return TimeoutExpired(
            f"The call was not complete within {expired.seconds} s (state {state.value}, last event: "
            f"{'nothing' if last is None else type(last).__name__}). Raise Timeouts({expired.setting}=) if "
            "it may take longer.",
            setting=expired.setting,
            seconds=expired.seconds,
            phase=self.preparing if state is State.IDLE else _PHASES.get(state, Phase.STREAM),
            may_have_run=self.accepted,
        )

    def end_if_expired(self) -> bool:
        """End the call if one of its deadlines has expired, and return whether one had.

        Waiting methods do this themselves. This is for programs that wait with a callback or a listener.
        """
        error = self.expiry
        if error is None:
            return False
        self.abandon(error, tell=self.timeouts.cancel_on_expiry)
        # So that a call that its driver no longer knows does not expire repeatedly.
        self.total = self._first_message = NEVER
        return True

    def end_if_late(self) -> None:
        """End the call if its total deadline has expired, for a reader that never runs out of events."""
        if time.monotonic() >= self.total.at:
            self.end_if_expired()

    def start_listening(self) -> None:
        """Start the deadline of the first message, because the stream is opened now."""
        with self._lock:
            if self.event_id is not None:
                self._start_first_message()
            self._wake(for_end=True)

    def _start_first_message(self) -> None:
        self._first_message = Deadline.after(self.timeouts.first_message, "first_message")

    # --- delivery ------------------------------------------------------------------------------------

    def start_reading(self) -> None:
        """Keep the events from now on, because a caller reads them. Open the stream of a late call."""
        self._fetch_if_asked()
        self._events_read, self.mailbox.unread = True, False

    def start_awaiting_result(self) -> None:
        """Allow old events to be dropped, unless the caller reads them: it waits only for the result."""
        self._fetch_if_asked()
        self.mailbox.unread = not self._events_read

    def is_readable(self) -> bool:
        """Return whether there is an event or the end to read."""
        return len(self.mailbox) > 0 or self.outcome is not None

    def deliver(self, event: Event, size: int, copies: Copies = NO_COPIES) -> GradioTransportError | None:
        """Accept an event from the driver of the session. Return the error if the call cannot accept it."""
        with self._lock:
            over = self._take(event, size, copies)
            # A waiter for the end must notice the deadline that starts with the join.
            self._wake(for_end=over or isinstance(event, Joined))
        return self.mailbox.overflow or self._listener_error

    def _take(self, event: Event, size: int, copies: Copies) -> bool:
        """Accept an event, and return whether it is the end."""
        if isinstance(event, WITH_OUTPUTS):
            self._first_message = NEVER
            if self._file_reader is not None:
                data = self._file_reader.outputs(event.data, self.invocation.endpoint.outputs, copies)
                event = event if data is event.data else attrs.evolve(event, data=data)
        elif isinstance(event, Joined):
            if self.exchange.fetched:
                self._start_first_message()
        elif not isinstance(event, Heartbeat):
            self._first_message = NEVER
        if isinstance(event, _WITH_ERROR) and event.error is not None:
            if isinstance(event, Failed):
                self._complete_error(event.error)
            if isinstance(event.error, AppError):  # its text is only the app's
                event.error.add_note(event.error.circumstances)
            hide_secrets(event.error, self._session_state.app.secrets)
        if self._listener is not None:
            event = self._notify(self._listener, event)
        if self._observer is not None and self.outcome is None:
            guarded(partial(self._observer.event, event))
        self.mailbox.put(event, size)
        if not event.terminal or self.outcome is not None:
            return False
        self.outcome = event
        if isinstance(event, ProcessCompleted) and event.average_duration is not None:
            self._averages[self.endpoint.fn_index] = event.average_duration
        return True

    def _notify(self, listener: Callable[[Event], object], event: Event) -> Event:
        """Pass an event to the listener, and return it, or an end with the error if the listener raises."""
        try:
            listener(event)
        except Exception as error:
            if is_foreign(error):
                raise
            logger.exception("the listener of %s failed", self.endpoint.display_name)
            self._listener, self._listener_error = None, callback_error("listener", listener, error)
            self._complete_error(self._listener_error)
            if event.terminal:
                return Failed(event_id=self.event_id, error=self._listener_error)
        return event

    def end(self, event: Event) -> None:
        """End a call outside a session: it is not opened yet, or waits for resubmission."""
        self.deliver(event, 0)
        self.run_callbacks()

    def fail(self, error: GradioTransportError) -> None:
        """End a call with an error, as `end` does."""
        error.adapter = error.adapter or self.adapter
        if self._exchange is None:
            hide_secrets(error, self._session_state.app.secrets)
            self._session_state.app.taps.refusal(self.endpoint.display_name, error)
        self.end(Failed(event_id=self.event_id, error=error))

    def abandon(self, error: GradioTransportError, *, tell: bool = False) -> None:
        """End a call with an error, in any state. With `tell`, send the server a cancellation."""
        if self._driver is None or self.waits_for_retry:
            self.fail(error)
        else:
            self._driver.abandon(self, error, tell=tell)

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        """Run `callback` when the call is done, or at once if it already is."""
        with self._lock:
            if self.outcome is None:
                self._callbacks.append(callback)
                return
        self._run_callback(callback)

    def run_callbacks(self) -> None:
        """Run the done callbacks. The driver holds no lock then, because they may call anything."""
        if self.deviations:
            _deviations.warning(
                "the server deviated from the protocol in a call of %s: %s",
                self.endpoint.display_name,
                self._session_state.app.secrets.hide("; ".join(self.deviations[:LOGGED_DEVIATIONS])),
            )
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
        with ExitStack() as stack:  # an exception of one must not prevent the others
            for callback in reversed(callbacks):
                stack.callback(self._run_callback, callback)

    @not_holding
    def _run_callback(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except BaseException as error:
            # Ctrl-C and the exit of the program belong to the main thread. In any other thread they would
            # only end that thread, which may be one of the library that others wait for.
            if threading.current_thread() is threading.main_thread() and is_foreign(error):
                raise
            logger.exception("a done callback of %s failed", self.endpoint.display_name)

    def record_request(self) -> None:
        """Record that a request of the call is sent now, so the function may run from now on."""
        self._has_request = True

    def _complete_error(self, error: GradioTransportError) -> None:
        """Add the attempts and their time to the error of a call, which the session does not know."""
        if self._attempt > 1:  # an earlier attempt was accepted
            error.may_have_run = True
        elif not self._has_request:
            error.may_have_run = False
        if error.elapsed is None:
            error.elapsed = time.monotonic() - self._submitted

    # --- late attach ---------------------------------------------------------------------------------

    def fetch_time(self) -> float | None:
        """Return the time when the stream is opened automatically; None if only on demand."""
        if self.exchange.fetched:
            return None
        after = self.options.fetch_after
        if after is None:
            after = self._averages.get(self.endpoint.fn_index)
        return None if after is None else self._submitted + after

    def fetch(self) -> None:
        """Open the stream of a call that was joined without one, or is not joined yet, without waiting."""
        if self._driver is None:
            self.invocation = attrs.evolve(self.invocation, late=False)
        else:
            self._driver.fetch(self)

    def _fetch_if_asked(self) -> None:
        """Open the stream of such a call if a request for the result does so."""
        late = self.invocation.late if self._exchange is None else not self._exchange.fetched
        if late and self.options.fetch_after is None:
            self.fetch()

    # --- repetition ----------------------------------------------------------------------------------

    def retry_pause(self, failed: Failed) -> float | None:
        """Return the seconds after which a call that ended like this is resubmitted, or None for never.

        Only a call that was accepted and lost its stream is resubmitted, and only if the caller declared that
        the function may run twice. A join that may have been accepted is never repeated.
        """
        error = failed.error
        if self.outcome is not None:
            return None
        if not isinstance(error, StreamLost | SessionNotFound) or error.phase is not Phase.STREAM:
            return None
        pause = next(self._pauses, None)
        remaining = self.total.remaining
        return None if pause is None or (remaining is not None and pause >= remaining) else pause

    def start_retry(self, error: GradioTransportError) -> Event:
        """Record that the call will be resubmitted, and return the event for that."""
        self.waits_for_retry = True
        self._attempt += 1
        self._first_message = NEVER
        return Resubmitted(attempt=self._attempt, error=error)

    def open(self, driver: CallDriver, tapped: TappedSession) -> Exchange | None:
        """Open the call, or its next attempt, in a session. Return None if it has ended meanwhile.

        If the result was already requested, the next attempt opens its stream at once.
        """
        with self._lock:
            if self.outcome is not None:
                return None
            invocation = self.invocation
            if self._exchange is not None:
                if self._exchange.fetched and self.options.fetch_after is None:
                    invocation = attrs.evolve(invocation, late=False)
                self._submitted = time.monotonic()
            self.waits_for_retry = False
            self._driver, self._tapped, self._exchange = driver, tapped, tapped.open(invocation)
            return self._exchange

    def outputs(self, timeout: float | None) -> list[Any]:
        """Return the outputs, or raise the error. Without an outcome, the wait has timed out."""
        if self.outcome is None:
            raise self.wait_error(timeout)
        return outputs_of(self.outcome)

    def wait_error(self, timeout: float | None) -> TimeoutExpired:
        """Return the error for a wait that timed out while the call continues."""
        return TimeoutExpired(
            f"No result within {timeout} s; the call continues ({self.status.value}).",
            setting="timeout",
            seconds=timeout,
            phase=Phase.STREAM,
            adapter=self.adapter,
            may_have_run=self.accepted,
        )

    def check_open(self) -> None:
        """Reject further input for a call that is over.

        Raises:
            LocalProtocolError: It is over.
        """
        if self.outcome is not None:
            raise LocalProtocolError(
                f"{self.endpoint.display_name} is over ({self.status.value}) and accepts no further input.",
                phase=Phase.STREAM,
                adapter=self.adapter,
            )

    def check_sent(self) -> None:
        """Raise the server's error reply to further input, if any."""
        error, self.exchange.send_error = self.exchange.send_error, None
        if error is not None and self.outcome is None:
            error.may_have_run = error.may_have_run or self.accepted
            error.adapter = error.adapter or self.adapter
            raise error

    def next_chunk(self, arguments: Sequence[Any]) -> Invocation:
        """Return the next chunk of a streaming input as an invocation. Its files are not uploaded yet."""
        self.check_open()
        chunk = attrs.evolve(self.invocation, data=self.endpoint.bind(arguments, {}))
        return self._session_state.app.check_values(chunk, self._session_state.config)

    @property
    def driver(self) -> CallDriver:
        """The driver of its session. Further input and cancellation require an opened call."""
        if self._driver is None:
            raise LocalProtocolError(
                f"{self.endpoint.display_name} is not submitted yet.", phase=Phase.UPLOAD
            )
        return self._driver

    def sending(self, arguments: Sequence[Any], timeout: float | None) -> Steps[None]:
        """Return the steps that send the next chunk of a streaming input; see `Call.send`."""
        return self.driver.send(self, arguments, timeout)

    def finishing(self, timeout: float | None) -> Steps[None]:
        """Return the steps that signal the end of the input; see `Call.finish`."""
        return self.driver.finish_input(self, timeout)

    def cancel_now(self) -> Sequence[Any]:
        """Cancel the call, and tell the server in the background; return an object to wait on."""
        if self.outcome is not None:
            return ()
        if self._driver is None or self.waits_for_retry:
            achieved = Achieved.NOT_STARTED if self._driver is None else Achieved.UNKNOWN
            self.end(Cancelled(event_id=self.event_id, achieved=achieved))
            return ()
        return self._driver.cancel(self)

    def achieved(self) -> Achieved:
        """Return the effect of a cancellation on the server."""
        end = self.outcome
        return end.achieved if isinstance(end, Cancelled) else Achieved.UNKNOWN


def outputs_of(event: Event) -> list[Any]:
    """Return the outputs of a call's terminal event.

    Raises:
        GradioTransportError: The call failed.
        CancelledError: The call was cancelled.
    """
    match event:
        case ProcessCompleted(error=None):
            return event.data
        case ProcessCompleted() | Failed():
            assert event.error is not None
            raise event.error
        case Cancelled():
            raise CancelledError(f"the call was cancelled ({event.achieved.value})")
        case _:
            raise LocalProtocolError(f"{type(event).__name__} is not the end of a call.")
