# SPDX-License-Identifier: Apache-2.0
"""What was measured, for people: medians, ratios, and which targets are met. Text, Markdown and a plot."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .layers import LAYERS

Results = dict[str, dict[str, dict[str, list[float]]]]

GRADIO = "gradio_client"

FIGURES = {
    "import": ("ms", "cpu_ms", "modules"),
    "connect": ("ms", "cpu_ms"),
    "latency": ("ms", "cpu_ms"),
    "counts": ("calls", *LAYERS),
    "throughput": ("calls_per_s", "cpu_ms", "threads", "peak_mb", "failures"),
    "stream": ("messages_per_s", "cpu_us", "growth"),
    "delay": ("p50_us", "p99_us"),
    "cancel": ("ms",),
    "download": ("mb_per_s", "cpu_s", "peak_mb"),
    "upload": ("mb_per_s", "cpu_s", "peak_mb"),
    "leaks": ("descriptors_grown", "threads_grown", "kb_grown", "descriptors_closed", "threads_closed"),
    "websocket": ("ms", "cpu_ms"),
}
"""Verb -> its figures, in the order of the tables."""

TITLES = {
    "ms": "ms", "cpu_ms": "CPU ms", "modules": "modules", "calls_per_s": "calls/s", "threads": "threads",
    "peak_mb": "peak MB", "failures": "failures", "messages_per_s": "messages/s", "cpu_us": "CPU µs",
    "growth": "last tenth / second", "p50_us": "p50 µs", "p99_us": "p99 µs", "mb_per_s": "MB/s",
    "cpu_s": "CPU s", "descriptors_grown": "descriptors grown", "threads_grown": "threads grown",
    "kb_grown": "kB grown", "descriptors_closed": "descriptors once closed",
    "threads_closed": "threads once closed", "calls": "function calls",
    **{layer: layer for layer in LAYERS},
}  # fmt: skip

MORE_IS_BETTER = ("calls_per_s", "messages_per_s", "mb_per_s")


@dataclass(frozen=True)
class Target:
    """A ratio that was aimed at.

    Attributes:
        ours: Driver of this library.
        other: What it is compared with; "" compares the figure itself with the bound.
        bound: The ratio may be at most this, or for figures where more is better at least this.
        more: Whether more is better.
    """

    plan: str
    figure: str
    ours: str
    other: str
    bound: float
    more: bool = False


def _against(plan: str, figure: str, *rows: tuple[str, str, float], more: bool = False) -> Iterator[Target]:
    for ours, other, bound in rows:
        yield Target(plan, figure, ours, other, bound, more)


SYNC, ASYNC, AIOHTTP = "transport-sync", "transport-async", "transport-aiohttp"

TARGETS: tuple[Target, ...] = (
    *_against(
        "connect", "ms",
        (SYNC, GRADIO, 1 / 20), (ASYNC, GRADIO, 1 / 20),
        (SYNC, "httpx-sync", 1.3), (ASYNC, "httpx-async", 1.3), (AIOHTTP, "aiohttp", 1.3),
    ),
    *_against(
        "latency", "ms",
        (SYNC, GRADIO, 1 / 35), (SYNC, "httpx-sync", 1.15),
        (ASYNC, GRADIO, 1 / 20), (ASYNC, "httpx-async", 1.25),
        (AIOHTTP, "aiohttp", 1.5), (AIOHTTP, GRADIO, 1 / 120),
    ),
    *_against(
        "throughput-64", "calls_per_s",
        (SYNC, GRADIO, 30), (SYNC, "httpx-sync", 0.8),
        (ASYNC, GRADIO, 15), (ASYNC, "httpx-async", 0.8),
        (AIOHTTP, "aiohttp", 1 / 1.4), (AIOHTTP, GRADIO, 120),
        more=True,
    ),
    *_against("throughput-64", "failures", *((one, "", 0) for one in (SYNC, ASYNC, AIOHTTP))),
    *_against("throughput-64", "threads", (SYNC, "", 4), (AIOHTTP, "", 1)),
    *_against("throughput-1000", "failures", *((one, "", 0) for one in (SYNC, ASYNC, AIOHTTP))),
    *_against("throughput-1000", "calls_per_s", (AIOHTTP, "aiohttp", 1 / 1.4), more=True),
    *_against(
        "stream", "cpu_us",
        (SYNC, GRADIO, 1 / 10), (ASYNC, GRADIO, 1 / 10), (SYNC, "httpx-sync", 1.5),
        (ASYNC, "httpx-async", 1.5), (AIOHTTP, "aiohttp", 2),
    ),
    *_against(
        "stream-paced", "cpu_us",
        (SYNC, "httpx-sync", 1.6), (ASYNC, "httpx-async", 1.6), (AIOHTTP, "aiohttp", 1.6),
    ),
    *_against(
        "delay", "p50_us",
        (SYNC, GRADIO, 1 / 30), (ASYNC, GRADIO, 1 / 30), (SYNC, "httpx-sync", 1.2),
        (ASYNC, "httpx-async", 1.5), (AIOHTTP, "aiohttp", 1.5),
    ),
    *_against(
        "cancel", "ms",
        (SYNC, GRADIO, 1 / 50), (ASYNC, GRADIO, 1 / 50), (SYNC, "httpx-sync", 1.5),
        (ASYNC, "httpx-async", 1.5),
    ),
    *_against(
        "download", "mb_per_s",
        (SYNC, GRADIO, 3), (SYNC, "httpx-sync", 0.95), (ASYNC, "httpx-async", 0.95),
        (AIOHTTP, "aiohttp", 0.95),
        more=True,
    ),
    *_against(
        "upload", "mb_per_s",
        (SYNC, GRADIO, 2.5), (SYNC, "httpx-sync", 0.8), (ASYNC, "httpx-async", 0.8),
        (AIOHTTP, "aiohttp", 0.8),
        more=True,
    ),
    *_against("import", "ms", ("transport", GRADIO, 1 / 3)),
)  # fmt: skip


def median(results: Results, plan: str, driver: str, figure: str) -> float | None:
    """Return the median of a figure over its rounds, or None where it was not measured."""
    values = results.get(plan, {}).get(driver, {}).get(figure)
    return statistics.median(values) if values else None


def judged(results: Results) -> Iterator[tuple[Target, float | None, bool | None]]:
    """Yield each target with what was reached, and whether it is met; None where nothing was measured."""
    for target in TARGETS:
        ours = median(results, target.plan, target.ours, target.figure)
        other = median(results, target.plan, target.other, target.figure) if target.other else 1.0
        if ours is None or not other:
            yield target, None, None
            continue
        ratio = ours / other
        yield target, ratio, ratio >= target.bound if target.more else ratio <= target.bound


def number(value: float) -> str:
    """Return a number in the three digits that matter, or all of a larger one."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _spread(values: Sequence[float]) -> str:
    middle, least, most = map(number, (statistics.median(values), min(values), max(values)))
    return middle if least == most else f"{middle} ({least} to {most})"


def _times(ratio: float) -> str:
    return f"1/{number(1 / ratio)}" if 0 < ratio < 0.5 else f"{number(ratio)} x"


def plan_rows(results: Results) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Yield a table for each plan: its name, its titles, its rows."""
    for plan, drivers in results.items():
        known = FIGURES.get(plan) or FIGURES[plan.partition("-")[0]]
        # An older result may have fewer figures.
        figures = [figure for figure in known if all(figure in measured for measured in drivers.values())]
        rows = [
            [driver, *(_spread(measured[figure]) for figure in figures)]
            for driver, measured in drivers.items()
        ]
        yield plan, ["", *(TITLES[figure] for figure in figures)], rows


def _verdict(met: bool | None) -> str:
    return {True: "met", False: "MISSED", None: "not measured"}[met]


def _goal(target: Target) -> str:
    bound = _times(target.bound) if target.other else number(target.bound)
    return f"{'at least' if target.more else 'at most'} {bound}"


def _target_rows(results: Results) -> Iterator[list[str]]:
    for target, ratio, met in judged(results):
        reached = "" if ratio is None else _times(ratio) if target.other else number(ratio)
        what = f"{target.plan}, {TITLES[target.figure]}"
        yield [what, target.ours, target.other or "itself", _goal(target), reached, _verdict(met)]


_TARGET_TITLES = ["what", "of", "against", "target", "reached", ""]


def text(document: dict[str, Any]) -> str:
    """Return everything for a terminal."""
    results: Results = document["results"]
    targets = aligned([_TARGET_TITLES, *_target_rows(results)])
    return "\n".join([tables_text(results), "", "targets", *targets])


def tables_text(results: Results) -> str:
    """Return the table of each plan for a terminal."""
    lines: list[str] = []
    for plan, titles, rows in plan_rows(results):
        lines += ["", plan, *aligned([titles, *rows])]
    return "\n".join(lines)


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table for a terminal, a line for each row."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def where(about: dict[str, Any]) -> str:
    """Return what was measured, when, and by which versions."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"gradio-transport {about['library']} at {about['commit']}, {about['date'][:10]}: Python "
        f"{about['python']} on {about['system']}, {about['cores']} cores; {versions}."
    )


def markdown(document: dict[str, Any]) -> str:
    """Return the tables of the documentation."""
    results, about = document["results"], document["about"]
    lines = [
        f"{where(about)} Medians of {about['rounds']} rounds (least to most).",
        "",
        "### Targets",
        "",
        *table(_TARGET_TITLES, _target_rows(results)),
    ]
    for plan, titles, rows in plan_rows(results):
        lines += ["", f"### {plan}", "", *table(titles, rows)]
    return "\n".join(lines)


def table(titles: Sequence[str], rows: Iterator[list[str]] | Sequence[list[str]]) -> Iterator[str]:
    """Yield a table of Markdown, a line for each row."""
    yield "| " + " | ".join(titles) + " |"
    yield "|" + "---|" * len(titles)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def write_page(page: Path, name: str, content: str) -> None:
    """Put generated text between the two marks of a name on a page."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n{content}\n{end}{after}", encoding="utf-8")


def write_plot(document: dict[str, Any], path: Path) -> None:
    """Draw latency, throughput and CPU per frame as bars. Needs matplotlib."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "gradio-transport"
    mpl.rcParams["svg.fonttype"] = "none"  # the reader's fonts, and a file of a fifth of the size
    from matplotlib import pyplot as plt

    results: Results = document["results"]
    panels = [
        ("latency", "ms", "one call after the other: ms"),
        ("throughput-64", "calls_per_s", "64 calls at once: calls/s"),
        ("delay", "p50_us", "message to consumer: µs"),
        ("stream", "cpu_us", "CPU of a streamed message: µs"),
    ]
    figure, axes = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")
    for axis, (plan, name, title) in zip(axes.flat, panels, strict=True):
        drivers = [one for one in results.get(plan, {}) if median(results, plan, one, name)]
        values = [median(results, plan, one, name) for one in drivers]
        colours = ["#c44" if one == GRADIO else "#27a" if "transport" in one else "#999" for one in drivers]
        bars = axis.barh(drivers, values, color=colours)
        axis.bar_label(bars, [number(value or 0) for value in values], padding=3)
        axis.set_xscale("log")
        axis.set_title(title)
        axis.invert_yaxis()
        axis.margins(x=0.15)
    figure.savefig(path, metadata={"Date": None})
