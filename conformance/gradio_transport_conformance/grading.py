# SPDX-License-Identifier: Apache-2.0
"""The grading of a case from its outcomes. Pure; no I/O."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs

from gradio_transport.events import UNKNOWN_OUTPUT

from .cases import Case, Step
from .outcomes import FoundFile, Observed, OutcomeError, StepOutcome, kind_of, outcome_of


class Grade(enum.StrEnum):
    """The grade of one case on one server.

    `PASS` and `FAIL` are *right* and *wrong* in the summary of a run.

    Attributes:
        PASS: The result is the expected one.
        UNSUPPORTED: The version does not support it.
        KNOWN_FAIL: A known bug of the server, or of the client that is graded.
        FAIL: The result differs, or there is none: the driver died or hung.
        OFF_TAPE: The client sent a request for which the recording has no reply.
        CANNOT: The client does not support it. It is never a pass.
    """

    PASS = "PASS"  # noqa: S105 - not a password
    UNSUPPORTED = "UNSUPPORTED"
    KNOWN_FAIL = "KNOWN-FAIL"
    FAIL = "FAIL"
    OFF_TAPE = "OFF-TAPE"
    CANNOT = "CANNOT"


@attrs.frozen
class Result:
    """One cell of the support matrix.

    Attributes:
        reason: Why the grade is not PASS.
    """

    version: str
    case: str
    face: str
    grade: Grade
    reason: str = ""
    adapter: str = ""


def equal(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal, NaN being equal to itself."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, list) and isinstance(other, list):
        mine, others = cast("list[Any]", one), cast("list[Any]", other)
        return len(mine) == len(others) and all(map(equal, mine, others))
    return bool(one == other)


def problems(observed: Observed) -> list[str]:
    """Return the differences between this library's result of a step and the expected one."""
    return step_problems(observed.step, outcome_of(observed))


def step_problems(step: Step, outcome: StepOutcome) -> list[str]:
    """Return the differences between the outcome of a step and the expected one."""
    if step.quiet:
        return []
    found = [f"deviation: {deviation}" for deviation in outcome.deviations]
    if None not in (step.adapter, outcome.adapter) and outcome.adapter != step.adapter:
        found.append(f"went by {outcome.adapter}, not {step.adapter}")
    if step.error is not None or outcome.error is not None:
        found += _error_problems(step, outcome.error, is_ours=outcome.adapter is not None)
    elif outcome.value is None:
        found.append("did not complete")
    else:
        found += _output_problems(step, list(outcome.value))
        found += _file_problems(step, outcome.files)
    return found + _yield_problems(step, outcome) + _event_problems(step, outcome.events)


def _error_problems(step: Step, error: OutcomeError | None, *, is_ours: bool) -> list[str]:
    if error is None:
        return [f"no {step.error}"]
    if step.error is None or step.error not in error.stands_for:
        return [f"{error.name} instead of {step.error or 'a result'}: {error.message}"]
    # The caller knows the reason for a cancellation.
    wanted = [] if step.error == "CancelledError" else [step.message, step.hint if is_ours else ""]
    return [
        f"the error does not say {text!r}: {error.message}" for text in wanted if text not in error.message
    ]


def _output_problems(step: Step, data: list[Any]) -> list[str]:
    if step.outputs is not None and not equal(data, step.outputs):
        return [f"outputs {data!r} instead of {step.outputs!r}"]
    if step.any_of is not None and not any(equal(data, one) for one in step.any_of):
        return [f"outputs {data!r} are none of {step.any_of!r}"]
    if step.length is not None and (len(data) != 1 or len(data[0]) != step.length):
        return [f"an output of another length than {step.length}"]
    if step.matches is not None and (len(data) != 1 or not re.fullmatch(step.matches, str(data[0]))):
        return [f"outputs {data!r} do not match {step.matches!r}"]
    if step.contains is not None:
        return _missing(step.contains, data)
    return []


def _file_problems(step: Step, files: Sequence[FoundFile] | None) -> list[str]:
    if step.files is None or files is None:
        return []
    if len(files) != len(step.files):
        return [f"{len(files)} files instead of {len(step.files)}"]
    found: list[str] = []
    for wanted, file in zip(step.files, files, strict=True):
        facts = {
            "name": file.name,
            "text": file.content.decode("utf-8", "replace"),
            "size": len(file.content),
        }
        if not file.content or not file.content.startswith(str(wanted.get("starts", "")).encode()):
            found.append(f"{file.name} begins with {file.content[:8]!r}")
        found += [
            f"{file.name} has {key} {facts[key]!r} instead of {wanted[key]!r}"
            for key in facts.keys() & wanted.keys()
            if facts[key] != wanted[key]
        ]
    return found


def _missing(contains: Sequence[Mapping[str, Any]], data: list[Any]) -> list[str]:
    if len(contains) != len(data):
        return [f"{len(data)} outputs instead of {len(contains)}"]
    found: list[str] = []
    for place, (wanted, value) in enumerate(zip(contains, data, strict=True)):
        fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        found += [
            f"output {place} has {key}={fields.get(key)!r} instead of {expected!r}"
            for key, expected in wanted.items()
            if not equal(fields.get(key), expected)
        ]
    return found


def _yield_problems(step: Step, outcome: StepOutcome) -> list[str]:
    if outcome.yields is None:
        return []
    found: list[str] = []
    yields = [list(one) for one in outcome.yields]
    if step.yields is not None and not equal(yields, step.yields):
        found.append(f"yields {yields!r} instead of {step.yields!r}")
    if step.yield_count is not None and len(yields) != step.yield_count:
        found.append(f"{len(yields)} yields instead of {step.yield_count}")
    if step.consistent:
        found += _inconsistencies(yields, outcome.value)
    return found


def _inconsistencies(yields: Sequence[list[Any]], final: Sequence[Any] | None) -> list[str]:
    if any(value is UNKNOWN_OUTPUT for data in yields for value in data):
        return ["a yield could not be reconstructed"]
    if final is not None and yields and not equal(yields[-1], list(final)):
        return [f"the last yield {yields[-1]!r} is not the result {final!r}"]
    return []


def _event_problems(step: Step, events: Sequence[str] | None) -> list[str]:
    if events is None:
        return []
    remaining = iter(events)
    missing = [kind for kind in step.events if kind not in remaining]
    return [f"no {missing[0]} where it should be: {list(events)}"] if missing else []


def grade(case: Case, version: str, face: str, observed: Sequence[Observed]) -> Result:
    """Return the result of a case that this library played."""
    return grade_outcomes(case, version, face, [(one.step, outcome_of(one)) for one in observed])


def grade_outcomes(
    case: Case, version: str, client: str, outcomes: Sequence[tuple[Step, StepOutcome]]
) -> Result:
    """Return the result of a case whose steps were played by any client."""
    found = [problem for step, outcome in outcomes for problem in step_problems(step, outcome)]
    for step, _ in outcomes:
        if step.some_error is not None:
            found += _some_error(step.some_error, [outcome for _, outcome in outcomes])
    adapter = next((outcome.adapter for _, outcome in outcomes if outcome.adapter), "")
    known = case.known_failure(version)
    if not found:
        if known is not None and not known.sometimes:
            reason = f"passes, but is a known failure: {known.because}"
            return Result(version, case.name, client, Grade.FAIL, reason, adapter)
        return Result(version, case.name, client, Grade.PASS, adapter=adapter)
    if known is not None:
        return Result(version, case.name, client, Grade.KNOWN_FAIL, known.because, adapter)
    return Result(version, case.name, client, Grade.FAIL, "; ".join(found), adapter)


def _some_error(kind: str, outcomes: Sequence[StepOutcome]) -> list[str]:
    errors = [one.error for one in outcomes if one.error is not None]
    others = [error for error in errors if kind not in error.stands_for]
    if others:
        return [f"{others[0].name} instead of {kind}: {others[0].message}"]
    return [] if errors else [f"no {kind} among {len(outcomes)} calls"]


__all__ = [
    "FoundFile", "Grade", "Observed", "Result", "equal", "grade", "grade_outcomes", "kind_of", "problems",
    "step_problems",
]  # fmt: skip
