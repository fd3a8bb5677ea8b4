# SPDX-License-Identifier: Apache-2.0
"""The sync connection to one app. It performs steps, and holds the workers and alarms."""

from __future__ import annotations

import atexit
import logging
import math
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from ..calls import steps
from ..calls.app import App
from ..calls.failures import collected_error, hide_secrets
from ..calls.steps import Step, Steps
from ..engines.base import Engine, StreamEnded, engine_name
from ..engines.interruptions import check_may_wait, find_foreign, holding, not_holding
from ..errors import GradioTransportError, LocalProtocolError
from ..files.disk import read_upload
from ..files.upload import ReadFile, ReadServerFile
from ..protocol.commands import Closed, Ending
from .alarms import Alarms
from .files import RemoteFile
from .threads import Flag
from .workers import Workers

logger = logging.getLogger(__name__)

T = TypeVar("T")

ASIDE_THREADS = 8
"""The most concurrent cancel requests."""

TELL_SECONDS = 2.0
"""Seconds that closing, and the exit of the program, wait for pending cancel requests."""

_telling: weakref.WeakSet[Connection] = weakref.WeakSet()


@atexit.register
def _wait_told_by_all() -> None:
    """Let a program that exits just after a cancellation send it: the exit ends the threads."""
    end = time.monotonic() + TELL_SECONDS
    for connection in list(_telling):
        connection.wait_told(end)


_END = Closed(Ending.CLEAN)


class Connection:
    """A performer of the steps of requests and sessions, each in the requesting thread."""

    def __init__(self, app: App, engine: Engine) -> None:
        self.app = app
        self.engine = engine
        app.engine = engine_name(engine)
        app.identity.connections = getattr(engine, "connections", None)
        if os.environ.get("GRADIO_TRANSPORT_TRACE"):  # imports the trace package only if needed
            from ..trace.environment import record_as_environment_says

            record_as_environment_says(app.taps)
        self.closing = Flag()
        self.collected = False
        """Whether its transport was collected without having been closed."""
        self._start_without_threads()

    def _start_without_threads(self) -> None:
        self.workers = Workers("worker", self.app.options.limits.workers)
        self.alarms = Alarms()
        # Not the workers, because all of them may be busy for long.
        self._aside = Workers("aside", ASIDE_THREADS)
        self._telling: set[Flag] = set()
        self._exclusive = threading.RLock()

    @property
    def closed(self) -> bool:
        """Whether it is closed or closing."""
        return self.closing.is_set()

    def reset_after_fork(self) -> None:
        """Leave connections and threads to the parent, in a child of ``fork``."""
        self.closing = Flag()
        self._start_without_threads()
        reset: Callable[[], None] | None = getattr(self.engine, "reset_after_fork", None)
        if reset is None:  # the caller's engine, which would use the parent's sockets
            self.closing.set()
        else:
            reset()

    def run(self, sequence: Steps[T]) -> T:
        """Perform steps until the sequence ends, and return its result.

        Raises:
            LocalProtocolError: Waiting is not possible here; see `check_may_wait`. Or its transport was
                garbage-collected.
        """
        check_may_wait()
        if self.collected:
            raise collected_error()
        try:
            return self._run(sequence)
        except GradioTransportError as error:
            hide_secrets(error, self.app.secrets)
            raise

    @not_holding
    def _run(self, sequence: Steps[T]) -> T:
        try:
            step = next(sequence)
            while True:
                try:
                    result = self._perform(step)
                except BaseException as error:  # noqa: BLE001
                    # Any exception is thrown into the sequence, so that the sequence can clean up.
                    step = sequence.throw(find_foreign(error) or error)
                else:
                    step = sequence.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value

    @holding
    def _perform(self, step: Step) -> Any:
        match step:
            case steps.Read():
                return _read(step)
            case steps.Operation():
                return step.perform(self.engine)
            case steps.Send():
                return self.engine.request(step.request, step.begin())
            case steps.Pause():
                return self._pause(step)
            case steps.Use():
                try:
                    return self._run(step.steps)
                finally:
                    step.live.close()
            case steps.Droppable():
                return self._run(step.steps)
            case steps.Exclusive():
                return self._run_exclusively(step)
            case ReadFile():
                return read_upload(step.path)
            case ReadServerFile():
                return self._read_server_file(step)

    @not_holding
    def _read_server_file(self, step: ReadServerFile) -> bytes:
        if not isinstance(step.file, RemoteFile):
            raise step.refusal()
        return step.file.read(timeout=step.seconds)

    @not_holding
    def _pause(self, step: steps.Pause) -> bool:
        # Why not `time.sleep`: the end of the call or the transport must interrupt it.
        return not (step.waiter or self.closing).wait(step.seconds)

    def _run_exclusively(self, step: steps.Exclusive) -> None:
        rest = step.deadline.remaining
        if not self._exclusive.acquire(timeout=-1 if rest is None else rest):
            raise step.deadline.error(step.phase)
        try:
            self._run(step.steps)
        finally:
            self._exclusive.release()

    def do_aside(self, job: Callable[[], object]) -> None:
        """Run a short job in another thread, without waiting for it.

        Raises:
            LocalProtocolError: No thread can be started.
        """
        self._aside.submit(job)

    def tell(self, steps: Steps[Any]) -> Flag:
        """Send a cancellation to the server in the background. Return a flag that is set afterwards."""
        told = Flag()

        def perform() -> None:
            try:
                self.run(steps)
            finally:
                self._telling.discard(told)
                told.set()

        self._telling.add(told)
        _telling.add(self)
        try:
            self._aside.submit(perform)
        except BaseException as error:
            self._telling.discard(told)
            told.set()
            if not isinstance(error, LocalProtocolError):
                raise
            # The caller can continue anyway.
            logger.warning("a cancellation could not be sent to the server: %s", error)
        return told

    def wait_told(self, end: float = math.inf) -> None:
        """Wait until every cancellation is sent, at most `TELL_SECONDS` and until `end`."""
        end = min(end, time.monotonic() + TELL_SECONDS)
        for told in self._telling.copy():
            told.wait(max(0.0, end - time.monotonic()))

    @holding
    def close(self) -> list[threading.Thread]:
        """Close all connections, and return the threads to join, which end with them."""
        self.closing.set()
        self.engine.close()
        alarms = self.alarms.close()
        ending = [*self.workers.close(), *self._aside.close()]
        return ending if alarms is None else [*ending, alarms]


def _read(step: steps.Read) -> bytes | Closed:
    try:
        return next(step.chunks, _END)
    except StreamEnded as ended:
        foreign = find_foreign(ended)
        if foreign is not None:
            raise foreign from None
        return ended.closed
