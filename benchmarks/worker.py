# SPDX-License-Identifier: Apache-2.0
"""One driver in a process of its own: for each line of input a round of its verb, and what that took.

Usage: python -m benchmarks.worker DRIVER URL VERB JSON [LOOP]

LOOP is "asyncio" (the default) or "uvloop"; a blocking library has no loop.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from . import growth_verbs
from .drivers import Driver, driver
from .gauges import Clock, Counter, held, status
from .layers import LAYERS, layer_of

Figures = dict[str, float]


async def connect(one: Driver, count: int = 10) -> Figures:
    """Connect and disconnect: milliseconds of each."""
    await one.open()  # warm up
    await one.close()
    spent = 0.0
    cpu = time.process_time()
    for _ in range(count):
        begun = time.perf_counter()
        await one.open()
        spent += time.perf_counter() - begun
        await one.close()
    return {"ms": spent / count * 1e3, "cpu_ms": (time.process_time() - cpu) / count * 1e3}


async def latency(one: Driver, count: int = 200) -> Figures:
    """Call after call: the median in milliseconds."""
    await one.call("warm up")
    taken: list[float] = []
    clock = Clock()
    for number in range(count):
        begun = time.perf_counter()
        assert await one.call(str(number)) == str(number)
        taken.append(time.perf_counter() - begun)
    return {"ms": statistics.median(taken) * 1e3, "cpu_ms": clock.read()[1] / count * 1e3}


async def counts(one: Driver, count: int = 50, way: str = "latency") -> Figures:
    """Function calls of one connect, one call, or one message of a stream.

    Args:
        one: The driver.
        count: How many connects, calls or messages.
        way: "connect" connects and closes. "latency" makes the calls one after the other, "throughput" all at
            once; "stream" makes one call that streams at full speed.
    """
    with Counter() as counter:
        await one.open()
        if way == "connect":
            await one.close()
            begun = counter.read()
            for _ in range(count):
                await one.open()
                await one.close()
            return _by_layer(counter.read() - begun, count)
        try:
            await one.call("warm up")
            begun = counter.read()
            if way == "stream":
                await one.stream("/grow", f"{count} 0", lambda value: None)
            elif way == "throughput":
                await one.many(count, lambda: None)
            else:
                for number in range(count):
                    await one.call(str(number))
            return _by_layer(counter.read() - begun, count)
        finally:
            await one.close()


def _by_layer(calls: Mapping[str, int], count: int) -> Figures:
    figures = {"calls": sum(calls.values()) / count, **dict.fromkeys(LAYERS, 0.0)}
    for filename, number in calls.items():
        figures[layer_of(filename)] += number / count
    return figures


async def throughput(one: Driver, at_once: int = 64, count: int = 256) -> Figures:
    """Many calls at once on one session, until a count is reached."""
    await one.call("warm up")
    threads: list[int] = []
    failures = 0
    batches = max(1, count // at_once)
    clock = Clock()
    for _ in range(batches):
        failures += await one.many(at_once, lambda: threads.append(status("Threads")))
    wall, cpu = clock.read()
    done = batches * at_once
    return {
        "calls_per_s": (done - failures) / wall,
        "cpu_ms": cpu / done * 1e3,
        "threads": max(threads, default=0),
        "peak_mb": status("VmHWM") / 1024,
        "failures": failures,
    }


async def stream(one: Driver, count: int = 2000, pause_us: int = 0) -> Figures:
    """A chat whose last message grows: CPU for each of many frames, and how that grows with the text."""
    await one.call("warm up")
    marks: list[float] = []

    def on_value(value: Any) -> None:
        marks.append(time.process_time())

    clock = Clock()
    await one.stream("/grow", f"{count} {pause_us}", on_value)
    wall, cpu = clock.read()
    tenth = len(marks) // 10
    second, last = marks[2 * tenth] - marks[tenth], marks[-1] - marks[-1 - tenth]
    return {
        "messages_per_s": len(marks) / wall,
        "cpu_us": cpu / count * 1e6,
        "growth": last / second if second else 1.0,
        "received": len(marks),
    }


async def delay(one: Driver, count: int = 200, pause_us: int = 4000) -> Figures:
    """From the moment a message leaves the server until the consumer has it."""
    await one.call("warm up")
    taken: list[float] = []

    def on_value(value: Any) -> None:
        if value.isdigit():  # some hand on the completion as well
            taken.append((time.monotonic_ns() - int(value)) / 1e3)

    await one.stream("/stamps", f"{count} {pause_us}", on_value)
    taken.sort()
    return {"p50_us": taken[len(taken) // 2], "p99_us": taken[len(taken) * 99 // 100]}


async def cancel(one: Driver, count: int = 10) -> Figures:
    """From the moment of cancelling until the server is told."""
    await one.call("warm up")
    taken: list[float] = []
    for _ in range(count):
        moments: list[int] = []
        await one.cancel(lambda moments=moments: moments.append(time.monotonic_ns()))  # type: ignore[misc]
        taken.append((await _seen(one.url, "/gradio_api/cancel", moments[0]) - moments[0]) / 1e6)
    return {"ms": statistics.median(taken)}


async def _seen(url: str, path: str, after: int) -> int:
    wanted = f"{url}/bench/seen?path={urllib.parse.quote(path, safe='')}"
    for _ in range(500):
        with urllib.request.urlopen(wanted) as reply:
            seen: int = json.load(reply)
        if seen > after:
            return seen
        time.sleep(0.01)
    raise TimeoutError(path)


async def download(one: Driver, directory: str) -> Figures:
    """A file of 200 MB to disk."""
    with tempfile.TemporaryDirectory(dir=directory) as place:
        clock = Clock()
        await one.download(place)
        return _rate(clock, 200)


async def upload(one: Driver, path: str) -> Figures:
    """A file of 200 MB from disk."""
    clock = Clock()
    await one.upload(path)
    return _rate(clock, os.path.getsize(path) / 1e6)


def _rate(clock: Clock, megabytes: float) -> Figures:
    wall, cpu = clock.read()
    return {"mb_per_s": megabytes / wall, "cpu_s": cpu, "peak_mb": status("VmHWM") / 1024}


async def leaks(one: Driver, count: int = 300) -> Figures:
    """What is left of many calls, and of a closed connection."""
    for number in range(50):
        await one.call(str(number))
    before = held()
    for number in range(count):
        await one.call(str(number))
    after = held()
    await one.close()
    if one.loop:
        await asyncio.sleep(0.05)
    closed = held()
    await one.open()  # as the other verbs leave it
    names = ("descriptors", "threads", "kb")
    grown = {f"{name}_grown": after[name] - before[name] for name in names}
    return {**grown, **{f"{name}_closed": closed[name] for name in names[:2]}}


_ALL = (
    connect, latency, counts, throughput, stream, delay, cancel, download, upload, leaks,
    growth_verbs.rows, growth_verbs.waiting, growth_verbs.sessions, growth_verbs.transports,
)  # fmt: skip
VERBS: dict[str, Callable[..., Coroutine[Any, Any, Figures]]] = {verb.__name__: verb for verb in _ALL}

OPENING = ("connect", "counts")
"""Verbs that open and close their connections themselves."""


async def work(one: Driver, verb: str, arguments: dict[str, Any]) -> None:
    """Connect, then do a round for each line."""
    if verb not in OPENING:
        await one.open()
    print(json.dumps("ready"), flush=True)
    while sys.stdin.readline():
        print(json.dumps(await VERBS[verb](one, **arguments)), flush=True)
    if verb not in OPENING:
        await one.close()


def _without_a_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never really waits: a blocking library's."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise RuntimeError("a driver without a loop has waited")


def _new_loop(name: str) -> asyncio.AbstractEventLoop:
    if name == "asyncio":
        return asyncio.new_event_loop()
    import uvloop

    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def main() -> None:
    name, url, verb, arguments, *loop = sys.argv[1:6]
    one = driver(name, url)
    task = work(one, verb, json.loads(arguments))
    if one.loop:
        with asyncio.Runner(loop_factory=lambda: _new_loop(*loop or ["asyncio"])) as runner:
            runner.run(task)
    else:
        _without_a_loop(task)


if __name__ == "__main__":
    main()
