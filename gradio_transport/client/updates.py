# SPDX-License-Identifier: Apache-2.0
"""The state of a job, from the events of its call: `Status`, `StatusUpdate`, and `JobHistory`."""

from __future__ import annotations

import enum
import functools
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeAlias, cast

import attrs

from .. import events as e
from ..calls.views import CallView
from ..events import Event, ProgressUnit
from ..protocol.flow import State

DIRECT = "direct"
"""The adapter of calls outside the queue."""


@functools.total_ordering
class Status(enum.Enum):
    """The state of a job, with the names of the Gradio docs. A later state is greater than an earlier one."""

    STARTING = "STARTING"
    JOINING_QUEUE = "JOINING_QUEUE"
    QUEUE_FULL = "QUEUE_FULL"
    IN_QUEUE = "IN_QUEUE"
    SENDING_DATA = "SENDING_DATA"
    PROCESSING = "PROCESSING"
    LOG = "LOG"
    PROGRESS = "PROGRESS"
    ITERATING = "ITERATING"
    FINISHED = "FINISHED"
    CANCELLED = "CANCELLED"

    @staticmethod
    def ordering(status: Status) -> int:
        """Return the order of a status in the course of a job."""
        return list(Status).index(status)

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Status):
            return NotImplemented
        return self.ordering(self) < self.ordering(other)


@attrs.frozen(kw_only=True)
class StatusUpdate:
    """The status of a job at one moment.

    Attributes:
        code: The state.
        rank: Its place in the queue, 0 for the first in line.
        queue_size: Number of waiting calls.
        eta: Seconds until its result, by the server's estimate.
        success: Whether it succeeded; None until it ends.
        time: Time of arrival, by the local clock.
        progress_data: The bars of ``gr.Progress``; None if there are none.
        log: Text and level of the last ``gr.Info`` or ``gr.Warning``, where `code` is ``LOG``.
    """

    code: Status = Status.STARTING
    rank: int | None = None
    queue_size: int | None = None
    eta: float | None = None
    success: bool | None = None
    time: datetime | None = attrs.field(factory=datetime.now)
    progress_data: list[ProgressUnit] | None = None
    log: tuple[str, str] | None = None


class OutputUpdate:
    """One output of a job, as the server sent it and as the program gets it, which is made on demand.

    Only one with files is kept, so that they are downloaded once. Any other is made again for each reader: a
    copy of each frame of a long chat would take more memory than the frames, which share their unchanged
    parts.
    """

    def __init__(self, data: list[Any]) -> None:
        self.data = data
        self._made: tuple[bool, Any] | None = None
        self._lock = threading.Lock()

    def cached(self, final: bool) -> tuple[bool, Any] | None:
        """Return the kept output, if it was made with the same value of `final`."""
        return self._made if self._made is not None and self._made[0] >= final else None

    def keep(self, final: bool, value: Any, has_files: bool) -> Any:
        """Keep the output if it has files, and return it."""
        if has_files:
            self._made = final, value
        return value

    def value(self, final: bool, make: Callable[[list[Any], bool], tuple[Any, bool]]) -> Any:
        """Return the output as `OutputFiles.save` makes it; with files, in the first thread that asks."""
        with self._lock:
            made = self.cached(final)
            return made[1] if made is not None else self.keep(final, *make(self.data, final))


Callbacks: TypeAlias = Callable[..., object] | Sequence[Callable[..., object]]


def output_callbacks(given: Callbacks | None) -> list[Callable[[Any], None]]:
    """Return done callbacks, for either kind of job, that call the given ones with the outputs on success."""
    listed = [] if given is None else [given] if callable(given) else given

    def done(callback: Callable[..., object], job: Any) -> None:
        value, error = job._end or (None, None)
        if error is None:
            callback(*(cast("tuple[Any, ...]", value) if isinstance(value, tuple) else (value,)))

    return [functools.partial(done, callback) for callback in listed]


def runs(call: CallView[Any]) -> bool:
    """Return whether the app's function is running. A call outside the queue gets no message about that."""
    return call.status is State.RUNNING or (call.status is State.JOINING and call.adapter == DIRECT)


def show_running(status: StatusUpdate, call: CallView[Any] | None) -> StatusUpdate:
    """Return a ``PROCESSING`` status for a call that runs but has no message yet."""
    if status.code is Status.STARTING and call is not None and runs(call):
        return attrs.evolve(status, code=Status.PROCESSING)
    return status


class JobHistory:
    """The events of a call so far, as a status and outputs. Not thread-safe: the sync job locks.

    Attributes:
        status: The newest status.
        outputs: The outputs of a generator, or the one output of any other function.
        yielded: Whether the function has yielded, so it is a generator.
    """

    def __init__(self) -> None:
        self.status = StatusUpdate()
        self.outputs: list[OutputUpdate] = []
        self.yielded = False

    def add(self, event: Event) -> None:
        """Add an event."""
        status = self._status(event)
        if status is not None:
            self.status = status
        if isinstance(event, e.ProcessGenerating | e.ProcessStreaming):
            self.yielded = True
            self.outputs.append(OutputUpdate(event.data))
        # Servers repeat the last yield of a generator in the completion (docs/wire.md §3.2).
        elif isinstance(event, e.ProcessCompleted) and event.success and not self._repeats(event.data):
            self.outputs.append(OutputUpdate(event.data))

    def _repeats(self, data: list[Any]) -> bool:
        return bool(self.outputs) and self.outputs[-1].data == data

    def _status(self, event: Event) -> StatusUpdate | None:
        last = self.status
        match event:
            case e.Joined() | e.SendHash():
                return StatusUpdate(code=Status.JOINING_QUEUE)
            case e.QueueFullMessage():
                return StatusUpdate(code=Status.QUEUE_FULL, success=False)
            case e.Estimation(rank=rank, queue_size=size, rank_eta=eta):
                return StatusUpdate(code=Status.IN_QUEUE, rank=rank, queue_size=size, eta=eta)
            case e.SendData():
                return StatusUpdate(code=Status.SENDING_DATA)
            case e.ProcessStarts(eta=eta):
                return StatusUpdate(code=Status.PROCESSING, rank=0, eta=eta)
            case e.Progress(units=units):
                return StatusUpdate(code=Status.PROGRESS, eta=last.eta, progress_data=list(units))
            case e.Log(message=message, level=level):
                return StatusUpdate(
                    code=Status.LOG, eta=last.eta, progress_data=last.progress_data, log=(message, level)
                )
            case e.ProcessGenerating() | e.ProcessStreaming():
                return StatusUpdate(code=Status.ITERATING, eta=last.eta, progress_data=last.progress_data)
            case e.ProcessCompleted(success=success):
                return StatusUpdate(code=Status.FINISHED, success=success, progress_data=last.progress_data)
            case e.Failed():
                full = last.code is Status.QUEUE_FULL
                return StatusUpdate(code=Status.QUEUE_FULL if full else Status.FINISHED, success=False)
            case e.Cancelled():
                return StatusUpdate(code=Status.CANCELLED, success=False)
            case _:
                return None


__all__ = [
    "Callbacks",
    "OutputUpdate",
    "ProgressUnit",
    "Status",
    "StatusUpdate",
    "JobHistory",
    "output_callbacks",
]
