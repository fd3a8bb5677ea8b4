# SPDX-License-Identifier: Apache-2.0
"""What a run does with its rows, as runs, engines and the journal know it: calls, or anything like them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self, TypeAlias

import anyio.abc

from ..calls.handle import Handle
from .outcome import Outcome
from .settings import RunSettings

Accepted: TypeAlias = Callable[[Handle], None]
"""Called once a server has accepted a late call, before its stream is opened; does not wait."""


class Place(Protocol):
    """The right to have one row under way."""

    may_have_run: bool

    async def run(self, index: int, row: Any, accepted: Accepted | None) -> Outcome:
        """Do the row, and give the place back."""
        ...

    def release(self) -> None:
        """Give the place back unused."""


class Runner(Protocol):
    """What does the rows: this process, or workers of an engine."""

    @property
    def allowed(self) -> int:
        """How many rows may be under way at once."""
        ...

    async def open(self, tasks: anyio.abc.TaskGroup, on_room: Callable[[], object]) -> None:
        """Get ready.

        Args:
            tasks: Tasks that hold something run in it.
            on_room: Called when there is more room and no row has ended, such as for another source.
        """

    def close(self) -> None:
        """Let go of what `open` took."""

    def has_room(self) -> bool:
        """Return whether `place` would return without waiting for the end of a row."""
        ...

    async def place(self) -> Place:
        """Wait for a place.

        Raises:
            GradioTransportError: There will be none.
        """
        ...

    def check(self) -> None:
        """Raise what should end the run once its rows have ended."""

    async def attach(self, handle: Handle, index: int, row: Any) -> Outcome | None:
        """Fetch what an earlier run, or a lost worker, has begun; None: it is not known any more.

        Raises:
            GradioTransportError: The server cannot be asked now.
        """


class Work(Protocol):
    """What is done with each row. It is pickled for the workers of an engine, so it holds no secret."""

    @property
    def settings(self) -> RunSettings:
        """The settings of the run."""
        ...

    @property
    def subject(self) -> Mapping[str, str]:
        """What a journal is of: one of another subject is refused."""
        ...

    def runner(self) -> Runner:
        """Return what does the rows in the process that asks."""
        ...

    def share(self, workers: int) -> Self:
        """Return the part of one of several workers."""
        ...

    def check_portable(self) -> None:
        """Refuse to be sent to workers.

        Raises:
            LocalProtocolError: It would take a secret along.
        """

    def is_final(self, outcome: Outcome, *, redo_failed: bool) -> bool:
        """Return whether the outcome of an earlier run stays as it is."""
        ...
