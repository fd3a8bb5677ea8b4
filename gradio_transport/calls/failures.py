# SPDX-License-Identifier: Apache-2.0
"""Errors for calls that this side ends."""

from __future__ import annotations

from ..errors import (
    GradioTransportError,
    LocalProtocolError,
    Phase,
    RemoteProtocolError,
    StreamLost,
)


def internal_error(error: BaseException) -> GradioTransportError:
    """Return the error for a fault of an adapter or of this library, so that no caller hangs for it."""
    failure = RemoteProtocolError(
        f"The adapter could not handle what the server sent ({type(error).__name__}: {error}). Please report "
        "it with a trace.",
        phase=Phase.STREAM,
        may_have_run=True,
    )
    failure.__cause__ = error
    return failure


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


def closed_error(what: str) -> GradioTransportError:
    """Return the error for a call that ends because the caller closed what it runs in."""
    return LocalProtocolError(f"The {what} while the call was under way.", may_have_run=True)


def stream_lost_error() -> GradioTransportError:
    """Return the error for a call whose join is under way while its session's stream is lost and replaced."""
    return StreamLost(
        "The session's stream was lost while the call was being joined, so nobody would bring its messages.",
        phase=Phase.STREAM,
        may_have_run=True,
    )
