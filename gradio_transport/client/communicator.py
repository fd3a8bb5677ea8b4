# SPDX-License-Identifier: Apache-2.0
"""`Communicator`: the state of a job under the internal names of the Gradio Python client."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Protocol

from .updates import StatusUpdate


class Observed(Protocol):
    """The part of a job that a communicator shows."""

    @property
    def event_id(self) -> str | None:
        """The server's id of the call."""
        ...

    def status(self) -> StatusUpdate:
        """Return its status."""
        ...

    def outputs(self) -> Any:
        """Return its outputs; an async job returns an awaitable."""
        ...

    def done(self) -> bool:
        """Return whether it is over."""
        ...

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
        ...

    def cancel(self) -> Any:
        """Cancel it."""
        ...


class JobStatus:
    """The state of a job: its latest status, and the outputs so far."""

    def __init__(self, communicator: Communicator) -> None:
        self._communicator = communicator

    @property
    def latest_status(self) -> StatusUpdate:
        """The status as from `Job.status`; ``STARTING`` before the job exists."""
        job = self._communicator.owner
        return StatusUpdate() if job is None else job.status()

    @property
    def outputs(self) -> Any:
        """The outputs as from `Job.outputs`."""
        job = self._communicator.owner
        return [] if job is None else job.outputs()


class Communicator:
    """A second view of a job, for programs that read ``job.communicator``.

    Attributes:
        lock: A lock for programs that take it. The library does not need it for consistent reads.
        job: Latest status and outputs.
        request_headers: The headers of the call.
        owner: The job; None until the call of the `Client.new_helper` object is made.
    """

    def __init__(
        self, owner: Observed | None = None, request_headers: Mapping[str, str] | None = None
    ) -> None:
        self.lock = threading.RLock()
        self.owner = owner
        self.request_headers = request_headers
        self.job = JobStatus(self)

    @property
    def event_id(self) -> str | None:
        """The server's id of the call, or None."""
        return None if self.owner is None else self.owner.event_id

    @property
    def thread_complete(self) -> bool:
        """Whether the job is over."""
        return self.owner is not None and self.owner.done()

    @property
    def should_cancel(self) -> bool:
        """Whether the job is cancelled. Setting it to True cancels the job, as `Job.cancel` does."""
        return self.owner is not None and self.owner.cancelled()

    @should_cancel.setter
    def should_cancel(self, value: bool) -> None:
        if value and self.owner is not None:
            self.owner.cancel()


__all__ = ["Communicator", "JobStatus"]
