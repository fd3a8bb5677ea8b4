# SPDX-License-Identifier: Apache-2.0
"""The result of a replay, and how two results are compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import attrs

from ...errors import GradioTransportError
from ...events import Event
from ...files.outputs import ServerFile
from .mismatch import Mismatch, ReplayMismatch

CallKey: TypeAlias = tuple[int, str]
"""Number of the session and key of the call in it."""


@attrs.define
class Replay:
    """The result of a replay.

    Attributes:
        events: The events of each call, by session and key, in the order of their start.
        endpoints: The display name of the endpoint of each call.
        deviations: How the server deviated from the protocol in each call, such as a message out of order.
        refusals: Errors of the discovery, in order.
        mismatches: Commands that differ from the recorded ones; empty if the replay is exact.
        outstanding: Streams and sockets of ended calls that are still open, and after ``cancel_at`` calls
            that continue and requests that a cancellation does not need.
        inputs: Number of input frames of sessions: the range of ``cancel_at``.
    """

    events: dict[CallKey, list[Event]] = attrs.field(factory=dict[CallKey, list[Event]])
    endpoints: dict[CallKey, str] = attrs.field(factory=dict[CallKey, str])
    deviations: dict[CallKey, list[str]] = attrs.field(factory=dict[CallKey, list[str]])
    refusals: list[GradioTransportError] = attrs.field(factory=list[GradioTransportError])
    mismatches: list[Mismatch] = attrs.field(factory=list[Mismatch])
    outstanding: list[str] = attrs.field(factory=list[str])
    inputs: int = 0

    def check(self) -> None:
        """Raise if the replay is not exact.

        Raises:
            ReplayMismatch: A command differs, or something is outstanding.
        """
        lines = [str(mismatch) for mismatch in self.mismatches]
        lines += [f"left undone: {text}" for text in self.outstanding]
        if lines:
            raise ReplayMismatch("\n".join(["The replay differs.", *lines]), mismatches=self.mismatches)


def differences(left: Replay, right: Replay) -> list[str]:
    """Return the first difference of each call between two replays, or a replay and a live call."""
    texts: list[str] = []
    for key in dict.fromkeys([*left.events, *right.events]):
        first = [describe(event) for event in left.events.get(key, [])]
        second = [describe(event) for event in right.events.get(key, [])]
        for place in range(max(len(first), len(second))):
            pair = [(events[place] if place < len(events) else "nothing") for events in (first, second)]
            if pair[0] != pair[1]:
                texts.append(f"call {key[1]} of session {key[0]}, event {place}: {pair[0]} / {pair[1]}")
                break
    return texts


def describe(event: Event) -> str:
    """Return an event as a text that is equal for equal events, including their errors.

    Why not ``==``: the equality of events leaves errors out, and NaN is not equal to itself. Files are
    described by their JSON on the wire.
    """
    own = {field.name: getattr(event, field.name) for field in attrs.fields(type(event))}
    fields = {key: _wire_value(value) for key, value in own.items() if key != "error"}
    error: BaseException | None = getattr(event, "error", None)
    suffix = f" {type(error).__name__}: {getattr(error, 'message', error)}" if error is not None else ""
    return f"{type(event).__name__} {json.dumps(fields, sort_keys=True, default=repr)}{suffix}"


def _wire_value(value: Any) -> Any:
    if isinstance(value, ServerFile):
        return value.raw
    if attrs.has(cast("type[Any]", type(value))):
        return attrs.asdict(value)
    if isinstance(value, list | tuple):
        return [_wire_value(item) for item in cast("Sequence[Any]", value)]
    if isinstance(value, dict):
        return {key: _wire_value(item) for key, item in cast("dict[Any, Any]", value).items()}
    return value


__all__ = ["CallKey", "Replay", "describe", "differences"]
