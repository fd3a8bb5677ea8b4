# SPDX-License-Identifier: Apache-2.0
"""`Call`: the public object of a call in progress."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..calls.method_timeout import check_timeout
from ..calls.views import CallView
from ..events import Achieved, Event
from .pending_call import PendingCall


class Call(CallView[PendingCall]):
    """A call in progress: iterate over it for its events, or ask for its result.

    Iterating yields every event up to the last one. It raises if the transport failed or the server refused.
    An error of the app's own function is the last event (`ProcessCompleted` with ``success`` false), and
    `result` raises it.
    """

    def __iter__(self) -> Iterator[Event]:
        return self.events()

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """Iterate over the events.

        Args:
            timeout: Seconds to wait for each event. After a timeout the call itself continues, and another
                iterator can read on.

        Raises:
            TimeoutExpired: No event arrived in time (``setting`` is ``"timeout"``), or a deadline of the call
                expired.
            GradioTransportError: The call failed.
        """
        check_timeout(timeout)
        return self._iterate(timeout)

    def _iterate(self, timeout: float | None) -> Iterator[Event]:
        # Why not the iterator of the pending call: it would not keep this call and its transport alive.
        yield from self._pending.events(timeout)

    def result(self, timeout: float | None = None) -> list[Any]:
        """Wait for the outputs.

        Args:
            timeout: Seconds to wait. After a timeout the call itself continues.

        Raises:
            AppError: The app's function raised.
            TimeoutExpired: The timeout expired (``setting`` is ``"timeout"``), or a deadline of the call
                expired.
            GradioTransportError: The call failed.
            CancelledError: The call was cancelled.
        """
        check_timeout(timeout)
        return self._pending.result(timeout)

    def send(self, *arguments: Any, timeout: float | None = None) -> None:
        """Send the next chunk of a streaming input (5.0+); the call itself sent the first one.

        Args:
            *arguments: Values of the endpoint's parameters, in order.
            timeout: Seconds for its files and the server's reply. After a timeout the call continues, and the
                chunk may have arrived.

        Raises:
            LocalProtocolError: The call is over.
            ServerRefused: The server accepts no more chunks: the time limit is reached.
            TimeoutExpired: The server did not reply in time.
            UnsupportedProtocol: The endpoint takes no streaming input.
            ValidationFailed: A value cannot be sent.
        """
        self._pending.connection.run(self._pending.sending(arguments, timeout))

    def finish(self, timeout: float | None = None) -> None:
        """Signal the end of the input; the call then completes. It does nothing if the call is over.

        Args:
            timeout: Seconds for the server's reply. After a timeout the call continues.

        Raises:
            TimeoutExpired: The server did not reply in time.
            UnsupportedProtocol: The endpoint takes no streaming input.
        """
        self._pending.connection.run(self._pending.finishing(timeout))

    def cancel(self, timeout: float | None = None) -> Achieved:
        """Stop waiting immediately and ask the server to cancel, if that server version supports it.

        Args:
            timeout: Seconds to wait for the server's reply; None does not wait. The request is sent in either
                case.

        Returns:
            The effect on the server; `Achieved.UNKNOWN` for a call that was already over.
        """
        check_timeout(timeout)
        return self._pending.cancel(timeout)
