# SPDX-License-Identifier: Apache-2.0
"""Two results side by side: the ratio of this library to the bare library in each, and whether it grew.

Only ratios are compared, because absolute times depend on the machine. A ratio is computed within each
round, in which both drivers ran one after the other; the median of the rounds counts. The noise of a ratio
is half the distance between its quartiles, as a share of the median. The noise of a comparison is the sum
of both.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .reporting import MORE_IS_BETTER, TITLES, Results, aligned, number

MARGIN = 0.25
"""By how much a ratio may grow: 0.25 allows 1.25 times the recorded ratio."""

LEAST_NOISE = 0.02
"""The rounds of a run share processes, so they never show all of the noise between two runs."""

BARE = {
    "transport": "httpx",
    "transport-client": "httpx-sync",
    "transport-sync": "httpx-sync",
    "transport-async": "httpx-async",
    "transport-aiohttp": "aiohttp",
}
"""Driver of this library -> the bare library that it is compared with."""

BARE_WEBSOCKET = {
    "transport-sync": "websocket-client",
    "transport-async": "aiohttp-ws",
    "transport-aiohttp": "aiohttp-ws",
}

FIGURES = {
    "import": ("ms",),
    "connect": ("cpu_ms",),
    "counts": ("calls",),
    "latency": ("ms", "cpu_ms"),
    "throughput": ("calls_per_s", "cpu_ms"),
    "stream": ("cpu_us",),
    "delay": ("p50_us",),
    "cancel": ("ms",),
    "download": ("mb_per_s",),
    "upload": ("mb_per_s",),
    "websocket": ("ms", "cpu_ms"),
}
"""Verb -> the figures whose ratios are compared."""

Verdict = Literal["grew", "fell", "within the noise", "too noisy to tell"]


@dataclass(frozen=True)
class Ratio:
    """This library's figure divided by the bare library's; less is better, whatever the figure.

    Attributes:
        middle: The median of the rounds.
        noise: Half the distance between the quartiles of the rounds, as a share of the median.
    """

    middle: float
    noise: float


@dataclass(frozen=True)
class Pair:
    """A figure of this library, and the bare library that it is compared with."""

    plan: str
    figure: str
    ours: str
    bare: str


@dataclass(frozen=True)
class Change:
    """What became of a ratio between two results.

    Attributes:
        before: The ratio in the first result.
        after: The ratio in the second one.
        margin: By how much the ratio may grow, as a share.
    """

    pair: Pair
    before: Ratio
    after: Ratio
    margin: float

    @property
    def share(self) -> float:
        """By how much the ratio changed: 0.1 is a tenth more."""
        return self.after.middle / self.before.middle - 1

    @property
    def noise(self) -> float:
        """By how much the ratio may differ without any change of the code, as a share."""
        return max(self.before.noise + self.after.noise, LEAST_NOISE)

    @property
    def verdict(self) -> Verdict:
        if self.noise > self.margin:
            return "too noisy to tell"
        if abs(self.share) <= self.noise:
            return "within the noise"
        return "grew" if self.share > 0 else "fell"

    @property
    def too_much(self) -> bool:
        """Whether the ratio grew by more than the margin and the noise together."""
        return self.verdict == "grew" and self.share > self.margin + self.noise


def ratio(ours: Sequence[float], bare: Sequence[float], *, more_is_better: bool = False) -> Ratio | None:
    """Return the ratio of two figures by their rounds, or None if no round has both above zero."""
    rounds = [(one, other) for one, other in zip(ours, bare, strict=False) if one > 0 and other > 0]
    if not rounds:
        return None
    ratios = [other / one if more_is_better else one / other for one, other in rounds]
    middle = statistics.median(ratios)
    if len(ratios) == 1:
        return Ratio(middle, 0.0)
    lower, _, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(middle, (upper - lower) / 2 / middle)


def pairs(results: Results) -> Iterator[Pair]:
    """Yield each pair that a result holds both sides of."""
    for plan, drivers in results.items():
        verb, _, way = plan.partition("-")
        known = BARE_WEBSOCKET if "websocket" in (verb, way) else BARE
        for ours, measured in drivers.items():
            bare = known.get(ours)
            for figure in FIGURES.get(verb, ()):
                if bare in drivers and figure in measured and figure in drivers[bare]:
                    yield Pair(plan, figure, ours, bare)


def ratio_in(results: Results, pair: Pair) -> Ratio | None:
    """Return the ratio of a pair in a result, or None where it was not measured."""
    drivers = results.get(pair.plan, {})
    ours, bare = (drivers.get(name, {}).get(pair.figure, []) for name in (pair.ours, pair.bare))
    return ratio(ours, bare, more_is_better=pair.figure in MORE_IS_BETTER)


def changes(before: Results, after: Results, margin: float = MARGIN) -> list[Change]:
    """Return the change of each ratio that both results hold."""
    found = [(pair, ratio_in(before, pair), ratio_in(after, pair)) for pair in pairs(after)]
    return [Change(pair, old, new, margin) for pair, old, new in found if old is not None and new is not None]


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return what differs between the ``about`` of two results and may change ratios too."""
    said = [
        {"Python": about["python"], "cores": about["cores"], **about["versions"]} for about in (before, after)
    ]
    return [
        f"{name} {said[0][name]} -> {said[1][name]}"
        for name in said[0]
        if name in said[1] and said[0][name] != said[1][name]
    ]


def label(about: dict[str, Any]) -> str:
    """Return what a result measured, on one line."""
    when = about["date"]
    return f"{when[:13]}:{when[13:]}, gradio-transport {about['library']} at {about['commit']}"


def text(before: dict[str, Any], after: dict[str, Any], found: Sequence[Change]) -> str:
    """Return a comparison for a terminal."""
    if not found:
        return "The two results share no ratio to a bare library, so there is nothing to compare."
    lines = [f"before: {label(before['about'])}", f"after:  {label(after['about'])}"]
    if differing := differences(before["about"], after["about"]):
        lines.append(f"They differ in more than this library: {', '.join(differing)}.")
    rows = [["what", "of / against", "before", "after", "change", "noise", ""], *map(_row, found)]
    lines += ["", *aligned(rows), "", summary(found)]
    return "\n".join(lines)


def _row(change: Change) -> list[str]:
    pair = change.pair
    return [
        f"{pair.plan}, {TITLES[pair.figure]}",
        f"{pair.ours} / {pair.bare}",
        f"{number(change.before.middle)} x",
        f"{number(change.after.middle)} x",
        f"{change.share:+.0%}",
        f"{change.noise:.0%}",
        f"{change.verdict}, by more than the margin" if change.too_much else change.verdict,
    ]


def summary(found: Sequence[Change]) -> str:
    """Return the outcome on one line."""
    verdicts = [change.verdict for change in found]
    parts = [
        f"{verdicts.count(one)} {one}" for one in ("grew", "fell", "within the noise", "too noisy to tell")
    ]
    grown = sum(change.too_much for change in found)
    return f"{len(found)} ratios: {', '.join(parts)}. Grown by more than {found[0].margin:.0%}: {grown}."
