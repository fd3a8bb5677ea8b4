# SPDX-License-Identifier: Apache-2.0
"""A trace as a person thinks of it: calls with their requests, events, silences, phases and outcome.

No adapter takes part, so a timeline also shows messages that no adapter understands, and needs no config::

    for call in timeline(read_trace("count.jsonl")).calls:
        print(call.title, call.outcome, call.seconds)
        for step in call.steps:
            print(step.t, step.kind, step.name, step.data)
"""

from __future__ import annotations

from ..reader import Trace
from .builder import TimelineBuilder
from .model import (
    DEFAULT_SILENCE,
    CallTimeline,
    Outcome,
    SessionTimeline,
    Silence,
    Span,
    Step,
    StepKind,
    Stream,
    Timeline,
)
from .updates import Change, Update


def timeline(trace: Trace) -> Timeline:
    """Return the calls of a trace in time."""
    builder = TimelineBuilder(trace.meta)
    for frame in trace.frames:
        builder.feed(frame)
    made = builder.finish()
    made.truncated = trace.truncated
    return made


__all__ = [
    "DEFAULT_SILENCE", "CallTimeline", "Change", "Outcome", "SessionTimeline", "Silence", "Span", "Step",
    "StepKind", "Stream", "Timeline", "TimelineBuilder", "Update", "timeline",
]  # fmt: skip
