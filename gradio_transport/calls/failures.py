# SPDX-License-Identifier: Apache-2.0
"""Errors for calls that this side ends."""

from __future__ import annotations

from ..engines.interruptions import is_foreign
from ..errors import (
    GradioTransportError,
    LocalProtocolError,
    Phase,
    RemoteProtocolError,
    StreamLost,
)


def adapter_error(error: BaseException) -> GradioTransportError:
    """Return the error for calls that end because of an exception in an adapter."""
    if isinstance(error, GradioTransportError) or is_foreign(error):
        return internal_error(error)
    return _caused_by(
        error,
        RemoteProtocolError(
            f"The adapter could not handle what the server sent ({_shown(error)}). Please report it with a "
            "trace.",
            phase=Phase.STREAM,
            may_have_run=True,
        ),
    )


def internal_error(error: BaseException) -> GradioTransportError:
    """Return the error for calls that end because of an exception in the library, or in what it calls.

    An error of the library says itself what went wrong.
    """
    if isinstance(error, GradioTransportError):
        return error
    if is_foreign(error):
        message = f"The session was interrupted in the middle of a message ({_shown(error)})."
    else:
        message = f"The library failed during the call ({_shown(error)}). Please report it with a trace."
    return _caused_by(error, LocalProtocolError(message, phase=Phase.STREAM, may_have_run=True))


def callback_error(what: str, callback: object, error: Exception) -> GradioTransportError:
    """Return the error for a function of the caller's that raised: `what` it is for, such as ``"tap"``."""
    name = getattr(callback, "__qualname__", None) or type(callback).__qualname__
    message = f"The {what} {name} raised {_shown(error)}. It must not raise: catch the exception there."
    return _caused_by(error, LocalProtocolError(message, phase=Phase.STREAM))


def _shown(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _caused_by(cause: BaseException, error: GradioTransportError) -> GradioTransportError:
    error.__cause__ = cause
    return error


def copy_error(error: GradioTransportError) -> GradioTransportError:
    """Return another error that says the same.

    Why not one object for all calls: raising it adds a traceback, and ending a call adds notes, an adapter
    and a time, which are those of that call.
    """
    kind = type(error)
    copied = kind.__new__(kind, *error.args)
    Exception.__init__(copied, *error.args)
    copied.__dict__.update(error.__dict__)
    if hasattr(error, "__notes__"):
        copied.__notes__ = list(error.__notes__)
    copied.__cause__ = error.__cause__
    return copied


COLLECTED = "transport was garbage-collected, because nothing referred to it any more"


def collected_error() -> GradioTransportError:
    """Return the error for the use of what belongs to a transport that was collected."""
    return LocalProtocolError(
        f"The {COLLECTED}. Keep a reference to it while you use its sessions and files, and close it then."
    )


def closed_error(what: str) -> GradioTransportError:
    """Return the error for a call that ends because the caller closed what it runs in."""
    return LocalProtocolError(f"The {what} while the call was under way.", may_have_run=True)


def stream_lost_error() -> GradioTransportError:
    """Return the error for a call whose join is under way while its session's stream is lost and replaced."""
    return StreamLost(
        "The session's stream was lost while the call was being joined, so its messages would not arrive.",
        phase=Phase.STREAM,
        may_have_run=True,
    )
