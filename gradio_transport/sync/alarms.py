# SPDX-License-Identifier: Apache-2.0
"""Timed jobs: one thread for all alarms of a transport, started with the first."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

from .threads import LazyThread, run_job


class Alarms:
    """A scheduler that runs jobs at their time. A job must be quick.

    Why not `threading.Timer`: it needs a thread for each alarm.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._lazy = LazyThread("alarms", self._run)
        self._closed = False

    def at(self, when: float, job: Callable[[], object]) -> None:
        """Run a job at a time of the monotonic clock; at once after `close`.

        Raises:
            LocalProtocolError: No thread can be started.
        """
        if not self._closed:
            self._lazy.start()
        with self._changed:
            if not self._closed:
                heapq.heappush(self._waiting, (when, next(self._numbers), job))
                self._changed.notify_all()
                return
        job()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (not self._waiting or self._waiting[0][0] > time.monotonic()):
                    until = self._waiting[0][0] - time.monotonic() if self._waiting else None
                    self._changed.wait(until)
                if self._closed:
                    return
                job = heapq.heappop(self._waiting)[2]
            run_job(job)  # without the condition, so that other threads can set alarms meanwhile

    def close(self) -> threading.Thread | None:
        """Run the remaining jobs at once, and return the thread to join."""
        with self._changed:
            self._closed = True
            remaining, self._waiting = self._waiting, []
            self._changed.notify_all()
        for _, _, job in sorted(remaining, key=lambda alarm: alarm[:2]):
            run_job(job)
        return self._lazy.thread


__all__ = ["Alarms"]
