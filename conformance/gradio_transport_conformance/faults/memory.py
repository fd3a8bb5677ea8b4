# SPDX-License-Identifier: Apache-2.0
"""Measures what a client allocates while it plays cells of the fault bench: no more than each fault says.

The server is in a process of its own, so that only the client counts.  Cells are played many at once: if all
of them together stay below the bound of one, each of them does; if not, halves of them are played, down to
the one that is to blame.  What counts are the objects and buffers of Python (`tracemalloc`), not OpenSSL's.

::

    python -m gradio_transport_conformance.fault_memory               # every cell, by the sync face
    python -m gradio_transport_conformance.fault_memory --face trio --largest 20
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import sys
import tracemalloc
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import groupby
from multiprocessing.connection import Connection

from .cases import MEMORY, Cell, load_cells
from .connections import trusted
from .play import CLIENTS, Challenge, Client, challenge_of, meet
from .server import serve_fault

TOGETHER = 16
"""How many cells are played at once at first."""

MEGABYTE = 1_000_000


def _serve(orders: Connection) -> None:
    """Serve the cells of each order until the next one comes: the body of the server's process."""
    cells = load_cells()
    while True:
        order: list[int] | None = orders.recv()
        if order is None:
            return
        with ExitStack() as stack:
            places: list[tuple[str, str | None]] = []
            for number in order:
                authority = stack.enter_context(trusted(cells[number]))
                places.append((stack.enter_context(serve_fault(cells[number])).url, authority))
            orders.send(places)
            orders.recv()


class Scales:
    """Plays cells and weighs what the client allocates meanwhile; made by `scales`."""

    def __init__(self, orders: Connection, client: Client) -> None:
        self._orders = orders
        self._client = client
        self._numbers = {cell.name: number for number, cell in enumerate(load_cells())}

    def weigh(self, cells: Sequence[Cell]) -> float:
        """Return the MB that the client had allocated at the peak of playing cells at once."""
        self._orders.send([self._numbers[cell.name] for cell in cells])
        places: list[tuple[str, str | None]] = self._orders.recv()
        challenges = [challenge_of(cell, *place) for cell, place in zip(cells, places, strict=True)]
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        with ThreadPoolExecutor(len(cells)) as pool:
            # Of what comes of a cell nothing is kept, or the largest would count for all that follow.
            for done in [pool.submit(self._play, challenge) for challenge in challenges]:
                done.result()
        _, peak = tracemalloc.get_traced_memory()
        self._orders.send(None)
        return (peak - before) / MEGABYTE

    def _play(self, challenge: Challenge) -> None:
        meet(self._client, challenge)

    def too_heavy(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, float]]:
        """Yield each of some cells, all of the same bound, that goes beyond it, and its MB."""
        weight = self.weigh(cells)
        if weight <= cells[0].fault.memory:
            return
        if len(cells) == 1:
            yield cells[0], weight
            return
        half = len(cells) // 2
        yield from self.too_heavy(cells[:half])
        yield from self.too_heavy(cells[half:])


@contextmanager
def scales(client: Client) -> Generator[Scales, None, None]:
    """Start the process of the server, and weigh what a client allocates."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    tracemalloc.start()
    try:
        yield Scales(ours, client)
    finally:
        tracemalloc.stop()
        ours.send(None)
        process.join(10)
        process.close()
        ours.close()
        theirs.close()


def heavy_cells(cells: Sequence[Cell], client: Client) -> list[str]:
    """Return a complaint about each cell that takes more memory than its fault says."""
    with scales(client) as weighing:
        for cell in cells[:1]:
            weighing.weigh([cell])  # what is imported and cached with the first call is no cell's
        heavy: list[tuple[Cell, float]] = []
        for group in _groups(cells):
            heavy += weighing.too_heavy(group)
    return [f"{cell.name}: {weight:.1f} MB, allowed are {cell.fault.memory}" for cell, weight in heavy]


def _groups(cells: Sequence[Cell]) -> Iterator[Sequence[Cell]]:
    """Yield cells that can be played together: of the same bound, and those that wait apart."""

    def kind(cell: Cell) -> tuple[int, bool]:
        return cell.fault.memory, cell.fault.silent

    for (memory, _), found in groupby(sorted(cells, key=kind), kind):
        alike = list(found)
        size = TOGETHER if memory == MEMORY else 1
        for start in range(0, len(alike), size):
            yield alike[start : start + size]


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Weigh what a client allocates.")
    parser.add_argument("--face", choices=CLIENTS, default="sync")
    parser.add_argument("--largest", type=int, metavar="N", help="weigh each alone, and show the N largest")
    given = parser.parse_args()
    cells, client = load_cells(), CLIENTS[given.face]
    if given.largest:
        with scales(client) as weighing:
            weighing.weigh(cells[:1])
            weights = {cell.name: weighing.weigh([cell]) for cell in cells}
        for name in sorted(weights, key=weights.__getitem__, reverse=True)[: given.largest]:
            sys.stdout.write(f"{weights[name]:8.1f} MB  {name}\n")
        return 0
    complaints = heavy_cells(cells, client)
    sys.stdout.write("\n".join([*complaints, f"{len(cells)} cells, {len(complaints)} too heavy\n"]))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())


__all__ = ["Scales", "heavy_cells", "scales"]
