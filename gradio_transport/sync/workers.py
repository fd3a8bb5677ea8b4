# SPDX-License-Identifier: Apache-2.0
"""A bounded number of threads for jobs that would keep a caller waiting."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class Workers:
    """A bounded number of daemon threads for calls that have a channel of their own.

    Not `concurrent.futures`: its threads keep the interpreter from exiting while a server is silent.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False
        self._lock = threading.Lock()

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job in some thread, soon; never once they are closed."""
        with self._lock:
            if self._closed:
                return
            self._jobs.put(job)
            if self._idle:
                self._idle -= 1
            elif len(self._threads) < self._most:
                name = f"gradio-transport-worker-{len(self._threads) + 1}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            with self._lock:
                if self._jobs.empty():
                    self._idle += 1

    def close(self) -> list[threading.Thread]:
        """End every thread after its job, and return them to be joined."""
        with self._lock:
            self._closed = True
            for _ in self._threads:
                self._jobs.put(None)
            threads, self._threads = self._threads, []
        return threads
