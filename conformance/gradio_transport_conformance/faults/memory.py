# SPDX-License-Identifier: Apache-2.0
"""Measures the memory and CPU time of a client in cells of the fault bench, against the limits of each fault.

The server runs in another process, so that only the client counts.  Many cells are played at once: if all of
them together stay below the limit of one, each of them does; if not, halves of them are played, down to the
one that exceeds it.  Only objects and buffers of Python count (`tracemalloc`), not OpenSSL's.  CPU time is
measured for cells whose fault limits it, one at a time and without the tracing.

::

    python -m gradio_transport_conformance.faults.memory               # every cell, sync interface
    python -m gradio_transport_conformance.faults.memory --face trio --largest 20
"""

from __future__ import annotations

import argparse
import gc
import math
import multiprocessing
import sys
import time
import tracemalloc
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import groupby
from multiprocessing.connection import Connection

from .cases import MEMORY, Cell, load_cells
from .clients import CLIENTS, Challenge, Client
from .listener import authority_file
from .play import make_challenge, run_client
from .server import serve_fault

TOGETHER = 16
"""How many cells are played at once at first."""

MEGABYTE = 1_000_000

CPU_ATTEMPTS = 3
"""How often a cell is played until it is within its limit: other programs can make it take more."""


def _serve(orders: Connection) -> None:
    """Serve the cells of each order until the next order: the main function of the server's process."""
    cells = load_cells()
    while True:
        order: list[int] | None = orders.recv()
        if order is None:
            return
        with ExitStack() as stack:
            places: list[tuple[str, str | None]] = []
            for number in order:
                authority = stack.enter_context(authority_file(cells[number]))
                places.append((stack.enter_context(serve_fault(cells[number])).url, authority))
            orders.send(places)
            orders.recv()


class Player:
    """Plays cells whose server is in another process; made by `serve_elsewhere`."""

    def __init__(self, orders: Connection, client: Client) -> None:
        self._orders = orders
        self._client = client
        self._numbers = {cell.name: number for number, cell in enumerate(load_cells())}

    @contextmanager
    def _served(self, cells: Sequence[Cell]) -> Generator[list[Challenge], None, None]:
        """Serve cells in the other process, and yield the tasks for the client."""
        self._orders.send([self._numbers[cell.name] for cell in cells])
        places: list[tuple[str, str | None]] = self._orders.recv()
        gc.collect()
        try:
            yield [make_challenge(cell, *place) for cell, place in zip(cells, places, strict=True)]
        finally:
            self._orders.send(None)

    def _play(self, challenge: Challenge) -> None:
        run_client(self._client, challenge)

    def measure_cpu(self, cell: Cell) -> float:
        """Return the seconds of CPU time that the client took to play a cell alone."""
        with self._served([cell]) as challenges:
            before = time.process_time()
            self._play(challenges[0])
            return time.process_time() - before


class MemoryMeter(Player):
    """Plays cells and measures the client's allocations; created by `measure_memory`."""

    def measure(self, cells: Sequence[Cell]) -> float:
        """Return the MB that the client had allocated at the peak of playing cells at once."""
        with self._served(cells) as challenges:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            with ThreadPoolExecutor(len(cells)) as pool:
                # No outcome is kept; otherwise the largest would count for all later cells.
                for done in [pool.submit(self._play, challenge) for challenge in challenges]:
                    done.result()
            _, peak = tracemalloc.get_traced_memory()
        return (peak - before) / MEGABYTE

    def find_excess(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, float]]:
        """Yield each cell that exceeds the common limit of the cells, and its MB."""
        size = self.measure(cells)
        if size <= cells[0].fault.memory:
            return
        if len(cells) == 1:
            yield cells[0], size
            return
        half = len(cells) // 2
        yield from self.find_excess(cells[:half])
        yield from self.find_excess(cells[half:])


@contextmanager
def _serve_elsewhere() -> Generator[Connection, None, None]:
    """Start the server in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours
    finally:
        ours.send(None)
        process.join(10)
        process.close()
        ours.close()
        theirs.close()


@contextmanager
def measure_memory(client: Client) -> Generator[MemoryMeter, None, None]:
    """Start the server, and trace the client's allocations."""
    with _serve_elsewhere() as orders:
        tracemalloc.start()
        try:
            yield MemoryMeter(orders, client)
        finally:
            tracemalloc.stop()


def find_slow_cells(cells: Sequence[Cell], client: Client) -> list[str]:
    """Return a problem for each cell that takes more CPU time than its fault allows, in every repetition."""
    problems: list[str] = []
    with _serve_elsewhere() as orders:
        player = Player(orders, client)
        player.measure_cpu(cells[0])  # imports and caches of the first call belong to no cell
        for cell in cells:
            most = cell.fault.cpu
            if most is None:
                continue
            seconds = math.inf
            for _ in range(CPU_ATTEMPTS):
                if seconds > most:
                    seconds = min(seconds, player.measure_cpu(cell))
            if seconds > most:
                problems.append(f"{cell.name}: {seconds:.1f} s of CPU time, allowed are {most:g}")
    return problems


def find_excessive_cells(cells: Sequence[Cell], client: Client) -> list[str]:
    """Return a problem for each cell that takes more memory than its fault allows."""
    with measure_memory(client) as meter:
        for cell in cells[:1]:
            meter.measure([cell])  # imports and caches of the first call belong to no cell
        excessive: list[tuple[Cell, float]] = []
        for group in _groups(cells):
            excessive += meter.find_excess(group)
    return [f"{cell.name}: {size:.1f} MB, allowed are {cell.fault.memory}" for cell, size in excessive]


def _groups(cells: Sequence[Cell]) -> Iterator[Sequence[Cell]]:
    """Yield groups of cells that can be played together: of the same limit; cells that wait are separate."""

    def kind(cell: Cell) -> tuple[int, bool]:
        return cell.fault.memory, cell.fault.silent

    for (memory, _), found in groupby(sorted(cells, key=kind), kind):
        alike = list(found)
        size = TOGETHER if memory == MEMORY else 1
        for start in range(0, len(alike), size):
            yield alike[start : start + size]


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Measure the memory that a client allocates.")
    parser.add_argument("--face", choices=CLIENTS, default="sync")
    parser.add_argument("--largest", type=int, metavar="N", help="measure each alone, and show the N largest")
    given = parser.parse_args()
    cells, client = load_cells(), CLIENTS[given.face]
    if given.largest:
        with measure_memory(client) as meter:
            meter.measure(cells[:1])
            sizes = {cell.name: meter.measure([cell]) for cell in cells}
        for name in sorted(sizes, key=sizes.__getitem__, reverse=True)[: given.largest]:
            sys.stdout.write(f"{sizes[name]:8.1f} MB  {name}\n")
        return 0
    problems = find_slow_cells(cells, client) + find_excessive_cells(cells, client)
    sys.stdout.write("\n".join([*problems, f"{len(cells)} cells, {len(problems)} beyond their limits\n"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())


__all__ = ["MemoryMeter", "Player", "find_excessive_cells", "find_slow_cells", "measure_memory"]
