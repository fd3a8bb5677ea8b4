# SPDX-License-Identifier: Apache-2.0
"""A driver that fetches its tasks by HTTP: a page in a browser, which cannot be started as a process.

A run sends tasks to `PollingDriver`, and HTTP requests read them from `Mailbox`; `task_server` has the HTTP.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self, TypeAlias

import attrs

from .host import GRACE_SECONDS, checked, seconds_for, why_not_sent
from .messages import CannotTask, DriverHello, Task, TaskAnswer, encode_line, hello_message
from .process import DriverFailure
from .reading import InvalidMessage, Message
from .task_server import Mailbox, Nothing, TaskServer

HELLO_SECONDS = 300.0
"""Seconds that a run waits for the hello of the driver: a person has to open a page."""

POLL_SECONDS = 30.0
"""Seconds until a driver must request its next task."""

_GONE_SECONDS = 1.0
"""The same after a request that was late: otherwise each of the remaining tasks would take that long."""

_END_SECONDS = 2.0
"""Seconds that the run waits at its end until the driver knows of it."""

_Came: TypeAlias = TaskAnswer | CannotTask | DriverFailure


@attrs.define(eq=False)
class _State(Mailbox):
    """The state that the thread of the run and the threads of requests share. `changed` guards it."""

    changed: threading.Condition = attrs.field(factory=threading.Condition)
    hello: DriverHello | None = None
    failed_hello: InvalidMessage | None = None
    message: bytes | None = None
    task_id: str = ""
    given: float | None = None
    came: _Came | None = None
    polls: int = 0
    ended: bool = False
    told: bool = False

    def next_message(self, seconds: float) -> bytes | Nothing:
        """Return the next message for the driver; called by the thread of a request."""
        ends = time.monotonic() + seconds
        with self.changed:
            self.polls += 1
            mine = self.polls
            self._fail("dead", "requested another task before it answered")
            self.changed.notify_all()
            while True:
                found = self._find(mine)
                if found is not None:
                    self.changed.notify_all()
                    return found
                left = ends - time.monotonic()
                if left <= 0:
                    return Nothing.YET
                self.changed.wait(left)

    def _find(self, poll: int) -> bytes | Nothing | None:
        if poll != self.polls:
            return Nothing.OTHER
        if self.ended:
            self.told = True
            return Nothing.MORE
        if self.hello is None:
            return encode_line(hello_message())
        message, self.message = self.message, None
        if message is not None:
            self.given = time.monotonic()
        return message

    def not_delivered(self, message: bytes) -> None:
        """Take back a message that the driver did not get."""
        with self.changed:
            if self.given is not None and self.came is None:
                self.message, self.given = message, None

    def take(self, message: Message | InvalidMessage) -> bool:
        """Accept a message of the driver; return whether it was expected."""
        with self.changed:
            self.changed.notify_all()
            if isinstance(message, DriverHello):
                self._fail("dead", "was restarted before it answered")
                self.hello = message
                return True
            if isinstance(message, InvalidMessage):
                if self.hello is None:
                    self.failed_hello = message
                return self._fail("invalid", f"sent an invalid message: {message}")
            if not self._is_waited_for or message.id != self.task_id:
                return False
            self.came = message
            return True

    @property
    def _is_waited_for(self) -> bool:
        return self.given is not None and self.came is None

    def _fail(self, cause: str, reason: str) -> bool:
        is_failure = self._is_waited_for
        if is_failure:
            self.came = DriverFailure(cause, reason)
        return is_failure


class PollingDriver:
    """A driver that fetches one task at a time. Its methods are not thread-safe.

    Args:
        port: Port of the server on the loopback; 0 chooses a free one.
        hello_seconds: The deadline of its hello, in seconds.
        poll_seconds: The deadline of its request for the next task, in seconds.
        grace_seconds: Seconds after the deadlines of a task until the driver counts as hung.

    Raises:
        OSError: The port is in use.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        hello_seconds: float = HELLO_SECONDS,
        poll_seconds: float = POLL_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._state = _State()
        self._server = TaskServer(self._state, port)
        self._hello_seconds = hello_seconds
        self._poll_seconds = poll_seconds
        self._patience = poll_seconds
        self._grace_seconds = grace_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The URL from which the driver fetches tasks. Its token keeps other programs and pages out."""
        return self._server.url

    @property
    def output(self) -> str:
        """Nothing: the console of a page cannot be read."""
        return ""

    def start(self) -> DriverHello:
        """Wait for the driver, and return its description of itself.

        Raises:
            DriverFailure: It does not send its hello in time.
        """
        state = self._state
        with state.changed:
            state.changed.wait_for(lambda: state.hello or state.failed_hello, self._hello_seconds)
            if state.hello is not None:
                return state.hello
            failed = state.failed_hello
        self.close()
        if failed is not None:
            raise DriverFailure("invalid", f"sent an invalid message: {failed}")
        raise DriverFailure("hung", f"did not send its hello within {self._hello_seconds:g} s")

    def run(self, task: Task) -> TaskAnswer | CannotTask:
        """Offer a task, and return the answer. A task is not offered if the client lacks a feature.

        Raises:
            DriverFailure: The driver did not request the task, was restarted, did not answer, or sent an
                invalid answer.
        """
        refusal = why_not_sent(task, self.start())
        if refusal is not None:
            return refusal
        state = self._state
        with state.changed:
            state.message, state.task_id = encode_line(task.as_json()), task.id
            state.given, state.came = None, None
            state.changed.notify_all()
            try:
                came = self._wait(seconds_for(task, self._grace_seconds))
            finally:
                state.message, state.given = None, None
        if isinstance(came, DriverFailure):
            raise came
        return checked(task, came)

    def _wait(self, seconds: float) -> _Came:
        state = self._state
        if not state.changed.wait_for(lambda: state.given is not None, self._patience):
            patience, self._patience = self._patience, min(self._patience, _GONE_SECONDS)
            return DriverFailure("hung", f"did not request the task within {patience:g} s")
        self._patience = self._poll_seconds
        state.changed.wait_for(lambda: state.came is not None, seconds)
        return state.came or DriverFailure("hung", f"did not answer within {seconds:g} s")

    def close(self) -> None:
        """Tell the driver that the run has ended, and stop listening."""
        state = self._state
        with state.changed:
            state.ended = True
            state.changed.notify_all()
            if state.hello is not None:
                state.changed.wait_for(lambda: state.told, _END_SECONDS)
        self._server.close()


__all__ = ["HELLO_SECONDS", "POLL_SECONDS", "PollingDriver"]
