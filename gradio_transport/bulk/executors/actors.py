# SPDX-License-Identifier: Apache-2.0
"""Workers that are actors of Dask or Ray. They stay in their place, and are never run twice.

Why not tasks: Dask and Ray run a task again if its worker is lost, and a row would run twice.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import attrs

from ...errors import GradioTransportError, TransportError
from ..work import Work
from .remote import Gone, Hand
from .worker import Report, Task, Worker

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.1
"""Seconds that an actor delays an exchange while it has nothing to report. A new row may wait that long."""

REPLY_SECONDS = 60.0
"""Further seconds that the reply of an actor may take. After that its worker counts as lost."""

START_SECONDS = 300.0
"""The same while an actor starts, because a cluster may have to create an environment first."""


@attrs.define
class _Actor:
    """An actor, as a function that calls its `Worker.exchange` and one that ends it."""

    call: Callable[[int, Sequence[Task], float], Report]
    end: Callable[[], object]
    numbers: Any = attrs.field(factory=lambda: itertools.count(1))

    def exchange(self, tasks: Sequence[Task]) -> Report:
        """Send rows to the actor, and wait briefly for its report."""
        return self.call(next(self.numbers), tasks, WAIT_SECONDS)

    def close(self) -> None:
        """End the actor."""
        self.end()


class Dask:
    """The workers of a Dask cluster, with one actor each."""

    def __init__(self, client: Any, workers: int | None) -> None:
        self._client = client
        self._count = workers
        self._used: set[str] = set()
        self._start: Callable[[str], Hand] | None = None

    def start(self, work: Work) -> list[Hand]:
        """Start an actor on each worker, or on the requested number."""
        addresses = self._addresses()[: self._count]
        shared = work.share(len(addresses) or 1)
        self._start = lambda address: self._hire(address, shared)
        hands = [hand for hand in map(self._try, addresses) if hand is not None]
        if not hands:
            raise TransportError(
                f"No worker of the Dask cluster started an actor within {START_SECONDS:g} s. Look at the "
                "cluster's dashboard, or start a worker: dask worker SCHEDULER."
            )
        return hands

    def _try(self, address: str) -> Hand | None:
        """Start an actor on a worker, or return None if that takes too long."""
        assert self._start is not None  # noqa: S101 - set by `start`
        try:
            return self._start(address)
        except TimeoutError:
            logger.warning("the Dask worker %s has not started an actor", address)
            return None

    def _addresses(self) -> list[str]:
        found = list(self._client.scheduler_info(n_workers=-1)["workers"])
        if not found:
            with suppress(TimeoutError):
                self._client.wait_for_workers(1, timeout=START_SECONDS)
            found = list(self._client.scheduler_info(n_workers=-1)["workers"])
        return [address for address in found if address not in self._used]

    def _hire(self, address: str, work: Work) -> Hand:
        self._used.add(address)
        future = self._client.submit(
            Worker, work, actor=True, workers=[address], allow_other_workers=False, pure=False
        )
        try:
            actor: Any = future.result(timeout=START_SECONDS)
        except TimeoutError:
            future.release()
            raise

        def call(number: int, tasks: Sequence[Task], wait: float) -> Report:
            try:
                report: Report = actor.exchange(number, tasks, wait).result(timeout=wait + REPLY_SECONDS)
            except GradioTransportError:
                raise  # raised by the worker itself; some are also an OSError
            except (OSError, ValueError) as error:
                if future.status == "finished" and not isinstance(error, OSError):
                    raise
                raise Gone(f"{type(error).__name__}: {error}") from error
            return report

        return _Actor(call, future.release)

    def replace(self) -> Hand | None:
        """Start an actor on a worker without one, such as a new worker of the cluster."""
        free = self._addresses()
        return self._try(free[0]) if free else None

    def close(self) -> None:
        """Do nothing: the actors end one by one, and the client belongs to the caller."""


class Ray:
    """A cluster of Ray, with one actor on each node, or the requested number."""

    def __init__(self, ray: Any, workers: int | None) -> None:
        self._ray = ray
        self._count = workers
        self._start: Callable[[], Hand] | None = None

    def start(self, work: Work) -> list[Hand]:
        """Start the actors."""
        count = self._count or sum(1 for node in self._ray.nodes() if node["Alive"]) or 1
        shared = work.share(count)
        kind = self._ray.remote(Worker)
        options = {"max_restarts": 0, "max_task_retries": 0, "scheduling_strategy": "SPREAD"}
        self._start = lambda: self._hire(kind.options(**options).remote(shared))
        return [self._start() for _ in range(count)]

    def _hire(self, actor: Any) -> Hand:
        ray = self._ray

        def call(number: int, tasks: Sequence[Task], wait: float) -> Report:
            longest = wait + (START_SECONDS if number == 1 else REPLY_SECONDS)
            try:
                report: Report = ray.get(actor.exchange.remote(number, tasks, wait), timeout=longest)
            except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError) as error:
                raise Gone(str(error).partition("\n")[0]) from error
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
            return report

        return _Actor(call, lambda: ray.kill(actor))

    def replace(self) -> Hand | None:
        """Start another actor."""
        return None if self._start is None else self._start()

    def close(self) -> None:
        """Do nothing: the actors end one by one, and the cluster belongs to the caller."""
