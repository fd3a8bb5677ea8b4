# SPDX-License-Identifier: Apache-2.0
"""Findings of lint and diagnoses, each at its call or step."""

from __future__ import annotations

import attrs

from ...trace import Diagnosis, Finding, Severity, Source, Timeline, Trace, diagnose, lint_trace
from ...trace.timeline.reading import Step


@attrs.define
class Findings:
    """Findings by place.

    Attributes:
        whole: Findings without a call or step.
        calls: Findings of calls, by number of the call.
        frames: Findings of steps, by number of a frame of the step.
        diagnoses: Diagnoses of calls, by number of the call; under 0 those without a call.
    """

    whole: list[Finding] = attrs.field(factory=list[Finding])
    calls: dict[int, list[Finding]] = attrs.field(factory=dict[int, list[Finding]])
    frames: dict[int, list[Finding]] = attrs.field(factory=dict[int, list[Finding]])
    diagnoses: dict[int, list[Diagnosis]] = attrs.field(factory=dict[int, list[Diagnosis]])

    def of_step(self, step: Step) -> list[Finding]:
        """Return the findings of a step."""
        return [finding for number in step.frames for finding in self.frames.get(number, ())]


def find(trace: Trace, line: Timeline) -> Findings:
    """Return the findings of lint and the diagnosis of a trace, by place."""
    found = Findings()
    numbers = {(call.session, call.key): call.number for call in line.calls if call.key}
    steps = {number for call in line.calls for step in call.steps for number in step.frames}
    for finding in lint_trace(trace, line=line):
        if finding.source is Source.OUTCOME:  # the title of the call shows it
            continue
        frame = next((number for number in finding.frames if number in steps), None)
        number = numbers.get((finding.session, finding.key))
        # A finding in many steps, such as a new field, belongs to the call.
        if frame is not None and (number is None or finding.severity is Severity.ERROR):
            found.frames.setdefault(frame, []).append(finding)
        elif number is not None:
            found.calls.setdefault(number, []).append(finding)
        else:
            found.whole.append(finding)
    refused = {call.frame: call.number for call in line.calls if not call.session}
    for diagnosis in diagnose(trace, line=line):
        number = numbers.get((diagnosis.session, diagnosis.key))
        if number is None:
            number = next((refused[frame] for frame in diagnosis.frames if frame in refused), 0)
        found.diagnoses.setdefault(number, []).append(diagnosis)
    return found


__all__ = ["Findings", "find"]
