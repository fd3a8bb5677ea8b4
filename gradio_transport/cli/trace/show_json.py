# SPDX-License-Identifier: Apache-2.0
"""A timeline as JSON, for programs."""

from __future__ import annotations

from typing import Any

import attrs

from ...trace.timeline.reading import CallTimeline, SessionTimeline, Step, Stream, Timeline
from .findings import Findings
from .selection import Selection

MAX_VALUE_CHARACTERS = 64 * 1024 * 1024
"""The most characters of all full values after edits, because they repeat earlier values."""

_LEFT_OUT = frozenset({"text", "given", "reply_body", "data", "before", "stream", "kept", "kind", "t"})


def document(name: str, line: Timeline, found: Findings, selection: Selection) -> dict[str, Any]:
    """Return a trace as a JSON object."""
    values = _Values()
    calls = [_call(call, found, selection, values) for call in line.calls if selection.has_call(call)]
    whole: dict[str, Any] = {
        "file": name,
        "gradio": line.meta.get("gradio"),
        "adapters": line.adapters,
        "seconds": round(line.seconds, 6),
        "frames": line.frames,
        "truncated": line.truncated,
        "calls": calls,
    }
    if not selection.calls:
        steps = [step_object(step, values) for step in line.discovery if selection.has_step(step)]
        if not selection.discovery:  # the config is a hundred times as large as the rest
            for step in steps:
                step.pop("reply", None)
        whole["discovery"] = steps
        whole["sessions"] = [_session(session, selection, values) for session in line.sessions]
        whole["others"] = [step_object(step, values) for step in line.others if selection.has_step(step)]
        whole["findings"] = [attrs.asdict(finding) for finding in found.whole]
        whole["diagnoses"] = [attrs.asdict(one) for one in found.diagnoses.get(0, ())]
    return whole


def call_object(call: CallTimeline) -> dict[str, Any]:
    """Return a call without its steps."""
    return {
        "call": call.number,
        "session": call.session,
        "key": call.key,
        "endpoint": call.endpoint,
        "fn_index": call.fn_index,
        "arguments": call.arguments,
        "adapter": call.adapter,
        "event_id": call.event_id,
        "start": round(call.start, 6),
        "end": round(call.end, 6),
        "seconds": round(call.seconds, 6),
        "outcome": call.outcome.value,
        "error": call.error or None,
        "message": call.message or None,
        "phase": call.error_phase or None,
        "phases": [
            {"name": span.name, "start": round(span.start, 6), "seconds": round(span.seconds, 6)}
            for span in call.phases
        ],
        "data": call.data,
    }


def step_object(step: Step, values: _Values | None = None) -> dict[str, Any]:
    """Return a step without unset fields."""
    made: dict[str, Any] = {"t": round(step.t, 6), "kind": step.kind.value}
    for field in attrs.fields(Step):
        value = getattr(step, field.name)
        if field.name not in _LEFT_OUT and value != field.default and value is not None:
            made[field.name] = round(value, 6) if isinstance(value, float) else value
    if step.value is not None:
        made["value"] = step.value
    if step.reply_body:
        made["reply"] = step.reply
    if step.edited:
        made["data"] = step.data if values is None or values.has_room(step) else None
    if step.stream is not None:
        made["stream"] = _stream(step.stream)
    return made


class _Values:
    """The size of the values after edits."""

    def __init__(self) -> None:
        self._left = MAX_VALUE_CHARACTERS

    def has_room(self, step: Step) -> bool:
        # Only texts grow without limit by edits, and their length is cheap to read; `kept` bounds the rest.
        self._left -= 1000 + sum(len(value) for value in step.data or () if isinstance(value, str))
        return self._left > 0


def _stream(stream: Stream) -> dict[str, Any]:
    return {key: value for key, value in attrs.asdict(stream).items() if value not in ("", None)}


def _call(call: CallTimeline, found: Findings, selection: Selection, values: _Values) -> dict[str, Any]:
    findings = [*found.calls.get(call.number, ())]
    for step in call.steps:
        findings += found.of_step(step)
    return {
        **call_object(call),
        "steps": [step_object(step, values) for step in call.steps if selection.has_step(step)],
        "findings": [attrs.asdict(finding) for finding in findings],
        "diagnoses": [attrs.asdict(one) for one in found.diagnoses.get(call.number, ())],
    }


def _session(session: SessionTimeline, selection: Selection, values: _Values) -> dict[str, Any]:
    return {
        "session": session.number,
        "adapter": session.adapter,
        "source": session.source,
        "start": session.start,
        "steps": [step_object(step, values) for step in session.steps if selection.has_step(step)],
    }


__all__ = ["call_object", "document", "step_object"]
