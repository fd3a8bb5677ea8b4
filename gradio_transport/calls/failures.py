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
