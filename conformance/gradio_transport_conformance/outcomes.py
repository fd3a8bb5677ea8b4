# SPDX-License-Identifier: Apache-2.0
"""The outcome of a step in one form, from this library or from the driver of any other client.

So one grader serves both.  Data that a client does not report is None here, and is not graded.
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
"""The errors that a case or a fault may expect, by the kind of error in a driver's answer.

Kinds are coarser than the errors of this library, because other clients have errors of their own. Some
clients treat an app's validator as part of the app, others as a refusal, so ValidationFailed is in three of
them.
"""


@attrs.frozen
class FoundFile:
    """A file of the outputs, fetched."""

    name: str
    content: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Observed:
    """The result of one step in this library.

    Attributes:
        files: The files of the outputs; None if they could not be fetched (in a replay without I/O).
        answer: The value that a component's own function returned.
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
        name: The client's name for the error.
        stands_for: The errors of a case that match it.
        message: Its text.
    """

    name: str
    stands_for: frozenset[str]
    message: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.message else self.name


@attrs.frozen(kw_only=True)
class StepOutcome:
    """The outcome of one step, from any client.

    Attributes:
        value: The outputs; None: the call did not complete.
        yields: The outputs before the result.
        events: The names of the messages.
        adapter: The adapter that made the call; None: the client is not this library.
        deviations: The differences of the messages from the flow.
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
    """Return this library's result as an outcome."""
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
    """Return a driver's answer as an outcome. A file in a value counts as a file of the outputs."""
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
