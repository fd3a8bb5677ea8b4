# SPDX-License-Identifier: Apache-2.0
"""What a call asks of the driver of its session: `CallDriver`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..errors import GradioTransportError
from .steps import Steps


class CallDriver(Protocol):
    """What a call asks of the driver of its session."""

    def start(self, steps: Steps[Any]) -> None:
        """Perform steps in the background."""
        ...

    def fetch(self, call: Any) -> None:
        """Open the stream of a call that was joined without one; never waits."""
        ...

    def expire(self, call: Any, error: GradioTransportError) -> None:
        """End a call whose deadline is over."""
        ...

    def cancel(self, call: Any) -> Steps[None]:
        """Cancel a call now, and return the steps that tell the server."""
        ...

    def send(self, call: Any, arguments: Sequence[Any], timeout: float | None) -> Steps[None]:
        """Send the next chunk of a streaming input."""
        ...

    def finish_input(self, call: Any, timeout: float | None) -> Steps[None]:
        """Tell the server that no further chunk will come."""
        ...

    def report(self, error: Exception) -> None:
        """End the calls of the session for a fault of the library."""
        ...
