# SPDX-License-Identifier: Apache-2.0
"""Whether work takes time in proportion to what it is given: CPU time of the thread, on a machine with other work."""

import gc
import sys
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

MOST_TIMES_AS_LONG = 6.0
"""For four times as much; the square would take sixteen times as long."""

SECONDS = 10.0
"""Two or three rounds are enough on a quiet machine. A busy one may slow down all that are played in a second."""


def check_growth(
    work: Callable[[T], object],
    less: T,
    more: T,
    *,
    negligible: float = 0.002,
    times: float = MOST_TIMES_AS_LONG,
) -> None:
    """Fail if four times as much takes more than six times as long, or as many times as are given.

    The shortest of several rounds in turn count, because other processes empty the caches meanwhile.

    Args:
        work: What takes time.
        less: What it is given.
        more: Four times as much.
        negligible: Seconds that are too short to compare.
        times: How many times as long it may take.
    """
    # Not the time of coverage's tracer. The marker of pytest-cov has no effect in the processes of xdist.
    tracer = sys.gettrace()
    sys.settrace(None)
    gc.disable()
    try:
        if _seconds(work, more) <= negligible:
            return
        gc.collect()
        short = long = float("inf")
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            short, long = min(short, _seconds(work, less)), min(long, _seconds(work, more))
            if long <= max(times * short, negligible):
                return
    finally:
        gc.enable()
        sys.settrace(tracer)
    raise AssertionError(f"it took {short:.4f} s, and with four times as much {long:.4f} s")


def _seconds(work: Callable[[T], object], given: T) -> float:
    began = time.thread_time()
    work(given)
    return time.thread_time() - began
