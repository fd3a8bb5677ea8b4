# SPDX-License-Identifier: Apache-2.0
"""`Communicator`: what programs read of a job under the names that the Gradio Python client has inside."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Protocol

from .updates import StatusUpdate


class Observed(Protocol):
    """What a communicator shows of a job."""

    @property
    def event_id(self) -> str | None:
        """The server's name for the call."""
        ...

    def status(self) -> StatusUpdate:
        """Return its status."""
        ...

    def outputs(self) -> Any:
        """Return its outputs; of an async job an awaitable of them."""
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
        """As `Job.status` returns it; of a job that is not made yet, ``STARTING``."""
        job = self._communicator.owner
        return StatusUpdate() if job is None else job.status()

    @property
    def outputs(self) -> Any:
        """As `Job.outputs` returns them."""
        job = self._communicator.owner
        return [] if job is None else job.outputs()


class Communicator:
    """A second view of a job, for programs that read ``job.communicator``.

    Attributes:
        lock: Nothing here waits for it: what is read is consistent without.
        job: Latest status and outputs.
        request_headers: Those of the call.
        owner: The job; None until `Client.new_helper`'s call is made.
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
        """The server's name for the call, once it has one."""
        return None if self.owner is None else self.owner.event_id

    @property
    def thread_complete(self) -> bool:
        """Whether the job is over."""
        return self.owner is not None and self.owner.done()

    @property
    def should_cancel(self) -> bool:
        """Whether the job is cancelled; True cancels it, as `Job.cancel` does."""
        return self.owner is not None and self.owner.cancelled()

    @should_cancel.setter
    def should_cancel(self, value: bool) -> None:
        if value and self.owner is not None:
            self.owner.cancel()


__all__ = ["Communicator", "JobStatus"]
