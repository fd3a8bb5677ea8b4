# SPDX-License-Identifier: Apache-2.0
"""The server of the conformance kit that replays a trace."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from typing import Protocol

from ..protocol.frames import Kind
from ..trace import Trace
from .failures import Misuse

_KIT = "gradio_transport_conformance.replay.server"
_WEBSOCKETS = "gradio_transport_conformance.replay.websockets"
"""The module that the server imports for its first websocket: too late to report a missing package."""


class Served(Protocol):
    """A running server."""

    @property
    def url(self) -> str:
        """Its URL."""
        ...


class Heard(Protocol):
    """A client's request, as the conformance kit reports it."""

    @property
    def method(self) -> str:
        """Its method; ``"WS"`` for a websocket."""
        ...

    @property
    def target(self) -> str:
        """Path and query."""
        ...

    @property
    def status(self) -> int | None:
        """The status of the reply; None if the connection breaks."""
        ...

    @property
    def refusal(self) -> str:
        """The reason why the server refused the request, or empty."""
        ...


def replay_server(
    trace: Trace,
    *,
    speed: float,
    port: int = 0,
    strict: bool = False,
    log: Callable[[Heard], None] | None = None,
) -> contextlib.AbstractContextManager[Served]:
    """Return a context manager of a local server that replays a trace.

    Imported by name, because the kit is a separate package that may be missing and that the core does not
    import.

    Args:
        trace: The trace to replay.
        speed: 1.0 keeps the recorded pace, 2.0 is twice as fast, 0 does not wait.
        port: The port; 0 chooses a free one.
        strict: Refuse requests that differ from the recording.
        log: Called with each request, from the thread of its connection.

    Raises:
        Misuse: The kit is missing, or a package that it needs for this trace.
    """
    sockets = any(frame.kind is Kind.WS_OPEN for frame in trace.frames)
    try:
        kit = importlib.import_module(_KIT)
        if sockets:
            importlib.import_module(_WEBSOCKETS)
    except ImportError as error:
        why = "The trace has websockets, for which" if sockets else "To serve a trace,"
        advice = "pip install 'gradio-transport[conformance]'"
        raise Misuse(f"{why} {error.name} is missing. Install it with: {advice}") from error
    server: contextlib.AbstractContextManager[Served] = kit.serve(
        trace, speed=speed, port=port, strict=strict, log=log
    )
    return server
