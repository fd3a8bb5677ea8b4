# SPDX-License-Identifier: Apache-2.0
"""`Call`: one call under way, as its caller sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..app.config import Endpoint
from ..calls.handle import Handle
from ..calls.representation import describe_call
from ..events import Achieved, Event
from ..protocol.flow import State
from .pending_call import PendingCall


class Call:
    """A call in progress: iterate it for its events, or ask for its result.

    Iterating yields every event up to the last one, and raises when the transport failed or the server
    refused; an error of the app's own function is the last event (`ProcessCompleted` with ``success`` false)
    and is raised by `result`.
    """

    def __init__(self, pending: PendingCall) -> None:
        self._pending = pending

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("A call is not pickled, because it lives on a connection of its process.")

    def __repr__(self) -> str:
        return describe_call("Call", self._pending)

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint that is called."""
        return self._pending.endpoint

    @property
    def event_id(self) -> str | None:
        """The server's name for the call, once it has one."""
        return self._pending.event_id

    @property
    def session_hash(self) -> str:
        """The session the call belongs to."""
        return self._pending.session_hash

    @property
    def adapter(self) -> str:
        """The protocol of the call, such as ``"sse_v3"``."""
        return self._pending.adapter

    @property
    def status(self) -> State:
        """The state of the call."""
        return self._pending.status

    @property
    def last_event(self) -> Event | None:
        """The newest event that has come, read or not."""
        return self._pending.last_event

    @property
    def deviations(self) -> Sequence[str]:
        """Messages that came out of order: no error, but worth a look when you debug a server."""
        return self._pending.deviations

    @property
    def deadline(self) -> float | None:
        """When the next deadline of the call expires, by `time.monotonic`; None if there is none."""
        return self._pending.deadline

    def done(self) -> bool:
        """Return whether the outcome is known."""
        return self._pending.done()

    def add_done_callback(self, callback: Callable[[Call], object]) -> None:
        """Call `callback` with this call once it is done, from the thread that receives the end.

        That is often the reader of the session's stream: a callback must not wait for a call of the same
        session, because its messages would not be read meanwhile.
        """
        self._pending.add_done_callback(lambda: callback(self))

    def __iter__(self) -> Iterator[Event]:
        return self._pending.events()

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """Iterate over the events.

        Args:
            timeout: Seconds to wait for each one. When they are over, the call itself goes on, and another
                iterator may read on.

        Raises:
            TimeoutExpired: Nothing came in time (``setting`` is ``"timeout"``), or a deadline of the call
                expired.
            GradioTransportError: The call failed.
        """
        return self._pending.events(timeout)

    def result(self, timeout: float | None = None) -> list[Any]:
        """Wait for the outputs.

        Args:
            timeout: Seconds to wait here; the call itself goes on when they are over.

        Raises:
            AppError: The app's function raised.
            TimeoutExpired: The time is over (``setting`` is ``"timeout"``), or a deadline of the call
                expired.
            GradioTransportError: The call failed.
            CancelledError: The call was cancelled.
        """
        return self._pending.result(timeout)

    def fetch(self) -> None:
        """Open the stream of a call that was made with ``attach="late"``, without waiting for anything.

        `result` and iteration do so themselves, unless ``fetch_after`` says when. Nothing happens if it is
        open, or the call over.
        """
        self._pending.fetch()

    def handle(self) -> Handle:
        """Return what another process needs to fetch the result: see `Handle`, and `Transport.attach`.

        The call stays as it is here, and so must be left alone once the other process fetches it: the server
        gives every message once, to the first reader. No other call may be made in its session, which is why
        ``CallOptions(attach="late", own_session=True)`` is the way to make such a call.

        Raises:
            LocalProtocolError: The server has not accepted the call (yet), it is over, or a stream that is
                open here takes its messages.
        """
        return self._pending.handle()

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
        self._pending.send(arguments, timeout)

    def finish(self, timeout: float | None = None) -> None:
        """Say that no further chunk will come; the call then completes. Nothing happens if it is over.

        Args:
            timeout: Seconds for the server's answer; the call goes on when they are over.

        Raises:
            TimeoutExpired: The server did not answer in time.
            UnsupportedProtocol: The endpoint takes no streaming input.
        """
        self._pending.finish(timeout)

    def cancel(self, timeout: float | None = None) -> Achieved:
        """Stop waiting immediately and ask the server to cancel, if that server version supports it.

        Args:
            timeout: Seconds to wait for the server's answer, ``Timeouts(connect=)`` if None.

        Returns:
            What that achieves on the server; `Achieved.UNKNOWN` for a call that was already over.
        """
        return self._pending.cancel(timeout)


__all__ = ["Call"]
