# SPDX-License-Identifier: Apache-2.0
"""The whole output values of calls: edits applied, within bounds of memory and time."""

from __future__ import annotations

from typing import Any, cast

from ...protocol.diff import DiffDecoder
from ...protocol.json import held_bytes
from .messages import Message, Version
from .model import Step
from .state import CallState

EDITING_ADAPTERS = frozenset({"sse_v2", "sse_v2.1", "sse_v3"})
"""Adapters of servers that send edits of values after the first."""

MAX_KEPT_BYTES = 256 * 1024 * 1024
"""Memory that the whole values of a timeline may take. Edits make small messages into large values."""

MAX_MADE_BYTES = 4 * 1024 * 1024 * 1024
"""What the edits of a trace may copy altogether, until no more of them are applied: they take time."""


def edit_decoder(adapter: str, version: Version) -> DiffDecoder | None:
    """Return a decoder for a call, or None if its server sends whole values only."""
    edits = adapter in EDITING_ADAPTERS or (adapter == "direct" and version >= (4, 17))
    return DiffDecoder() if edits else None


class WholeValues:
    """The output values of a timeline.

    Args:
        keep: Whether steps, and so their values, are kept in the timeline.
    """

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._kept = self._made = 0

    def take(self, step: Step, message: Message, call: CallState) -> None:
        """Give a step the whole output values of its message, with edits applied."""
        if message.delta is not None:
            call.texts.append(message.delta)
        data = message.data
        if data is None:
            return
        made = 0
        if message.event == "process_generating" and call.values is not None and not call.ended:
            step.before = call.line.data
            if self._made > MAX_MADE_BYTES:
                step.kept, step.edited = False, call.line.data is not None
                return
            first = call.line.data is None
            values = call.values.next(data)
            made = call.values.made_bytes
            self._made += made
            step.edited = not first and values is not data
            data = cast("list[Any]", values)
        call.line.data = data
        self._kept += made + (held_bytes(step.text) if isinstance(step.text, str) else 0)
        if self._keep and self._kept > MAX_KEPT_BYTES:
            step.before, step.kept = None, False
        else:
            step.data = data


__all__ = ["EDITING_ADAPTERS", "MAX_KEPT_BYTES", "WholeValues", "edit_decoder"]
