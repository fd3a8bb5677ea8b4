# SPDX-License-Identifier: Apache-2.0
"""What a process says of itself: time, memory, threads, descriptors, function calls."""

from __future__ import annotations

import collections
import gc
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self


def status(field: str) -> int:
    """Return a number of this process from the kernel: threads, or kilobytes of memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise KeyError(field)


class Clock:
    """Seconds of the wall and of this process's CPU, since it was made."""

    def __init__(self) -> None:
        gc.collect()
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self.wall, time.process_time() - self.cpu


class Counter:
    """Counts function calls, in this thread and in all that are started meanwhile.

    A call of a function of C counts as one of the file that calls it.
    """

    def __init__(self) -> None:
        self._files: collections.Counter[str] = collections.Counter()
        self._lock = threading.RLock()  # `read` calls functions too

    def __enter__(self) -> Self:
        threading.setprofile(self._seen)
        sys.setprofile(self._seen)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]

    def _seen(self, frame: Any, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            with self._lock:
                self._files[frame.f_code.co_filename] += 1

    def read(self) -> collections.Counter[str]:
        """Return the calls so far, by the file of the function."""
        with self._lock:
            return self._files.copy()


def held() -> dict[str, float]:
    """Return the descriptors, threads and kilobytes of memory of this process."""
    gc.collect()
    descriptors = len(os.listdir("/proc/self/fd")) - 1
    return {"descriptors": descriptors, "threads": status("Threads"), "kb": status("VmRSS")}
