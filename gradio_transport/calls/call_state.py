# SPDX-License-Identifier: Apache-2.0
"""What both faces know of a call: its deadlines, its events, its end, and its errors."""

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
from .forwarding import forwarded
from .handle import Handle
from .mailbox import Mailbox
from .options import CallOptions
from .tap import Wire

_PHASES = {State.IDLE: Phase.UPLOAD, State.JOINING: Phase.JOIN}
"""Where a call is before anything has come of it: one that is not started waits for its files."""


class CallState:
    """What a call of either face is, but for how it waits: what it knows, and what it has been told.

    Not safe against threads: the sync face holds its condition where it changes.
    """

    def __init__(
        self,
        app: App,
        wire: Wire,
        exchange: Exchange,
        options: CallOptions,
        deadlines: Deadlines,
        files: FileReader | None,
    ) -> None:
        self._wire = wire
        self._exchange = exchange
        self._files = files
        self._options = options
        self._averages = app.averages
        self._pauses = delays(app.options.retry) if options.repeatable else iter(())
        self._attempt = 1
        self._between = False
        self._asked = exchange.invocation.event_id is not None
        self._submitted = deadlines.clock()
        self._download_to = options.download_files
        self._listener = options.listener
        self.headers: Mapping[str, str] = {**forwarded(), **(options.headers or {})}
        limits = exchange.context.limits
        self._mailbox = Mailbox(limits.mailbox_bytes, limits.mailbox_policy)
        self._mailbox.unread = options.listener is not None
        self._read = False
        self._outcome: Event | None = None
        self._deadlines = deadlines

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("A call is not pickled, because it lives on a connection of its process.")

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
        return self._wire.adapter

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

    @property
    def deadline(self) -> float | None:
        """When the next of the call's deadlines is over, by `time.monotonic`; None if there is none."""
        return self._deadlines.next if self._outcome is None else None

    def _reads(self) -> None:
        """Take note that the events are read from now on."""
        self._read, self._mailbox.unread = True, False

    def _awaits_result(self) -> None:
        """Take note that the result is waited for; the events are not, unless somebody reads them."""
        self._mailbox.unread = not self._read

    def _told(self) -> bool:
        """Return whether there is something to read: an event, or the end."""
        return len(self._mailbox) > 0 or self._outcome is not None

    def _take(self, event: Event, size: int) -> bool:
        """Take an event, and return whether it is the end."""
        if self._files is not None and isinstance(event, WITH_OUTPUTS):
            data = self._files.outputs(event.data, self.endpoint.outputs)
            event = event if data is event.data else attrs.evolve(event, data=data)
        if isinstance(event, Joined):
            if self._exchange.fetched:
                self._deadlines.accepted()
        elif not isinstance(event, Heartbeat):
            self._deadlines.heard()
        if isinstance(event, Failed):
            self._complete(event.error)
        self._mailbox.put(event, size)
        if self._listener is not None:
            self._listener(event)
        if not event.terminal or self._outcome is not None:
            return False
        self._outcome = event
        if isinstance(event, ProcessCompleted) and event.average_duration is not None:
            self._averages[self.endpoint.fn_index] = event.average_duration
        return True

    def _begins(self) -> None:
        """Take note that something is sent for the call now."""
        self._asked = True

    def _complete(self, error: GradioTransportError) -> None:
        """Add to the error of a call what only its driver knows."""
        if self._attempt > 1:  # an earlier try had been accepted
            error.may_have_run = True
        elif not self._asked:
            error.may_have_run = False
        if error.elapsed is None:
            error.elapsed = self._deadlines.clock() - self._submitted

    @property
    def _overdue(self) -> TimeoutExpired | None:
        """The error for the deadline of the whole call that has expired, or None."""
        expired = self._deadlines.setting() if self._outcome is None else None
        if expired is None:
            return None
        setting, seconds = expired
        last, state = self._exchange.last_event, self._exchange.state
        return TimeoutExpired(
            f"The call was not complete within {seconds} s (state {state.value}, last heard: "
            f"{'nothing' if last is None else type(last).__name__}). Raise Timeouts({setting}=) if it may take "
            "longer.",
            setting=setting,
            seconds=seconds,
            phase=_PHASES.get(state, Phase.STREAM),
            may_have_run=self._exchange.accepted,
        )

    # --- late attach ---------------------------------------------------------------------------------

    def _fetch_at(self) -> float | None:
        """Return when the stream is opened without being asked for; None: only when asked."""
        if self._exchange.fetched:
            return None
        after = self._options.fetch_after
        if after is None:
            after = self._averages.get(self.endpoint.fn_index)
        return None if after is None else self._submitted + after

    @property
    def _fetched_when_asked(self) -> bool:
        return not self._exchange.fetched and self._options.fetch_after is None

    def handle(self) -> Handle:
        """Return what another process needs to fetch the result: see `Handle`, and `Transport.attach`.

        The call stays as it is here, and so must be left alone once the other process fetches it: the server
        gives every message once, to whoever reads it first. No other call may be made in its session, which
        is why ``CallOptions(attach="late", own_session=True)`` is the way to make such a call.

        Raises:
            LocalProtocolError: The server has not accepted the call (yet), it is over, or a stream that is
                open here takes its messages.
        """
        machine, exchange = self._wire.machine, self._exchange
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

    def _repeated_after(self, failed: Failed) -> float | None:
        """Return the seconds after which a call that ended in this way is submitted again; None: never.

        Only the loss of an accepted call's stream counts, and only if the caller declared that the function
        may run twice: a join that may have been accepted is never made again.
        """
        error = failed.error
        if self._outcome is not None:
            return None
        if not isinstance(error, StreamLost | SessionNotFound) or error.phase is not Phase.STREAM:
            return None
        pause = next(self._pauses, None)
        remaining = self._deadlines.remaining
        return None if pause is None or (remaining is not None and pause >= remaining) else pause

    def _between_tries(self, error: GradioTransportError) -> Event:
        """Take note that the call is to be submitted again, and return the event that says so."""
        self._between = True
        self._attempt += 1
        self._deadlines.heard()
        return Resubmitted(attempt=self._attempt, error=error)

    @property
    def _invocation_again(self) -> Invocation:
        """What the next try is made of: once the result was asked for, the stream is opened at once."""
        invocation = self._exchange.invocation
        asked = self._exchange.fetched and self._options.fetch_after is None
        return attrs.evolve(invocation, late=False) if asked else invocation

    def _again(self, wire: Wire, exchange: Exchange) -> None:
        """Go on with another try."""
        self._between = False
        self._wire, self._exchange = wire, exchange
        self._submitted = self._deadlines.clock()

    def _result(self, timeout: float | None) -> list[Any]:
        """Return the outputs, or raise what came instead; without an outcome the wait was given up."""
        if self._outcome is None:
            raise self._impatient(timeout)
        return outcome(self._outcome)

    def _impatient(self, timeout: float | None) -> TimeoutExpired:
        """Return the error for a wait that was given up while the call goes on."""
        return TimeoutExpired(
            f"Nothing to give within {timeout} s; the call goes on ({self.status.value}).",
            setting="timeout",
            seconds=timeout,
            phase=Phase.STREAM,
            adapter=self.adapter,
            may_have_run=self._exchange.accepted,
        )

    def _check_open(self) -> None:
        """Refuse further input for a call that is over.

        Raises:
            LocalProtocolError: It is over.
        """
        if self._outcome is not None:
            raise LocalProtocolError(
                f"{self.endpoint.display_name} is over ({self.status.value}) and takes no further input.",
                phase=Phase.STREAM,
                adapter=self.adapter,
            )

    def _check_sent(self) -> None:
        """Raise what the server answered to further input, if it was no success."""
        error, self._exchange.send_error = self._exchange.send_error, None
        if error is not None and self._outcome is None:
            error.adapter = error.adapter or self.adapter
            raise error

    def _chunk(self, arguments: Sequence[Any]) -> Invocation:
        """Return the next chunk of a streaming input as an invocation; its files are still to be placed."""
        self._check_open()
        return attrs.evolve(self._exchange.invocation, data=self.endpoint.bind(arguments, {}))

    def _allowance(self, timeout: float | None, what: str) -> Allowance:
        what = f"The answer to {what}"
        return Allowance(timeout, what, Phase.STREAM, may_have_run=self._exchange.accepted)

    def _achieved(self) -> Achieved:
        end = self._outcome
        return end.achieved if isinstance(end, Cancelled) else Achieved.UNKNOWN


def outcome(event: Event) -> list[Any]:
    """Return the outputs of a call's terminal event.

    Raises:
        GradioTransportError: The call failed.
        CancelledError: Somebody cancelled it.
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
