# SPDX-License-Identifier: Apache-2.0
"""Workers of a ``concurrent.futures.Executor``: each chunk of rows is a task of the pool."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor

import attrs

from ..work import Work
from .remote import Gone, Hand
from .worker import Report, Task, dismiss, do_in_pool


@attrs.define
class _Chunks:
    """A stream of chunks to the pool, one after the other. Each possible worker has one stream."""

    executor: Executor
    run: str
    work: Work

    def exchange(self, tasks: Sequence[Task]) -> Report:
        """Run rows in the pool, and return when all have ended."""
        try:
            return self.executor.submit(do_in_pool, self.run, self.work, tasks).result()
        except (BrokenExecutor, CancelledError) as error:
            raise Gone(f"{type(error).__name__}: {error}") from error
        except RuntimeError as error:  # the pool is shut down
            raise Gone(str(error)) from error

    def close(self) -> None:
        """Do nothing: `Pool.close` releases the workers together."""


class Pool:
    """An executor as an engine. As in the standard library, a process that dies breaks the whole pool."""

    def __init__(self, executor: Executor, workers: int | None) -> None:
        self._executor = executor
        self._count = workers or min(os.cpu_count() or 1, 8)
        self._run = secrets.token_hex(8)

    def start(self, work: Work) -> list[Hand]:
        """Return one stream of chunks for each worker."""
        shared = work.share(self._count)
        return [_Chunks(self._executor, self._run, shared) for _ in range(self._count)]

    def replace(self) -> Hand | None:
        """Return None: a broken pool has no slot."""
        return None

    def close(self) -> None:
        """Release the worker of this process. Those of other processes end when idle, or with the pool."""
        dismiss(self._run)
