# SPDX-License-Identifier: Apache-2.0
"""`CallDriver`: the interface of a call to the driver of its session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..errors import GradioTransportError
from .steps import Steps


class CallDriver(Protocol):
    """The interface of a call to the driver of its session."""

    def start(self, steps: Steps[Any], call: Any) -> None:
        """Perform steps of a call in the background."""
        ...

    def fetch(self, call: Any) -> None:
        """Open the stream of a call that was joined without one, without waiting."""
        ...

    def abandon(self, call: Any, error: GradioTransportError, *, tell: bool = False) -> None:
        """End a call with an error of the client. With `tell`, send the server a cancellation."""
        ...

    def cancel(self, call: Any) -> Sequence[Any]:
        """Cancel a call now, and tell the server in the background; return an object to wait on."""
        ...

    def send(self, call: Any, arguments: Sequence[Any], timeout: float | None) -> Steps[None]:
        """Send the next chunk of a streaming input."""
        ...

    def finish_input(self, call: Any, timeout: float | None) -> Steps[None]:
        """Tell the server that the streaming input has ended."""
        ...
