# SPDX-License-Identifier: Apache-2.0
"""What came of a case, and what it is worth: PASS, UNSUPPORTED, KNOWN-FAIL or FAIL. Pure; no I/O."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from typing import Any, cast

import attrs

from gradio_transport.events import UNKNOWN_OUTPUT, Event, ProcessCompleted, ProcessGenerating

from .cases import Case, Step


class Grade(enum.StrEnum):
    """The worth of one case on one server."""

    PASS = "PASS"  # noqa: S105 - not a password
    UNSUPPORTED = "UNSUPPORTED"
    KNOWN_FAIL = "KNOWN-FAIL"
    FAIL = "FAIL"


@attrs.frozen
class FoundFile:
    """A file of the outputs, fetched."""

    name: str
    content: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Observed:
    """What came of one step.

    Attributes:
        files: The files of the outputs; None where nobody could fetch them (in a replay without I/O).
        answer: What a component's own function gave.
    """

    step: Step
    events: Sequence[Event] = ()
    error: BaseException | None = None
    adapter: str = ""
    deviations: Sequence[str] = ()
    files: Sequence[FoundFile] | None = None
    answer: Any = None


@attrs.frozen
class Result:
    """One cell of the support matrix.

    Attributes:
        reason: Why it is not PASS.
    """

    version: str
    case: str
    face: str
    grade: Grade
    reason: str = ""
    adapter: str = ""


def kind_of(event: Event) -> str:
    """Return an event's name on the wire: ``ProcessGenerating`` -> ``process_generating``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def equal(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal, NaN being equal to itself."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    if isinstance(one, list) and isinstance(other, list):
        mine, others = cast("list[Any]", one), cast("list[Any]", other)
        return len(mine) == len(others) and all(map(equal, mine, others))
    return bool(one == other)


def problems(observed: Observed) -> list[str]:
    """Return how what came differs from what must come."""
    step = observed.step
    if step.quiet:
        return []
    found = [f"deviation: {deviation}" for deviation in observed.deviations]
    if step.adapter is not None and observed.adapter != step.adapter:
        found.append(f"went by {observed.adapter}, not {step.adapter}")
    if step.error is not None or observed.error is not None:
        found += _error_problems(step, observed.error)
    elif step.component is not None:
        found += _output_problems(step, [observed.answer])
    elif not observed.events or not isinstance(observed.events[-1], ProcessCompleted):
        found.append("did not complete")
    else:
        found += _output_problems(step, observed.events[-1].data)
        found += _file_problems(step, observed.files)
    return found + _event_problems(step, observed.events)


def _error_problems(step: Step, error: BaseException | None) -> list[str]:
    if error is None:
        return [f"no {step.error}"]
    kinds = [kind.__name__ for kind in type(error).__mro__]
    if step.error is None or step.error not in kinds:
        return [f"{type(error).__name__} instead of {step.error or 'a result'}: {error}"]
    if not isinstance(error, CancelledError) and step.message not in str(error):
        return [f"the error does not say {step.message!r}: {error}"]
    return []


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


def _event_problems(step: Step, events: Sequence[Event]) -> list[str]:
    found: list[str] = []
    yields = [event.data for event in events if isinstance(event, ProcessGenerating)]
    if step.yields is not None and not equal(yields, step.yields):
        found.append(f"yields {yields!r} instead of {step.yields!r}")
    if step.yield_count is not None and len(yields) != step.yield_count:
        found.append(f"{len(yields)} yields instead of {step.yield_count}")
    if step.consistent:
        found += _inconsistencies(yields, events)
    remaining = iter([kind_of(event) for event in events])
    missing = [kind for kind in step.events if kind not in remaining]
    if missing:
        found.append(f"no {missing[0]} where it should be: {[kind_of(event) for event in events]}")
    return found


def _inconsistencies(yields: Sequence[list[Any]], events: Sequence[Event]) -> list[str]:
    if any(value is UNKNOWN_OUTPUT for data in yields for value in data):
        return ["a yield could not be reconstructed"]
    final = events[-1].data if events and isinstance(events[-1], ProcessCompleted) else None
    if final is not None and yields and not equal(yields[-1], final):
        return [f"the last yield {yields[-1]!r} is not the result {final!r}"]
    return []


def grade(case: Case, version: str, face: str, observed: Sequence[Observed]) -> Result:
    """Return the result of a case that was played."""
    found = [problem for one in observed for problem in problems(one)]
    for one in observed:
        if one.step.some_error is not None:
            found += _some_error(one.step.some_error, observed)
    adapter = next((one.adapter for one in observed if one.adapter), "")
    known = case.known_failure(version)
    if not found:
        if known is not None and not known.sometimes:
            return Result(
                version,
                case.name,
                face,
                Grade.FAIL,
                f"passes, but is a known failure: {known.because}",
                adapter,
            )
        return Result(version, case.name, face, Grade.PASS, adapter=adapter)
    if known is not None:
        return Result(version, case.name, face, Grade.KNOWN_FAIL, known.because, adapter)
    return Result(version, case.name, face, Grade.FAIL, "; ".join(found), adapter)


def _some_error(kind: str, observed: Sequence[Observed]) -> list[str]:
    errors = [one.error for one in observed if one.error is not None]
    others = [error for error in errors if kind not in [base.__name__ for base in type(error).__mro__]]
    if others:
        return [f"{type(others[0]).__name__} instead of {kind}: {others[0]}"]
    return [] if errors else [f"no {kind} among {len(observed)} calls"]
