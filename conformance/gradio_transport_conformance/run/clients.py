# SPDX-License-Identifier: Apache-2.0
"""Grades a client through its driver, which is a program in any language."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import attrs

from ..cases import Step
from ..driver.host import GRACE_SECONDS, Driver, TaskDriver
from ..driver.messages import CannotTask, StepAnswer, Task, TaskAnswer
from ..driver.process import DriverFailure
from ..drivers import command_for, is_name
from ..faults.tape import Tape
from ..grading import Grade, grade_outcomes
from ..outcomes import outcome_of_answer
from ..play import STEP_SECONDS
from ..reenact.playing import END_IS_MISSING
from .faults import fault_task, fault_trace, grade_fault_answer, serve_cell, why_not_a_task
from .players import SEVERAL_APPS, Identity, can_serve, case_result, fault_result
from .results import CellResult
from .selection import CaseCell, FaultCell
from .serving import CaseServer, ServeMode, serve_case
from .tasks import make_task


class ClientPlayer:
    """Plays cells to a driver.

    Args:
        driver: The driver's program and its arguments, or the name of a shipped driver, such as
            ``gradio_client==2.7.2``; or a driver object, which is closed with the player.
        mode: How recordings are served.
        record: Whether the traffic is recorded.
        deadline: Seconds that a step of a case may take.
        grace: Seconds after the deadlines of a task until the driver counts as hung.

    Raises:
        DriverFailure: The driver does not start.
        DriverUnavailable: The client of a shipped driver cannot be installed.
    """

    def __init__(
        self,
        driver: str | Sequence[str] | TaskDriver,
        mode: ServeMode,
        *,
        record: bool = False,
        deadline: float = STEP_SECONDS,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._driver = _made(driver, grace)
        self._deadline = deadline
        self._mode = mode
        self._record = record
        hello = self._driver.start()
        name = f"{hello.name} {hello.version}".strip()
        self._identity = Identity(name=name, language=hello.language)

    @property
    def identity(self) -> Identity:
        """The driver's description of itself."""
        return self._identity

    def close(self) -> None:
        """End the driver."""
        self._driver.close()

    def play_case(self, cell: CaseCell) -> CellResult:
        """Play a case to the driver."""
        if not can_serve(cell, self._mode):
            return case_result(cell, Grade.OFF_TAPE, reason=SEVERAL_APPS)
        with serve_case(cell.version, cell.case.name, self._mode) as server:
            began = time.monotonic()
            task = make_task(cell.case, cell.version, server.url, server.urls, deadline=self._deadline)
            answer, failure = self._ask(task)
            seconds = time.monotonic() - began
        fields: dict[str, Any] = {
            "task": task.as_json(),
            "answer": _shown(answer),
            "findings": server.findings,
            "off_tape": server.off_tape,
            "output": failure.output if failure else self._driver.output,
            "seconds": seconds,
            "trace": server.trace_text() if self._record else None,
        }
        if failure is not None:
            return case_result(cell, Grade.FAIL, cause=failure.cause, reason=str(failure), **fields)
        grade, reason = _grade_case(cell, answer, server)
        return case_result(cell, grade, reason=reason, **fields)

    def play_fault(self, cell: FaultCell) -> CellResult:
        """Play a fault to the driver."""
        why_not = why_not_a_task(cell.cell)
        if why_not is not None:
            return fault_result(cell, [], grade=Grade.CANNOT, reason=why_not)
        began = time.monotonic()
        tape = Tape() if self._record else None
        with serve_cell(cell.cell, tape) as server:
            task = fault_task(cell.cell, server.url, server.authority)
            answer, failure = self._ask(task)
        fields: dict[str, Any] = {
            "task": task.as_json(),
            "answer": _shown(answer),
            "output": failure.output if failure else self._driver.output,
            "seconds": time.monotonic() - began,
            "trace": fault_trace(cell.cell, tape),
        }
        if failure is not None:
            return fault_result(cell, [str(failure)], cause=failure.cause, **fields)
        cannot = _why_cannot(answer)
        if cannot is not None:
            return fault_result(cell, [], grade=Grade.CANNOT, reason=cannot, **fields)
        assert isinstance(answer, TaskAnswer)  # noqa: S101 - it can
        return fault_result(cell, grade_fault_answer(cell.cell, answer.steps), **fields)

    def _ask(self, task: Task) -> tuple[TaskAnswer | CannotTask | None, DriverFailure | None]:
        try:
            return self._driver.run(task), None
        except DriverFailure as error:
            return None, error


def _made(driver: str | Sequence[str] | TaskDriver, grace: float) -> TaskDriver:
    if isinstance(driver, str):
        return Driver(command_for(driver) if is_name(driver) else driver, grace_seconds=grace)
    return Driver(driver, grace_seconds=grace) if isinstance(driver, Sequence) else driver


def _shown(answer: TaskAnswer | CannotTask | None) -> Any:
    return attrs.asdict(answer, filter=lambda _, value: value is not None) if answer is not None else None


def _why_cannot(answer: TaskAnswer | CannotTask | None) -> str | None:
    if isinstance(answer, CannotTask):
        return answer.reason or "the driver does not say why"
    steps: Sequence[StepAnswer] = answer.steps if answer is not None else ()
    return next((step.cannot for step in steps if step.cannot is not None), None)


def _grade_case(
    cell: CaseCell, answer: TaskAnswer | CannotTask | None, server: CaseServer
) -> tuple[Grade, str]:
    cannot = _why_cannot(answer)
    if cannot is not None:
        return Grade.CANNOT, cannot
    assert isinstance(answer, TaskAnswer)  # noqa: S101 - it can
    in_vain = any(one.startswith(END_IS_MISSING) for one in server.off_tape)
    own_fault = _shared_sessions(cell, answer, server) or (None if in_vain else _not_cancelled(cell, answer))
    if own_fault is not None:
        return Grade.FAIL, own_fault
    if server.off_tape:
        return Grade.OFF_TAPE, server.off_tape[0]
    steps: list[Step] = [step for group in cell.case.steps_for(cell.version) for step in group]
    outcomes = [(step, outcome_of_answer(one)) for step, one in zip(steps, answer.steps, strict=True)]
    graded = grade_outcomes(cell.case, cell.version, "client", outcomes)
    return graded.grade, graded.reason


def _shared_sessions(cell: CaseCell, answer: TaskAnswer, server: CaseServer) -> str | None:
    """Return a problem if steps of several sessions used fewer session hashes than there are sessions.

    This is checked on the wire, because the outcome of such a call was never recorded and would only be off
    tape. A step does not count if the client may have raised its error itself, because it may never have been
    sent. Nor does a step that was refused, except for being off tape: a full queue of 3.x refuses a call
    before it requests the session.
    """
    steps = [step for group in cell.case.steps_for(cell.version) for step in group]
    unnamed = ("usage", "cancelled") if server.off_tape else ("usage", "cancelled", "refused")
    answered = [one.error is None or one.error.kind not in unnamed for one in answer.steps]
    wanted = {step.session for step, is_answered in zip(steps, answered, strict=True) if is_answered}
    named = server.session_hashes()
    if not 0 < len(named) < len(wanted):
        return None
    return f"steps of {len(wanted)} sessions share {len(named)}"


def _not_cancelled(cell: CaseCell, answer: TaskAnswer) -> str | None:
    """Return a problem if a call was not cancelled although the task required it.

    The replies of the server do not matter here, so the step is wrong and not off tape.
    """
    steps = [step for group in cell.case.steps_for(cell.version) for step in group]
    for step, one in zip(steps, answer.steps, strict=True):
        if step.error == "CancelledError" and (one.error is None or one.error.kind != "cancelled"):
            came = (
                "a result"
                if one.error is None
                else f"{one.error.type or one.error.kind}: {one.error.message}"
            )
            return f"no CancelledError, but {came}"
    return None


__all__ = ["ClientPlayer"]
