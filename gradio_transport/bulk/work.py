# SPDX-License-Identifier: Apache-2.0
"""The interface between a run and its work: calls, or anything like them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self, TypeAlias

import anyio.abc

from ..calls.handle import Handle
from .outcome import Outcome
from .settings import RunSettings

Accepted: TypeAlias = Callable[[Handle], None]
"""Called when a server has accepted a late call, before its stream is opened. It must not wait."""


class Place(Protocol):
    """The right to run one row."""

    may_have_run: bool

    async def run(self, index: int, row: Any, accepted: Accepted | None) -> Outcome:
        """Run the row, and release the slot."""
        ...

    def release(self) -> None:
        """Release the slot unused."""


class Runner(Protocol):
    """The executor of rows: this process, or workers of an engine."""

    @property
    def allowed(self) -> int:
        """The most concurrent rows."""
        ...

    async def open(self, tasks: anyio.abc.TaskGroup, on_room: Callable[[], object]) -> None:
        """Get ready.

        Args:
            tasks: Task group for background tasks.
            on_room: Called when there is more room although no row has ended, such as after another source
                connects.
        """

    def close(self) -> None:
        """Release the resources of `open`."""

    def has_room(self) -> bool:
        """Return whether `place` would return without waiting for the end of a row."""
        ...

    async def place(self) -> Place:
        """Wait for a slot.

        Raises:
            GradioTransportError: There will be no slot.
        """
        ...

    def check(self) -> None:
        """Raise the error that ends the run after its rows."""

    async def attach(self, handle: Handle, index: int, row: Any) -> Outcome | None:
        """Fetch a row that an earlier run or a lost worker has started; None if it is not known any more.

        Raises:
            GradioTransportError: The server does not answer now.
        """


class Work(Protocol):
    """The work for each row. It is pickled for the workers of an engine, so it contains no secret."""

    @property
    def settings(self) -> RunSettings:
        """The settings of the run."""
        ...

    @property
    def subject(self) -> Mapping[str, str]:
        """The subject of a journal. A journal of another subject is refused."""
        ...

    def runner(self) -> Runner:
        """Return the runner of the rows in the current process."""
        ...

    def share(self, workers: int) -> Self:
        """Return the share of one of several workers."""
        ...

    def check_portable(self) -> None:
        """Check that the work may be sent to workers.

        Raises:
            LocalProtocolError: It would carry a secret.
        """

    def is_final(self, outcome: Outcome, *, redo_failed: bool) -> bool:
        """Return whether the outcome of an earlier run is kept."""
        ...
