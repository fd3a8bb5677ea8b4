# SPDX-License-Identifier: Apache-2.0
"""A bounded number of threads for jobs that would keep a caller waiting."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from ..errors import LocalProtocolError
from .threads import make_thread, run_job, start


class Workers:
    """A bounded number of daemon threads.

    Not `concurrent.futures`: its threads keep the interpreter from exiting while a server is silent.
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
        """Run a job in some thread, soon; never once they are closed.

        Raises:
            LocalProtocolError: There is no thread for it.
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
        except BaseException as error:  # an interrupt too: else a thread would be counted that never runs
            if thread in self._threads and not thread.is_alive():
                self._threads.remove(thread)
            if not isinstance(error, LocalProtocolError) or not self._threads:
                raise
            # The other threads take the job after theirs, as they do once all are busy.
        self._jobs.put(job)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            run_job(job)
            del job  # of a call, which may be collected while the next job is waited for
            with self._lock:
                # Else the thread takes the waiting job next, and `submit` must not count on it for another.
                if self._jobs.empty():
                    self._idle += 1
        self._jobs.put(None)  # for the next one: an interrupt may have kept a thread from being counted

    def close(self) -> list[threading.Thread]:
        """End every thread after its job, and return them to be joined."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, []
        self._jobs.put(None)
        return threads
