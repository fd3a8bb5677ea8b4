# SPDX-License-Identifier: Apache-2.0
"""A bounded number of threads for jobs that would block a caller."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from ..errors import LocalProtocolError
from .threads import make_thread, run_job, start


class Workers:
    """A bounded number of daemon threads.

    Why not `concurrent.futures`: its threads would block the exit of the interpreter while a server is
    silent.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False
        self._lock = threading.RLock()

    def submit(self, job: Callable[[], object]) -> None:
        """Run a job soon in some thread. After `close` it is ignored.

        Raises:
            LocalProtocolError: No thread can be started.
        """
        thread = None
        try:
            with self._lock:
                if self._closed:
                    return
                if self._idle:
                    self._idle -= 1
                elif len(self._threads) < self._most:
                    thread = make_thread(f"{self._name}-{len(self._threads) + 1}", self._work)
                    self._threads.append(thread)
            if thread is not None:
                start(thread)
        except BaseException as error:  # an interrupt too: else it would be counted but never run
            if thread in self._threads and not thread.is_alive():
                self._threads.remove(thread)
            if not isinstance(error, LocalProtocolError) or not self._threads:
                raise
            # The other threads run the job after their current ones, as when all are busy.
        self._jobs.put(job)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            run_job(job)
            del job  # of a call, which may be garbage-collected while the thread waits for the next job
            with self._lock:
                # Otherwise the thread takes the waiting job next, and `submit` must not count on it for
                # another.
                if self._jobs.empty():
                    self._idle += 1
        self._jobs.put(None)  # for the next one: an interrupt may have prevented the count

    def close(self) -> list[threading.Thread]:
        """End every thread after its job, and return the threads to join."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, []
        self._jobs.put(None)
        return threads
