# SPDX-License-Identifier: Apache-2.0
"""The changes of a timeline by one frame."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs

from .model import CallTimeline, SessionTimeline, Step


class Change(enum.StrEnum):
    """The change by a frame."""

    CALL = "call"
    """A call began."""
    STEP = "step"
    """A step began; for most kinds it is complete too."""
    REPLY = "reply"
    """A request got its reply, or failed."""
    DONE = "done"
    """A call ended."""


@attrs.frozen
class Update:
    """The change by a frame, for programs that show a trace while it is being written.

    Attributes:
        change: What.
        step: The step; None for the beginning and the end of a call.
        calls: The calls that it belongs to; more than one for a shared stream.
        session: The session, None for what belongs to none.
    """

    change: Change
    step: Step | None = None
    calls: Sequence[CallTimeline] = ()
    session: SessionTimeline | None = None


__all__ = ["Change", "Update"]
