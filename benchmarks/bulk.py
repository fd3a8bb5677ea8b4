# SPDX-License-Identifier: Apache-2.0
"""Many calls: rows a second by `bulk.map`, beside loops written by hand, on the scripted server.

    python -m benchmarks.bulk                        rows a second and CPU at 8 and at 64 at once
    python -m benchmarks.bulk --rows 100000 --memory the memory of one long run with a journal
    python -m benchmarks.bulk --dask                 one and two workers of Dask

The server answers at once, so this is what the client takes. CPU is that of this process for each row. Each
way is measured in turn, and a figure is the best of the rounds. `--check` fails if `map` takes more than
10 % more CPU than a bare loop of async calls, or if memory grows.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio_transport as gt
from gradio_transport import bulk

from .environments import ROOT
from .gauges import status

MOST_OVERHEAD = 1.10
MOST_GROWTH_MB = 16.0

Measure = Callable[[str, int, int], int | None]
"""Does rows of a URL, so many at once; returns how many failed, where that may be."""


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Run the scripted server by this Python, and yield its URL."""
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        yield server.stdout.readline().strip()
        server.stdin.close()


def rows(count: int) -> Iterator[list[str]]:
    return ([str(number)] for number in range(count))


def bare(url: str, count: int, at_once: int, options: gt.CallOptions | None = None) -> None:
    """A bare loop: as many tasks as calls at once, which take numbers from one iterator."""

    async def run() -> None:
        numbers = iter(range(count))

        async def work(app: gt.AsyncTransport) -> None:
            for number in numbers:
                assert await app.call("/hello", str(number), options=options) == [str(number)]

        async with gt.connect_async(url, engine="aiohttp") as app:
            await asyncio.gather(*(work(app) for _ in range(at_once)))

    asyncio.run(run())


def bare_late(url: str, count: int, at_once: int) -> None:
    """The same with a session and a stream for each call, as late calls have them."""
    bare(url, count, at_once, gt.CallOptions(attach="late", own_session=True))


def mapped(url: str, count: int, at_once: int, **settings: Any) -> None:
    done = sum(
        one.values == [str(one.index)]
        for one in bulk.map(url, "/hello", rows(count), at_once=at_once, **settings)
    )
    assert done == count


def mapped_with_journal(url: str, count: int, at_once: int, **settings: Any) -> None:
    with tempfile.TemporaryDirectory() as directory:
        mapped(url, count, at_once, journal=Path(directory, "run.sqlite"), **settings)


def mapped_late(url: str, count: int, at_once: int) -> None:
    mapped_with_journal(url, count, at_once, late=True)


def threads(url: str, count: int, at_once: int) -> None:
    """A pool of threads over the blocking call of this library."""
    with gt.connect(url) as app, ThreadPoolExecutor(at_once) as pool:
        for number, values in enumerate(pool.map(lambda row: app.call("/hello", *row), rows(count))):
            assert values == [str(number)]


def threads_of_gradio_client(url: str, count: int, at_once: int) -> int:
    """A pool of threads over gradio_client, as people write it; with many at once it loses some calls."""
    from gradio_client import Client

    client = Client(url, verbose=False)

    def is_right(row: list[str]) -> bool:
        try:
            return bool(client.predict(*row, api_name="/hello") == row[0])
        except (Exception, CancelledError):
            return False

    with ThreadPoolExecutor(at_once) as pool:
        return count - sum(pool.map(is_right, rows(count)))


WAYS: dict[str, Measure] = {
    "bare loop of async calls": bare,
    "bulk.map": mapped,
    "bulk.map, journal": mapped_with_journal,
    "bare loop of late calls": bare_late,
    "bulk.map, journal, late=True": mapped_late,
    "ThreadPoolExecutor over call": threads,
    "ThreadPoolExecutor over gradio_client": threads_of_gradio_client,
}
COMPARED = {
    "bulk.map": "bare loop of async calls",
    "bulk.map, journal": "bare loop of async calls",
    "bulk.map, journal, late=True": "bare loop of late calls",
}


def measure(url: str, ways: list[str], count: int, at_once: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return rows a second and CPU microseconds for each row, the best of the rounds: noise only adds."""
    figures: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    failed = dict.fromkeys(ways, 0)
    for _ in range(rounds):
        for way in ways:
            wall, cpu = time.perf_counter(), time.process_time()
            failed[way] += WAYS[way](url, count, at_once) or 0
            figures[way].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        way: {
            "rows_per_s": round(count / min(wall for wall, _ in seen)),
            "cpu_us": round(min(cpu for _, cpu in seen) / count * 1e6),
            "failed": failed[way],
        }
        for way, seen in figures.items()
    }


def overheads(found: dict[str, dict[str, float]]) -> dict[str, float]:
    return {
        way: round(found[way]["cpu_us"] / found[base]["cpu_us"], 3)
        for way, base in COMPARED.items()
        if way in found and base in found
    }


def memory(url: str, count: int) -> dict[str, float]:
    """Run over many rows with a journal; return the megabytes after a tenth of them, and at the end."""
    with tempfile.TemporaryDirectory() as directory:
        begun, at_a_tenth = time.perf_counter(), 0.0
        outcomes = bulk.map(url, "/hello", rows(count), journal=Path(directory, "run.sqlite"))
        for number, outcome in enumerate(outcomes, 1):
            assert outcome.error is None
            if number == count // 10:
                at_a_tenth = status("VmRSS") / 1024
        return {
            "rows": count,
            "mb_after_a_tenth": round(at_a_tenth, 1),
            "mb_at_the_end": round(status("VmRSS") / 1024, 1),
            "rows_per_s": round(count / (time.perf_counter() - begun)),
        }


def dask(url: str, count: int) -> dict[str, float]:
    """Return rows a second with one and with two workers of Dask."""
    from distributed import Client, LocalCluster

    found = dict[str, float]()
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        for workers in (1, 2):
            begun = time.perf_counter()
            mapped(url, count, 32 * workers, executor=client, workers=workers)
            found[f"{workers} workers"] = round(count / (time.perf_counter() - begun))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-once", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--only", nargs="+", default=[*WAYS], choices=[*WAYS], metavar="WAY")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--dask", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    sound = True
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(serving())
        if options.memory:
            found = memory(url, options.rows)
            print(json.dumps(found))
            sound = found["mb_at_the_end"] - found["mb_after_a_tenth"] <= MOST_GROWTH_MB
        elif options.dask:
            print(json.dumps(dask(url, options.rows)))
        else:
            for at_once in options.at_once:
                figures = measure(url, options.only, options.rows, at_once, options.rounds)
                print(f"{at_once} at once:")
                for way, numbers in figures.items():
                    lost = f", {numbers['failed']} rows failed" if numbers["failed"] else ""
                    print(f"  {way:40} {numbers['rows_per_s']:6} rows/s {numbers['cpu_us']:6} µs CPU{lost}")
                ratios = overheads(figures)
                print(f"  CPU, as a ratio to the bare loop: {json.dumps(ratios)}")
                sound = sound and max(ratios.values(), default=0) <= MOST_OVERHEAD
    sys.exit(options.check and not sound)


if __name__ == "__main__":
    main()
