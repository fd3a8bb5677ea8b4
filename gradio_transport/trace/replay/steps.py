# SPDX-License-Identifier: Apache-2.0
"""A trace as the steps of a replay, and the frames of a step in the types that a session takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ... import errors
from ...app.config import AppConfig, Endpoint
from ...errors import GradioTransportError
from ...policy import Timeouts
from ...protocol.commands import Closed, Ending
from ...protocol.frames import Direction, Frame, Kind
from ..reader import TraceError


@attrs.define
class Step:
    """An input frame, and the recorded commands after it.

    Attributes:
        number: Number of the frame in the trace.
        frame: The input.
        ordinal: Number of the input among those of sessions; see ``cancel_at``.
        commands: The recorded commands.
        data: The bytes of a chunk, and of the chunks joined to it.
    """

    number: int
    frame: Frame
    ordinal: int
    commands: list[Frame] = attrs.field(factory=list[Frame])
    data: bytes = b""


def replay_steps(frames: Sequence[Frame], join: bool, cancel_at: int | None) -> list[Step]:
    """Return a trace as steps. With `join`, adjacent chunks of a stream become one step."""
    steps: list[Step] = []
    latest: dict[int, Step] = {}
    inputs = 0
    for number, frame in enumerate(frames):
        if frame.retried:
            continue
        before = latest.get(frame.session)
        if frame.session and frame.direction is Direction.OUT:
            if before is not None:
                before.commands.append(frame)
            continue
        ordinal = inputs
        inputs += frame.session != 0
        if join and before is not None and ordinal != cancel_at and _are_adjacent(before, frame):
            before.data += frame.payload["data"]
            continue
        step = latest[frame.session] = Step(number, frame, ordinal)
        if frame.kind is Kind.CHUNK:
            step.data = frame.payload["data"]
        steps.append(step)
    return steps


def _are_adjacent(step: Step, frame: Frame) -> bool:
    both_chunks = step.frame.kind is Kind.CHUNK and frame.kind is Kind.CHUNK
    return both_chunks and step.frame.channel == frame.channel and not step.commands


def find_endpoint(config: AppConfig, payload: Mapping[str, Any]) -> Endpoint:
    """Return the endpoint of a call. Several names may share a number, and a call may have no name."""
    number = payload["fn_index"]
    candidates = [endpoint for endpoint in config.endpoints if endpoint.fn_index == number]
    if not candidates:
        raise TraceError(f"The trace calls fn_index {number}, which its config does not have.")
    name = payload.get("endpoint")
    return next((endpoint for endpoint in candidates if endpoint.name == name), candidates[0])


def recorded_end(frame: Frame) -> Closed:
    """Return how a stream or socket ended."""
    payload = frame.payload
    return Closed(Ending(payload["ending"]), payload.get("code"), str(payload.get("reason") or ""))


def recorded_timeouts(frame: Frame) -> Timeouts:
    """Return the deadlines that a session had, so that an error names them; those of today without."""
    found: Any = frame.payload.get("timeouts")
    names = {one.name for one in attrs.fields(Timeouts)}
    try:
        return Timeouts(**{name: found[name] for name in names & found.keys()})
    except (AttributeError, TypeError, ValueError, GradioTransportError):
        return Timeouts()  # an older recording, or an edited one


_RENAMED = {"Timeout": "TimeoutExpired"}
"""Errors that were renamed. Old recordings have the old names, and recordings are never edited."""


def recorded_error(frame: Frame) -> GradioTransportError:
    """Return the error of a frame; `StreamLost` for a class that this version does not have."""
    name = str(frame.payload["error"])
    kind = getattr(errors, _RENAMED.get(name, name), None)
    if not isinstance(kind, type) or not issubclass(kind, GradioTransportError):
        kind = errors.StreamLost
    return kind(str(frame.payload["message"]))


__all__ = ["Step", "find_endpoint", "recorded_end", "recorded_error", "recorded_timeouts", "replay_steps"]
