# SPDX-License-Identifier: Apache-2.0
"""Sends tasks to a driver, and restarts the driver after it died or hung."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from .messages import CannotTask, DriverHello, Task, TaskAnswer, hello_message
from .process import DriverFailure, DriverProcess
from .reading import Message

START_SECONDS = 60.0
"""Seconds until a driver must send its hello: on a busy machine, packages load slowly."""

GRACE_SECONDS = 5.0
"""Seconds after the deadlines of a task until the driver counts as hung."""

_END_SECONDS = 2.0
"""Seconds until a driver must exit after its input has ended."""


class TaskDriver(Protocol):
    """A driver that receives tasks, one at a time."""

    def start(self) -> DriverHello:
        """Return the driver's description of itself.

        Raises:
            DriverFailure: It cannot be started, or does not send its hello.
        """
        ...

    def run(self, task: Task) -> TaskAnswer | CannotTask:
        """Send a task, and return the answer.

        Raises:
            DriverFailure: The driver did not answer.
        """
        ...

    @property
    def output(self) -> str:
        """The end of the driver's output outside the protocol."""
        ...

    def close(self) -> None:
        """End it."""
        ...


def why_not_sent(task: Task, hello: DriverHello) -> CannotTask | None:
    """Return the substitute for an answer if the client lacks a feature that the task needs."""
    missing = sorted(task.needed_features() - hello.features)
    return CannotTask(id=task.id, reason=f"the client has no {' and no '.join(missing)}") if missing else None


def seconds_for(task: Task, grace: float) -> float:
    """Return the seconds that a task may take: its groups, one after the other, and a grace period."""
    return task.deadline * max(1, len(task.groups)) + grace


def checked(task: Task, answer: TaskAnswer | CannotTask, output: str = "") -> TaskAnswer | CannotTask:
    """Return the answer, checked against the task.

    Raises:
        DriverFailure: The answer has more or fewer steps.
    """
    if isinstance(answer, TaskAnswer) and len(answer.steps) != len(task.steps):
        raise DriverFailure("invalid", f"answered {len(answer.steps)} steps of {len(task.steps)}", output)
    return answer


class Driver:
    """A driver that receives one task at a time. Not thread-safe: use one for each thread.

    Args:
        command: The program and its arguments; a text is split as a shell does.
        start_seconds: The deadline of its hello, in seconds.
        grace_seconds: Seconds after the deadlines of a task until the driver counts as hung.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        *,
        start_seconds: float = START_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        split = shlex.split(command, posix=os.name != "nt") if isinstance(command, str) else command
        if not split:
            raise ValueError("The command of the driver is empty. Give a program, such as 'node driver.mjs'.")
        self._command = split
        self._start_seconds = start_seconds
        self._grace_seconds = grace_seconds
        self._process: DriverProcess | None = None
        self._hello: DriverHello | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> DriverHello:
        """Start the driver unless it runs, and return its description of itself.

        Raises:
            DriverFailure: It cannot be started, or does not send its hello.
        """
        if self._process is None or self._hello is None:
            self._process = DriverProcess(self._command)
            try:
                self._process.send(hello_message(), self._start_seconds)
                hello = self._process.receive(
                    lambda message: isinstance(message, DriverHello), self._start_seconds
                )
            except DriverFailure:
                self._end_process()
                raise
            assert isinstance(hello, DriverHello)  # noqa: S101 - nothing else was wanted
            self._hello = hello
        return self._hello

    def run(self, task: Task) -> TaskAnswer | CannotTask:
        """Send a task, and return the answer. A task that needs a feature that the client lacks is not sent.

        Raises:
            DriverFailure: The driver died, hung or sent an invalid answer. It is started again for the next
                task.
        """
        refusal = why_not_sent(task, self.start())
        if refusal is not None:
            return refusal
        try:
            return self._answer(task)
        except DriverFailure:
            self._end_process()
            raise

    def _answer(self, task: Task) -> TaskAnswer | CannotTask:
        process = self._process
        assert process is not None  # noqa: S101 - `start` made it
        seconds = seconds_for(task, self._grace_seconds)
        process.send(task.as_json(), seconds)

        def is_answer(message: Message) -> bool:
            return isinstance(message, TaskAnswer | CannotTask) and message.id == task.id

        answer = process.receive(is_answer, seconds)
        assert isinstance(answer, TaskAnswer | CannotTask)  # noqa: S101 - nothing else was wanted
        return checked(task, answer, process.output)

    @property
    def output(self) -> str:
        """The end of the driver's output outside the protocol since it was started."""
        return self._process.output if self._process is not None else ""

    def close(self) -> None:
        """End the driver and its children."""
        self._end_process(_END_SECONDS)

    def _end_process(self, seconds: float = 0.0) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end(seconds)


__all__ = [
    "GRACE_SECONDS", "START_SECONDS", "Driver", "DriverFailure", "TaskDriver", "checked", "seconds_for",
    "why_not_sent",
]  # fmt: skip
