# SPDX-License-Identifier: Apache-2.0
"""Serves the messages of the caller's own trace, if the trace contains the necessary data."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager

from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Trace

from .reenact import Reenactment
from .reenact.app import RecordedApp
from .reenact.generation import Generation
from .reenact.serving import serve_traces
from .replay.recording import Recording

_VERSION = re.compile(r"\d+\.\d+(\.\w+)*")


class CannotServeMessages(ValueError):
    """The messages of a trace cannot be served. The text, after 'the trace', says what is missing."""


@contextmanager
def serve_own_trace(trace: Trace, *, port: int = 0) -> Generator[Reenactment, None, None]:
    """Serve a trace to any client, message by message, as its Gradio version would.

    Args:
        trace: A trace of one app, recorded from the start of a client on.
        port: Port on the loopback; 0 chooses a free one.

    Raises:
        CannotServeMessages: The trace lacks necessary data.
        ImportError: aiohttp is missing.
        OSError: The port is in use.
    """
    version = _version_of(trace)
    app = _app_of(version, trace)
    if app.config is None and not app.protected:
        raise CannotServeMessages(
            "has no reply to /config. Start the recording before the client connects, as the recording "
            "proxy does."
        )
    if app.protected:
        raise CannotServeMessages(
            "is of an app that requires a login. A trace has no passwords, so no login could be checked."
        )
    with serve_traces(version, [("trace", trace), *_shown_address(trace)], port=port) as served:
        yield served


def _version_of(trace: Trace) -> str:
    version = trace.meta.get("gradio")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise CannotServeMessages(
            "does not contain the Gradio version, which determines the replies. It is in the reply to "
            "/config; start the recording before the client connects."
        )
    return version


def _app_of(version: str, trace: Trace) -> RecordedApp:
    try:
        return RecordedApp.of(Generation(version), [("trace", trace)])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CannotServeMessages(
            f"has a config or messages that no Gradio version sends: {type(error).__name__}: {error}."
        ) from error


def _shown_address(trace: Trace) -> list[tuple[str, Trace]]:
    """Return a trace with the address of the recording proxy, so that it is replaced too."""
    shown = Recording(trace).shown
    if not shown:
        return []
    payload = {"adapter": "", "session_hash": "", "source": shown}
    return [("address", Trace(trace.meta, (Frame(0.0, Direction.LOCAL, Kind.SESSION, "", payload, 1),)))]


__all__ = ["CannotServeMessages", "serve_own_trace"]
