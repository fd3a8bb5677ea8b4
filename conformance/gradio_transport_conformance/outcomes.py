# SPDX-License-Identifier: Apache-2.0
"""What came of a step, in one form: seen by this library, or answered by the driver of any other client.

So one grader serves both.  What a client does not show is None here, and is not graded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs

from gradio_transport.events import Event, ProcessCompleted, ProcessGenerating

from .cases import Step
from .driver.messages import StepAnswer
from .driver.reading import find_files

STANDS_FOR: Mapping[str, frozenset[str]] = {
    "app": frozenset({"AppError", "ValidationFailed"}),
    "refused": frozenset(
        {
            "AuthenticationRequired", "EndpointNotFound", "FileUnavailable", "InvalidPayload",
            "NotAGradioApp", "QueueFull", "RateLimited", "ServerRefused", "SessionNotFound",
            "ValidationFailed",
        }
    ),
    "lost": frozenset(
        {
            "ConnectError", "EventTooLarge", "FileUnavailable", "FlowViolation", "MalformedMessage",
            "NotAGradioApp", "RemoteProtocolError", "SlowConsumer", "StreamLost",
        }
    ),
    "timeout": frozenset({"TimeoutExpired"}),
    "cancelled": frozenset({"CancelledError"}),
    "usage": frozenset(
        {
            "AuthenticationRequired", "EndpointNotFound", "InvalidPayload", "LocalProtocolError",
            "UnsupportedProtocol", "ValidationFailed",
        }
    ),
}  # fmt: skip
"""The errors that a case or a fault may expect, by the kind of error that a driver answers.

Kinds are coarser than the errors of this library: other clients have errors of their own. An app's validator
is part of the app to some and a refusal to others, so ValidationFailed is in three of them.
"""


@attrs.frozen
class FoundFile:
    """A file of the outputs, fetched."""

    name: str
    content: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Observed:
    """What this library showed of one step.

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


@attrs.frozen(kw_only=True)
class OutcomeError:
    """Why a step has no value.

    Attributes:
        name: What the client calls the error.
        stands_for: The errors of a case that it may be.
        message: Its text.
    """

    name: str
    stands_for: frozenset[str]
    message: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.message else self.name


@attrs.frozen(kw_only=True)
class StepOutcome:
    """What came of one step, of any client.

    Attributes:
        value: The outputs; None: the call did not complete.
        yields: The outputs before the result.
        events: The names of the messages.
        adapter: The adapter that made the call; None: the client is not this library.
        deviations: Where the messages differed from the flow.
        files: The files of the outputs.
    """

    value: Sequence[Any] | None = None
    yields: Sequence[Sequence[Any]] | None = None
    events: Sequence[str] | None = None
    error: OutcomeError | None = None
    adapter: str | None = None
    deviations: Sequence[str] = ()
    files: Sequence[FoundFile] | None = None


def kind_of(event: Event) -> str:
    """Return an event's name on the wire: ``ProcessGenerating`` -> ``process_generating``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def outcome_of(observed: Observed) -> StepOutcome:
    """Return what this library showed as an outcome."""
    events, error = observed.events, observed.error
    value: Sequence[Any] | None = None
    if observed.step.component is not None:
        value = [observed.answer]
    elif events and isinstance(events[-1], ProcessCompleted):
        value = events[-1].data
    names = frozenset(kind.__name__ for kind in type(error).__mro__)
    return StepOutcome(
        value=value,
        yields=[event.data for event in events if isinstance(event, ProcessGenerating)],
        events=[kind_of(event) for event in events],
        error=None
        if error is None
        else OutcomeError(name=type(error).__name__, stands_for=names, message=str(error)),
        adapter=observed.adapter,
        deviations=observed.deviations,
        files=observed.files,
    )


def outcome_of_answer(answer: StepAnswer) -> StepOutcome:
    """Return what a driver answered as an outcome. A file that the client gave as a value is a found one."""
    error = answer.error
    return StepOutcome(
        value=answer.value,
        yields=answer.yields,
        events=answer.events,
        error=None
        if error is None
        else OutcomeError(
            name=error.kind if error.type is None else f"{error.kind} ({error.type})",
            stands_for=STANDS_FOR[error.kind],
            message=error.message,
        ),
        files=[FoundFile(one.name, one.content) for one in find_files(cast("Any", answer.value))],
    )


__all__ = [
    "STANDS_FOR", "FoundFile", "Observed", "OutcomeError", "StepOutcome", "kind_of", "outcome_of",
    "outcome_of_answer",
]  # fmt: skip
