# SPDX-License-Identifier: Apache-2.0
"""`Call`: one call under way, as its caller sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..calls.method_timeout import check_timeout
from ..calls.views import CallView
from ..events import Achieved, Event
from .pending_call import PendingCall


class Call(CallView[PendingCall]):
    """A call in progress: iterate it for its events, or ask for its result.

    Iterating yields every event up to the last one, and raises when the transport failed or the server
    refused; an error of the app's own function is the last event (`ProcessCompleted` with ``success`` false)
    and is raised by `result`.
    """

    def __iter__(self) -> Iterator[Event]:
        return self.events()

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
        check_timeout(timeout)
        return self._iterate(timeout)

    def _iterate(self, timeout: float | None) -> Iterator[Event]:
        # Why not the iterator of the pending call: it would not keep this call, nor so its transport.
        yield from self._pending.events(timeout)

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
        check_timeout(timeout)
        return self._pending.result(timeout)

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
            ValidationFailed: A value cannot be sent.
        """
        self._pending.connection.run(self._pending.sending(arguments, timeout))

    def finish(self, timeout: float | None = None) -> None:
        """Say that no further chunk will come; the call then completes. Nothing happens if it is over.

        Args:
            timeout: Seconds for the server's answer; the call goes on when they are over.

        Raises:
            TimeoutExpired: The server did not answer in time.
            UnsupportedProtocol: The endpoint takes no streaming input.
        """
        self._pending.connection.run(self._pending.finishing(timeout))

    def cancel(self, timeout: float | None = None) -> Achieved:
        """Stop waiting immediately and ask the server to cancel, if that server version supports it.

        Args:
            timeout: Seconds to wait for the server's answer; None: do not wait. The server is told in either
                case.

        Returns:
            What that achieves on the server; `Achieved.UNKNOWN` for a call that was already over.
        """
        check_timeout(timeout)
        return self._pending.cancel(timeout)
