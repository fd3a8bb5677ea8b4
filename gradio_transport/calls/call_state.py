# SPDX-License-Identifier: Apache-2.0
"""The state of a call on both faces: its deadlines, its events, its end, and its errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from typing import Any

import attrs

from ..adapter.exchange import Exchange, Invocation
from ..app.config import Endpoint
from ..errors import (
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
from ..protocol.flow import State
from .app import App
from .backoff import delays
from .deadline import Allowance, Deadlines
from .forwarding import forwarded_headers
from .handle import Handle
from .mailbox import Mailbox
from .options import CallOptions
from .tap import TappedSession

_PHASES = {State.IDLE: Phase.UPLOAD, State.JOINING: Phase.JOIN}
"""Where a call is before anything has come of it: one that is not started waits for its files."""


class CallState:
    """The state of a call of either face: everything but how it waits.

    Not safe against threads: the sync face holds its lock where it changes.
    """

    def __init__(
        self,
        app: App,
        tapped: TappedSession,
        exchange: Exchange,
        options: CallOptions,
        deadlines: Deadlines,
        files: FileReader | None,
    ) -> None:
        self.tapped = tapped
        self.exchange = exchange
        self._file_reader = files
        self.options = options
        self._averages = app.averages
        self._pauses = delays(app.options.retry) if options.repeatable else iter(())
        self._attempt = 1
        self.waits_for_retry = False
        self._has_request = exchange.invocation.event_id is not None
        self._submitted = deadlines.clock()
        self.download_directory = options.download_files
        self._listener = options.listener
        self.headers: Mapping[str, str] = {**forwarded_headers(), **(options.headers or {})}
        limits = exchange.context.limits
        self.mailbox = Mailbox(limits.mailbox_bytes, limits.mailbox_policy)
        self.mailbox.unread = options.listener is not None
        self._events_read = False
        self.outcome: Event | None = None
        self.deadlines = deadlines

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint that is called."""
        return self.exchange.invocation.endpoint

    @property
    def event_id(self) -> str | None:
        """The server's name for the call, once it has one."""
        return self.exchange.event_id

    @property
    def session_hash(self) -> str:
        """The session it belongs to."""
        return self.exchange.context.session_hash

    @property
    def adapter(self) -> str:
        """The protocol it goes by."""
        return self.tapped.adapter

    @property
    def status(self) -> State:
        """Where it stands."""
        return self.exchange.state

    @property
    def last_event(self) -> Event | None:
        """The newest event that has come, read or not."""
        return self.exchange.last_event

    @property
    def deviations(self) -> Sequence[str]:
        """What came out of the order of the flow: no error, but worth a look when debugging a server."""
        return tuple(self.exchange.deviations)

    def done(self) -> bool:
        """Return whether the outcome is known."""
        return self.outcome is not None

    @property
    def deadline(self) -> float | None:
        """When the next of the call's deadlines is over, by `time.monotonic`; None if there is none."""
        return self.deadlines.next if self.outcome is None else None

    def start_reading(self) -> None:
        """Keep the events from now on: a caller reads them."""
        self._events_read, self.mailbox.unread = True, False

    def start_awaiting_result(self) -> None:
        """Let old events be dropped, unless the caller has begun to read: it waits for the result alone."""
        self.mailbox.unread = not self._events_read

    def is_readable(self) -> bool:
        """Return whether there is something to read: an event, or the end."""
        return len(self.mailbox) > 0 or self.outcome is not None

    def take(self, event: Event, size: int) -> bool:
        """Take an event, and return whether it is the end."""
        if self._file_reader is not None and isinstance(event, WITH_OUTPUTS):
            data = self._file_reader.outputs(event.data, self.endpoint.outputs)
            event = event if data is event.data else attrs.evolve(event, data=data)
        if isinstance(event, Joined):
            if self.exchange.fetched:
                self.deadlines.start_first_message()
        elif not isinstance(event, Heartbeat):
            self.deadlines.clear_first_message()
        if isinstance(event, Failed):
            self._complete_error(event.error)
        self.mailbox.put(event, size)
        if self._listener is not None:
            self._listener(event)
        if not event.terminal or self.outcome is not None:
            return False
        self.outcome = event
        if isinstance(event, ProcessCompleted) and event.average_duration is not None:
            self._averages[self.endpoint.fn_index] = event.average_duration
        return True

    def record_request(self) -> None:
        """Record that a request of the call is sent now: from then on the function may have run."""
        self._has_request = True

    def _complete_error(self, error: GradioTransportError) -> None:
        """Add to the error of a call what the session does not know: the tries, and the time they took."""
        if self._attempt > 1:  # an earlier try had been accepted
            error.may_have_run = True
        elif not self._has_request:
            error.may_have_run = False
        if error.elapsed is None:
            error.elapsed = self.deadlines.clock() - self._submitted

    @property
    def expiry(self) -> TimeoutExpired | None:
        """The error for the deadline of the whole call that has expired, or None."""
        expired = self.deadlines.setting() if self.outcome is None else None
        if expired is None:
            return None
        setting, seconds = expired
        last, state = self.exchange.last_event, self.exchange.state
        return TimeoutExpired(
            f"The call was not complete within {seconds} s (state {state.value}, last heard: "
            f"{'nothing' if last is None else type(last).__name__}). Raise Timeouts({setting}=) if it may "
            "take longer.",
            setting=setting,
            seconds=seconds,
            phase=_PHASES.get(state, Phase.STREAM),
            may_have_run=self.exchange.accepted,
        )

    # --- late attach ---------------------------------------------------------------------------------

    def fetch_time(self) -> float | None:
        """Return when the stream is opened without being asked for; None: only when asked."""
        if self.exchange.fetched:
            return None
        after = self.options.fetch_after
        if after is None:
            after = self._averages.get(self.endpoint.fn_index)
        return None if after is None else self._submitted + after

    @property
    def needs_fetch(self) -> bool:
        """Whether asking for the result opens the stream."""
        return not self.exchange.fetched and self.options.fetch_after is None

    def handle(self) -> Handle:
        """Return what another process needs to fetch the result: see `Handle`, and `Transport.attach`.

        The call stays as it is here, and so must be left alone once the other process fetches it: the server
        sends every message once, to the first reader. No other call may be made in its session, which
        is why ``CallOptions(attach="late", own_session=True)`` is the way to make such a call.

        Raises:
            LocalProtocolError: The server has not accepted the call (yet), it is over, or a stream that is
                open here takes its messages.
        """
        machine, exchange = self.tapped.session, self.exchange
        if self.done() or exchange.event_id is None:
            why = (
                f"is over ({self.status.value})" if self.done() else "has not been accepted by the server yet"
            )
        elif exchange.fetched or getattr(machine, "streaming", False):
            why = "has a stream here, which takes its messages: submit it with CallOptions(attach='late')"
        elif machine.shared and len(machine.active) > 1:
            why = "shares its session with other calls: submit it with CallOptions(own_session=True)"
        else:
            return Handle(
                url=exchange.context.urls.base,
                session_hash=self.session_hash,
                event_id=exchange.event_id,
                fn_index=self.endpoint.fn_index,
                endpoint=self.endpoint.name,
                protocol=self.adapter,
                gradio_version=exchange.context.config.version,
            )
        raise LocalProtocolError(
            f"There is no handle of this call of {self.endpoint.display_name}: it {why}."
        )

    # --- repetition ----------------------------------------------------------------------------------

    def retry_pause(self, failed: Failed) -> float | None:
        """Return the seconds after which a call that ended in this way is submitted again; None: never.

        Only the loss of an accepted call's stream counts, and only if the caller declared that the function
        may run twice: a join that may have been accepted is never made again.
        """
        error = failed.error
        if self.outcome is not None:
            return None
        if not isinstance(error, StreamLost | SessionNotFound) or error.phase is not Phase.STREAM:
            return None
        pause = next(self._pauses, None)
        remaining = self.deadlines.remaining
        return None if pause is None or (remaining is not None and pause >= remaining) else pause

    def start_retry(self, error: GradioTransportError) -> Event:
        """Record that the call will be submitted again, and return the event that says so."""
        self.waits_for_retry = True
        self._attempt += 1
        self.deadlines.clear_first_message()
        return Resubmitted(attempt=self._attempt, error=error)

    @property
    def next_invocation(self) -> Invocation:
        """The invocation of the next try: once the result was asked for, the stream is opened at once."""
        invocation = self.exchange.invocation
        asked = self.exchange.fetched and self.options.fetch_after is None
        return attrs.evolve(invocation, late=False) if asked else invocation

    def start_try(self, tapped: TappedSession, exchange: Exchange) -> None:
        """Go on with another try."""
        self.waits_for_retry = False
        self.tapped, self.exchange = tapped, exchange
        self._submitted = self.deadlines.clock()

    def outputs(self, timeout: float | None) -> list[Any]:
        """Return the outputs, or raise the error; without an outcome the wait has timed out."""
        if self.outcome is None:
            raise self.wait_error(timeout)
        return outputs_of(self.outcome)

    def wait_error(self, timeout: float | None) -> TimeoutExpired:
        """Return the error for a wait that timed out while the call goes on."""
        return TimeoutExpired(
            f"No result within {timeout} s; the call goes on ({self.status.value}).",
            setting="timeout",
            seconds=timeout,
            phase=Phase.STREAM,
            adapter=self.adapter,
            may_have_run=self.exchange.accepted,
        )

    def check_open(self) -> None:
        """Refuse further input for a call that is over.

        Raises:
            LocalProtocolError: It is over.
        """
        if self.outcome is not None:
            raise LocalProtocolError(
                f"{self.endpoint.display_name} is over ({self.status.value}) and takes no further input.",
                phase=Phase.STREAM,
                adapter=self.adapter,
            )

    def check_sent(self) -> None:
        """Raise what the server answered to further input, if it was no success."""
        error, self.exchange.send_error = self.exchange.send_error, None
        if error is not None and self.outcome is None:
            error.adapter = error.adapter or self.adapter
            raise error

    def next_chunk(self, arguments: Sequence[Any]) -> Invocation:
        """Return the next chunk of a streaming input as an invocation; its files are still to be placed."""
        self.check_open()
        return attrs.evolve(self.exchange.invocation, data=self.endpoint.bind(arguments, {}))

    def allowance(self, timeout: float | None, what: str) -> Allowance:
        """Return the bound on one method's wait for the server."""
        what = f"The answer to {what}"
        return Allowance(timeout, what, Phase.STREAM, may_have_run=self.exchange.accepted)

    def achieved(self) -> Achieved:
        """Return what a cancellation achieved on the server."""
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
