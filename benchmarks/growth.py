# SPDX-License-Identifier: Apache-2.0
"""How costs grow: each figure at three sizes, and its exponent.

The exponent is the slope of the figure over the size, both as logarithms. A cost of one item has exponent 0
if it does not depend on how many there are, and 1 if it is proportional to their number.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .history import about
from .reporting import aligned, number, table, where
from .running import GivenUp, Plan, Worker, serving

ROUND_SECONDS = 600.0
"""No round may take longer. Ten thousand calls take minutes on a busy machine."""

FACES = ("transport-sync", "transport-async", "transport-aiohttp")

Points = dict[str, dict[str, dict[str, list[float]]]]
"""Size -> driver -> figure -> its value in each round."""

Curves = dict[str, Points]


@dataclass(frozen=True)
class Curve:
    """One cost over one size.

    Attributes:
        name: The verb of the worker, and the name in results.
        title: What there are many of.
        sizes: How many.
        figures: Name of a figure -> its title.
        totals: The figures that are not a cost of one item: they have no exponent.
        drivers: Those that are measured.
    """

    name: str
    title: str
    sizes: tuple[int, ...]
    figures: dict[str, str]
    drivers: tuple[str, ...] = FACES
    totals: tuple[str, ...] = ("threads", "descriptors")


CURVES = (
    Curve(
        "rows", "Rows of a conversation", (20, 200, 2000),
        {"cpu_us": "CPU µs of a streamed message"},
        drivers=(
            "transport-sync", "httpx-sync", "transport-async", "httpx-async", "transport-aiohttp", "aiohttp",
        ),
    ),
    Curve(
        "waiting", "Calls that wait in one session", (100, 1000, 10_000),
        {"cpu_us": "CPU µs to start one", "kb": "kB of one",
         "other_cpu_us": "CPU µs of another call meanwhile",
         "close_us": "µs to close, for each", "threads": "threads", "descriptors": "descriptors"},
    ),
    Curve(
        "sessions", "Sessions of one transport", (10, 100, 1000),
        {"cpu_us": "CPU µs to open one with a call", "kb": "kB of an idle one",
         "busy_cpu_us": "CPU µs to start a call in one", "busy_kb": "kB of one with a call under way",
         "threads": "threads, with a call in each", "descriptors": "descriptors, with a call in each"},
    ),
    Curve(
        "transports", "Transports of one process", (10, 50, 200),
        {"ms": "ms to connect one", "cpu_us": "CPU µs to connect one", "kb": "kB of an idle one",
         "close_us": "µs to close one", "threads": "threads", "descriptors": "descriptors"},
    ),
)  # fmt: skip


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """Return the slope of the values over the sizes, both as logarithms, by least squares.

    Args:
        points: Sizes and values. Those whose value is not above zero do not count.

    Returns:
        The slope, or None if fewer than two sizes are left.
    """
    logarithms = [(math.log(size), math.log(value)) for size, value in points if size > 0 and value > 0]
    if len({size for size, _ in logarithms}) < 2:
        return None
    sizes, values = zip(*logarithms, strict=True)
    return statistics.linear_regression(sizes, values).slope


def run(rounds: int, only: Sequence[str]) -> dict[str, Any]:
    """Measure the curves, the drivers one after the other in each round."""
    curves: Curves = {}
    for curve in CURVES:
        if not only or curve.name in only:
            with serving() as url:
                curves[curve.name] = _points(curve, url, rounds)
    return {"about": about(rounds, ("transport",)), "growth": curves}


def _points(curve: Curve, url: str, rounds: int) -> Points:
    found: Points = {}
    for number_of_round in range(rounds):
        print(f"{curve.name}, round {number_of_round + 1}", file=sys.stderr, flush=True)
        for size in curve.sizes:
            for driver in curve.drivers:
                figures = found.setdefault(str(size), {}).setdefault(driver, {})
                for name, value in _measure(curve, size, driver, url).items():
                    figures.setdefault(name, []).append(float(f"{value:.4g}"))
    return found


def _measure(curve: Curve, size: int, driver: str, url: str) -> dict[str, float]:
    plan = Plan(curve.name, curve.name)
    try:
        worker = Worker(driver, url, plan, {"size": size}, ROUND_SECONDS)
        try:
            return worker.round()
        finally:
            worker.close()
    except GivenUp as error:
        print(f"    {driver}, {size}: {error}", file=sys.stderr, flush=True)
        return {}


def _rows(curve: Curve, found: Points) -> Iterator[list[str]]:
    for name, title in curve.figures.items():
        for driver in curve.drivers:
            values = [found.get(str(size), {}).get(driver, {}).get(name) for size in curve.sizes]
            middles = [statistics.median(value) if value else None for value in values]
            points = [(size, middle) for size, middle in zip(curve.sizes, middles, strict=True) if middle]
            slope = None if name in curve.totals else exponent(points)
            cells = ["not measured" if middle is None else number(middle) for middle in middles]
            yield [title, driver, *cells, "" if slope is None else f"{slope + 0.0:.2f}"]


def tables(document: dict[str, Any]) -> Iterator[tuple[Curve, list[list[str]]]]:
    """Yield the table of each curve, its first row the titles."""
    for curve in CURVES:
        found = document["growth"].get(curve.name)
        if found is not None:
            titles = ["", "", *(f"{size:,}" for size in curve.sizes), "exponent"]
            yield curve, [titles, *_rows(curve, found)]


def text(document: dict[str, Any]) -> str:
    """Return the curves for a terminal."""
    lines: list[str] = []
    for curve, rows in tables(document):
        lines += ["", curve.title, *aligned(rows)]
    return "\n".join(lines)


def markdown(document: dict[str, Any]) -> str:
    """Return the curves for the documentation."""
    said = document["about"]
    rounds = "One round" if said["rounds"] == 1 else f"Medians of up to {said['rounds']} rounds"
    lines = [f"{where(said)} {rounds}, each figure in a process of its own."]
    for curve, (titles, *rows) in tables(document):
        lines += ["", f"### {curve.title}", "", *table(titles, rows)]
    return "\n".join(lines)
