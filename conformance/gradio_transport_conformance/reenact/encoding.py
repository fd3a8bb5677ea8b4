# SPDX-License-Identifier: Apache-2.0
"""The outcome of a call in another protocol than that of its recording. Pure, no I/O.

Data that the recording lacks is not invented: a generator's edits, the text of an error that a protocol left
out, the steps of a generator of which only the first value is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs

from gradio_transport.protocol.diff import DiffError, apply_diff

from .generation import Generation
from .outcomes import Outcome, Way, completion

_QUEUES = (Way.STREAM, Way.WEBSOCKET)


def encode(
    outcome: Outcome, way: Way, generation: Generation, *, generator: bool, template: Outcome | None
) -> Outcome | None:
    """Return an outcome as it would be over another protocol; None if that cannot be known.

    The template is a call that was recorded over that protocol, for the messages before the first value.
    """
    if outcome.refusal is not None:
        # Both ways join one queue.
        return attrs.evolve(outcome, way=way) if {outcome.way, way} == {Way.STREAM, Way.CALL} else None
    if not (outcome.complete or outcome.cancelled):
        return None
    edited = outcome.way in _QUEUES and generation.sends_diffs
    messages = with_full_values(outcome.messages) if edited else list(outcome.messages)
    if messages is None:
        return None
    if way in _QUEUES:
        return _for_queue(outcome, messages, way, generation, generator, template)
    if way is Way.CALL:
        return None if outcome.way not in _QUEUES and generator else _changed(outcome, way, messages)
    if way in (Way.DIRECT, Way.POLLING):
        return _for_one_reply(outcome, messages, way, generation, generator)
    return None


def with_nan(outcome: Outcome) -> Outcome:
    """Return an outcome whose outputs are NaN where they are null."""

    def changed(message: Mapping[str, Any]) -> Mapping[str, Any]:
        output = cast("dict[str, Any]", message.get("output") or {})
        data = output.get("data")
        if not isinstance(data, list):
            return message
        values = [math.nan if one is None else one for one in cast("list[Any]", data)]
        return {**message, "output": {**output, "data": values}}

    return attrs.evolve(outcome, messages=tuple(map(changed, outcome.messages)))


def _changed(outcome: Outcome, way: Way, messages: Sequence[Mapping[str, Any]]) -> Outcome:
    return attrs.evolve(outcome, way=way, messages=tuple(messages), before_data=0, ending=None)


def _for_queue(
    outcome: Outcome,
    messages: Sequence[Mapping[str, Any]],
    way: Way,
    generation: Generation,
    generator: bool,
    template: Outcome | None,
) -> Outcome | None:
    last: Mapping[str, Any] = messages[-1] if messages else {}
    output = cast("dict[str, Any]", last.get("output") or {})
    success = bool(last.get("success"))
    if generator or template is None or outcome.cancelled:
        return None
    if output.get("is_generating") or (success and "data" not in output):
        return None
    if not success and "error" not in output:
        return None  # the protocol left it out
    whole = output if "is_generating" in output or not success else {**output, "is_generating": False}
    first = [one for one in template.messages if one.get("msg") in ("estimation", "process_starts")]
    end = {**completion(whole, success=success), **generation.completion_fields(success=success)}
    return attrs.evolve(
        outcome,
        way=way,
        messages=(*first, end),
        before_data=min(template.before_data, len(first)),
        status=None,
    )


def _for_one_reply(
    outcome: Outcome,
    messages: Sequence[Mapping[str, Any]],
    way: Way,
    generation: Generation,
    generator: bool,
) -> Outcome | None:
    """Return the only reply; for a generator its first value, from 4.0 on."""
    yields = [one for one in messages if one.get("msg") == "process_generating"]
    if generator or yields:
        if generation.queue.is_websocket or not yields:
            return None
        last: Mapping[str, Any] = yields[0]
    else:
        last = messages[-1] if messages else {}
    output = cast("dict[str, Any]", last.get("output") or {})
    success = bool(last.get("success"))
    if last.get("msg") not in ("process_completed", "process_generating"):
        return None
    if ("data" if success else "error") not in output:
        return None
    reply = completion(output, success=success)
    return attrs.evolve(
        outcome, way=way, messages=(reply,), before_data=0, status=200 if success else 500, cancelled=False
    )


def with_full_values(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]] | None:
    """Return messages whose generated values are whole; None where an edit cannot be applied."""
    values: list[Any] | None = None
    found: list[Mapping[str, Any]] = []
    for message in messages:
        output = message.get("output")
        if message.get("msg") != "process_generating" or not isinstance(output, dict):
            found.append(message)
            continue
        fields = cast("dict[str, Any]", output)
        data = fields.get("data")
        if not isinstance(data, list):
            found.append(message)
            continue
        edits = cast("list[Any]", data)
        if values is None or not all(map(_is_diff, edits)) or len(edits) != len(values):
            values = edits
        else:
            try:
                values = [apply_diff(old, edit) for old, edit in zip(values, edits, strict=True)]
            except DiffError:
                return None
        found.append({**message, "output": {**fields, "data": values}})
    return found


def _is_diff(value: Any) -> bool:
    if not isinstance(value, list):
        return False
    return all(
        isinstance(one, list) and len(cast("list[Any]", one)) == 3 and one[0] in _OPERATIONS
        for one in cast("list[Any]", value)
    )


_OPERATIONS = ("replace", "append", "add", "delete")


__all__ = ["encode", "with_full_values", "with_nan"]
