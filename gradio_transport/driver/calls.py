# SPDX-License-Identifier: Apache-2.0
"""What both faces know of a call: its deadlines, its events, its end, and its errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any, Self

import attrs

from ..adapter import Exchange, Invocation
from ..backoff import delays
from ..config import Endpoint
from ..errors import (
    GradioTransportError,
    LocalProtocolError,
    Phase,
    RemoteProtocolError,
    SessionNotFound,
    StreamLost,
    Timeout,
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
from ..files import FileReader
from ..flow import State
from ..forwarding import forwarded
from ..handle import Handle
from ..mailbox import Mailbox
from ..policy import Timeouts
from ..wire import Wire
from .app import App
from .options import CallOptions


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
        self._submitted = deadlines.clock()
        self._download_to = options.download_files
        self._listener = options.listener
        self.headers: Mapping[str, str] = {**forwarded(), **(options.headers or {})}
        limits = exchange.context.limits
        self._mailbox = Mailbox(limits.mailbox_bytes, limits.mailbox_policy)
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
        self._mailbox.put(event, size)
        if self._listener is not None:
            self._listener(event)
        if not event.terminal or self._outcome is not None:
            return False
        self._outcome = event
        if isinstance(event, ProcessCompleted) and event.average_duration is not None:
            self._averages[self.endpoint.fn_index] = event.average_duration
        return True

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

    def _repeated_after(self, event: Event) -> float | None:
        """Return the seconds after which a call that ended in this way is submitted again; None: never.

        Only the loss of an accepted call's stream counts, and only if the caller declared that the function
        may run twice: a join that may have been accepted is never made again.
        """
        if not isinstance(event, Failed) or self._outcome is not None:
            return None
        error = event.error
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

    def _impatient(self, timeout: float | None) -> Timeout:
        """Return the error for a wait that was given up while the call goes on."""
        return Timeout(
            f"Nothing to give within {timeout} s; the call goes on ({self.status.value}).",
            knob="timeout",
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


_UNTIL_ACCEPTED = {State.IDLE: Phase.UPLOAD, State.JOINING: Phase.JOIN}
"""A call that is not started yet waits for its files."""


def expired(knob: str, seconds: float | None, exchange: Exchange) -> Timeout:
    """Return the error for a deadline of a whole call."""
    last = type(exchange.last_event).__name__ if exchange.last_event is not None else "nothing"
    return Timeout(
        f"The call was not complete within {seconds} s (state {exchange.state.value}, last heard: {last}). "
        f"Raise Timeouts({knob}=) if it may take longer.",
        knob=knob,
        seconds=seconds,
        phase=_UNTIL_ACCEPTED.get(exchange.state, Phase.STREAM),
        may_have_run=exchange.accepted,
    )


def given_up(what: str, seconds: float | None, phase: Phase) -> Timeout:
    """Return the error for a ``timeout=`` of one method that is over."""
    return Timeout(
        f"{what} was not there within timeout={seconds} s.", knob="timeout", seconds=seconds, phase=phase
    )


class Allowance:
    """The seconds that a caller allows one blocking method: ``with Allowance(timeout, ...) as allowed``.

    A `Timeout` that leaves the block once they are over names ``timeout`` as its knob.
    """

    def __init__(self, seconds: float | None, what: str, phase: Phase) -> None:
        self._seconds = seconds
        self._what = what
        self._phase = phase
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def remaining(self) -> float | None:
        """Seconds that are left, or None if there is no bound."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Raise if they are over.

        Raises:
            Timeout: They are.
        """
        if self.remaining == 0.0:
            raise given_up(self._what, self._seconds, self._phase)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Whoever waited for the rest of the time may have been woken a little early.
        remaining = self.remaining
        if isinstance(error, Timeout) and remaining is not None and remaining < 0.01:
            raise given_up(self._what, self._seconds, self._phase) from error


def internal_failure(error: BaseException) -> GradioTransportError:
    """Return the error for a fault of an adapter or of this library: nobody may hang for it."""
    failure = RemoteProtocolError(
        f"The adapter could not handle what the server sent ({type(error).__name__}: {error}). Please report "
        "it with a trace.",
        phase=Phase.STREAM,
        may_have_run=True,
    )
    failure.__cause__ = error
    return failure


def closed_under_way(what: str) -> GradioTransportError:
    """Return the error for a call that ends because the caller closed what it runs in."""
    return LocalProtocolError(f"The {what} while the call was under way.", may_have_run=True)


def lost_under_way() -> GradioTransportError:
    """Return the error for a call whose join is under way while its session's stream is lost and replaced."""
    return StreamLost(
        "The session's stream was lost while the call was being joined, so nobody would bring its messages.",
        phase=Phase.STREAM,
        may_have_run=True,
    )


@attrs.define
class Deadlines:
    """The deadlines of one call, in seconds of the driver's clock."""

    timeouts: Timeouts
    clock: Callable[[], float]
    total: float | None = attrs.field(init=False, default=None)
    first: float | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        if self.timeouts.total is not None:
            self.total = self.clock() + self.timeouts.total

    def accepted(self) -> None:
        """Begin to wait for the first message."""
        if self.timeouts.first_message is not None:
            self.first = self.clock() + self.timeouts.first_message

    def heard(self) -> None:
        """Take note that a message came."""
        self.first = None

    @property
    def next(self) -> float | None:
        """The earliest deadline."""
        return min((one for one in (self.total, self.first) if one is not None), default=None)

    @property
    def finer_than_silence(self) -> bool:
        """Whether somebody has to watch them, because the bound on silence would not be enough."""
        first, idle = self.timeouts.first_message, self.timeouts.idle
        return self.total is not None or (first is not None and (idle is None or first < idle))

    @property
    def remaining(self) -> float | None:
        """Seconds until the total deadline."""
        return None if self.total is None else self.total - self.clock()

    def knob(self) -> tuple[str, float | None] | None:
        """Return the knob that has expired, with its value, or None."""
        now = self.clock()
        if self.total is not None and now >= self.total:
            return "total", self.timeouts.total
        if self.first is not None and now >= self.first:
            return "first_message", self.timeouts.first_message
        return None
