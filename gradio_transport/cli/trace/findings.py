# SPDX-License-Identifier: Apache-2.0
"""Findings of lint and of the diagnosis, each at the call or the step that it is about."""

from __future__ import annotations

import attrs

from ...trace import Finding, Severity, Timeline, Trace, TraceError, lint_trace
from ...trace.lint import Source


@attrs.define
class Findings:
    """Findings by place.

    Attributes:
        whole: Those of no call.
        calls: Those of calls, by number of the call.
        diagnoses: Texts of the diagnosis, by number of the call; 0 for the whole trace.
        frames: Those of a frame, by its number: only those of frames that a call has as a step.
    """

    whole: list[Finding] = attrs.field(factory=list[Finding])
    calls: dict[int, list[Finding]] = attrs.field(factory=dict[int, list[Finding]])
    diagnoses: dict[int, list[str]] = attrs.field(factory=dict[int, list[str]])
    frames: dict[int, list[Finding]] = attrs.field(factory=dict[int, list[Finding]])


def find(trace: Trace, line: Timeline) -> Findings:
    """Return what lint and the diagnosis say of a trace, sorted by place."""
    found = Findings()
    numbers = {(call.session, call.key): call.number for call in line.calls}
    steps = {number for call in line.calls for step in call.steps for number in step.frames}
    try:
        findings = lint_trace(trace)
    except TraceError as error:
        findings = [
            Finding(Severity.NOTE, "the file", f"it cannot be replayed: {error.message}", Source.TRACE)
        ]
    for finding in findings:
        if finding.source is Source.OUTCOME:  # the header of the call says it
            continue
        frame = next((number for number in finding.frames if number in steps), None)
        number = numbers.get((finding.session, finding.key)) if finding.key else None
        if frame is not None:
            found.frames.setdefault(frame, []).append(finding)
        elif number is not None:
            found.calls.setdefault(number, []).append(finding)
        else:
            found.whole.append(finding)
    return found


__all__ = ["Findings", "find"]
