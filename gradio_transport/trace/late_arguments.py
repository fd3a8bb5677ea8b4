# SPDX-License-Identifier: Apache-2.0
"""Completion of other clients' calls whose arguments followed the call (3.6 to 4.8).

These servers request the arguments when it is a call's turn. A recorder cannot wait for that, so the earlier
frame of the call has null in their place.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

import attrs

from ..protocol.frames import Direction, Frame, Kind


def with_late_arguments(frames: Sequence[Frame]) -> Sequence[Frame]:
    """Return frames in which each call has its arguments; null if the client never sent them."""
    missing = {
        (frame.session, frame.channel): number
        for number, frame in enumerate(frames)
        if frame.kind is Kind.CALL and frame.payload.get("data", ...) is None
    }
    if not missing:
        return frames
    found: dict[int, Frame] = {
        number: attrs.evolve(frames[number], payload={**frames[number].payload, "data": []})
        for number in missing.values()
    }
    for frame in frames:
        if frame.direction is not Direction.OUT or frame.kind not in (Kind.REQUEST, Kind.WS_TEXT):
            continue
        place = frame.session, frame.channel.partition(".")[0]
        number = missing.get(place)
        data = _data(frame) if number is not None else None
        if number is not None and data is not None:
            call = found[number]
            found[number] = attrs.evolve(call, payload={**call.payload, "data": data})
            del missing[place]
    return tuple(found.get(number, frame) for number, frame in enumerate(frames))


def _data(frame: Frame) -> list[Any] | None:
    text: Any = frame.payload.get("body" if frame.kind is Kind.REQUEST else "text")
    if not text:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    data = cast("dict[str, Any]", value).get("data") if isinstance(value, dict) else None
    return cast("list[Any]", data) if isinstance(data, list) else None


__all__ = ["with_late_arguments"]
