# SPDX-License-Identifier: Apache-2.0
"""The abstract message flow: the states of a call, and the events allowed in each.

Rule 1: only the table `TRANSITIONS` defines the order of messages. The diagram in the docs is drawn from it
(`mermaid`), and the strict mode of the conformance suite uses it. No other code in the library depends on the
order.

The table covers all versions at once. A message that a version never sends simply does not occur there.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Self

from .. import events as e
from ..errors import FlowViolation


class State(enum.StrEnum):
    """The state of a call."""

    final: bool
    """Whether no event can follow."""

    def __new__(cls, value: str, final: bool = False) -> Self:
        """Create a member. `terminal` is an attribute, because every message reads it."""
        state = str.__new__(cls, value)
        state._value_, state.final = value, final
        return state

    IDLE = "idle"
    JOINING = "joining"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed", True
    FAILED = "failed", True
    CANCELLED = "cancelled", True


FINAL = frozenset(state for state in State if state.final)

_ENDS: dict[type[e.Event], State] = {
    e.Cancelled: State.CANCELLED,
    e.Failed: State.FAILED,
}
_ENDS_ANYWHERE: Mapping[type[e.Event], State] = MappingProxyType(
    {
        e.ProcessCompleted: State.COMPLETED,
        e.QueueFullMessage: State.FAILED,
        e.UnexpectedError: State.FAILED,
        e.ServerStopped: State.FAILED,
    }
)
"""The messages that end a call even where the table does not allow them."""

_ANYWHERE: tuple[type[e.Event], ...] = (e.Heartbeat, e.UnknownMessage)

TRANSITIONS: Mapping[State, Mapping[type[e.Event], State]] = MappingProxyType(
    {
        State.IDLE: {**_ENDS},
        State.JOINING: {
            e.SendHash: State.JOINING,
            # 3.1.5 to 3.10 request the data of the first ranks long before the event's turn.
            e.SendData: State.QUEUED,
            e.Joined: State.QUEUED,
            e.Estimation: State.QUEUED,
            e.QueueFullMessage: State.FAILED,
            # Direct HTTP has neither queue nor start: the reply is the completion, or one yield of it.
            e.ProcessGenerating: State.RUNNING,
            e.ProcessCompleted: State.COMPLETED,
            **_ENDS,
        },
        State.QUEUED: {
            e.Estimation: State.QUEUED,
            e.SendData: State.QUEUED,
            e.QueueFullMessage: State.FAILED,
            e.ProcessStarts: State.RUNNING,
            # A message may overtake process_starts (progress, log), /call has no process_starts at all,
            # and cached results (6.12+) come without it.
            e.Progress: State.RUNNING,
            e.Log: State.RUNNING,
            e.ProcessGenerating: State.RUNNING,
            e.ProcessStreaming: State.RUNNING,
            e.ProcessCompleted: State.COMPLETED,
            e.UnexpectedError: State.FAILED,
            e.ServerStopped: State.FAILED,
            **_ENDS,
        },
        State.RUNNING: {
            e.Estimation: State.RUNNING,
            e.Progress: State.RUNNING,
            e.Log: State.RUNNING,
            e.ProcessGenerating: State.RUNNING,
            e.ProcessStreaming: State.RUNNING,
            e.ProcessCompleted: State.COMPLETED,
            e.UnexpectedError: State.FAILED,
            e.ServerStopped: State.FAILED,
            **_ENDS,
        },
        State.COMPLETED: {},
        State.FAILED: {},
        State.CANCELLED: {},
    }
)


def follow(state: State, event: e.Event) -> State | None:
    """Return the state after `event`, or None if the table does not allow it."""
    following = TRANSITIONS[state].get(type(event))
    if following is None and isinstance(event, _ANYWHERE):
        return state
    return following


def advance(state: State, event: e.Event, *, strict: bool = False) -> State:
    """Return the state after `event`.

    A deviation does not change the state, unless the event is an end, which always counts: a server that
    breaks the order must not cost the caller the result.

    Raises:
        FlowViolation: `strict` is set and the table does not allow the event here.
    """
    following = follow(state, event)
    if following is not None:
        return following
    if strict:
        raise FlowViolation(f"{type(event).__name__} is not allowed in state {state.value!r}.")
    if state.final:
        return state
    return _ENDS_ANYWHERE.get(type(event), state)


def mermaid() -> str:
    """Return the table as a Mermaid state diagram, for the docs."""
    lines = ["stateDiagram-v2", "    [*] --> idle", "    idle --> joining: submit"]
    for state, row in TRANSITIONS.items():
        labels: dict[State, list[str]] = {}
        for event, following in row.items():
            labels.setdefault(following, []).append(event.__name__)
        for following, names in labels.items():
            lines.append(f"    {state.value} --> {following.value}: {', '.join(names)}")
        if state.final:
            lines.append(f"    {state.value} --> [*]")
    return "\n".join(lines) + "\n"
