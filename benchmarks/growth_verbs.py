# SPDX-License-Identifier: Apache-2.0
"""The verbs of the curves: what one more row, call, session or transport costs where there are many already.

Each round is done by a worker of its own, because memory that an earlier round has freed would be used again.
"""

from __future__ import annotations

import time
from typing import Any

from .gauges import Clock, held

Figures = dict[str, float]

CALLS = 100
"""Calls that are made one after the other while others wait."""


async def rows(one: Any, size: int, count: int = 1500) -> Figures:
    """A chat of so many rows whose last one grows: CPU of one message of the stream.

    A long stream less a short one, so that the first and the last message, which hold all rows, do not count.
    """
    await one.call("warm up")
    spent: list[float] = []
    for messages in (count // 5, count + count // 5):
        clock = Clock()
        await one.stream("/grow", f"{messages} 0 {size}", lambda value: None)
        spent.append(clock.read()[1])
    return {"cpu_us": (spent[1] - spent[0]) / count * 1e6}


async def waiting(one: Any, size: int) -> Figures:
    """So many calls that wait in one session: CPU and memory of each, and CPU of another call meanwhile."""
    await one.call("warm up")
    before, clock = held(), Clock()
    await one.wait(size)
    begun, after = clock.read()[1], held()
    clock = Clock()
    for number in range(CALLS):
        await one.call(str(number))
    other = clock.read()[1]
    started = time.perf_counter()
    await one.close()
    closed = time.perf_counter() - started
    await one.open()
    return {
        "cpu_us": begun / size * 1e6,
        "kb": (after["kb"] - before["kb"]) / size,
        "other_cpu_us": other / CALLS * 1e6,
        "close_us": closed / size * 1e6,
        "threads": after["threads"],
        "descriptors": after["descriptors"],
    }


async def sessions(one: Any, size: int) -> Figures:
    """So many sessions of one transport: CPU of opening each with one call, memory of each, idle and busy."""
    await one.call("warm up")
    before, clock = held(), Clock()
    await one.more_sessions(size)
    opened, idle = clock.read()[1], held()
    clock = Clock()
    await one.wait_in_sessions()
    begun, busy = clock.read()[1], held()
    return {
        "cpu_us": opened / size * 1e6,
        "kb": (idle["kb"] - before["kb"]) / size,
        "busy_cpu_us": begun / size * 1e6,
        "busy_kb": (busy["kb"] - before["kb"]) / size,
        "threads": busy["threads"],
        "descriptors": busy["descriptors"],
    }


async def transports(one: Any, size: int) -> Figures:
    """So many transports of one process: time and CPU of connecting each, and its memory while it is idle."""
    await one.call("warm up")
    before, clock = held(), Clock()
    await one.more_transports(size)
    (wall, cpu), idle = clock.read(), held()
    started = time.perf_counter()
    await one.close_transports()
    return {
        "ms": wall / size * 1e3,
        "cpu_us": cpu / size * 1e6,
        "kb": (idle["kb"] - before["kb"]) / size,
        "close_us": (time.perf_counter() - started) / size * 1e6,
        "threads": idle["threads"],
        "descriptors": idle["descriptors"],
    }
