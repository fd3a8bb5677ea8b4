# SPDX-License-Identifier: Apache-2.0
"""The function calls of this library and of the bare libraries, compared with the last record of them.

What else the machine does changes times, and more of a large program than of a small one. It hardly changes
how many functions of Python and of C are called. A ratio that grew by too much is measured once more, and
counts only if it did so both times.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import compare
from .compare import Change
from .history import about
from .reporting import Results, plan_rows, table, where
from .running import Plan, measure, serving

ROUNDS = 3
MARGIN = 0.15
DRIVERS = (
    "transport-client", "transport-sync", "httpx-sync", "transport-async", "httpx-async", "transport-aiohttp",
    "aiohttp",
)  # fmt: skip
SOCKET_DRIVERS = (
    "transport-sync", "websocket-client", "transport-async", "transport-aiohttp", "aiohttp-ws",
)  # fmt: skip
PLANS = (
    Plan("counts-connect", "counts", {"count": 5, "way": "connect"}, drivers=DRIVERS),
    Plan("counts-latency", "counts", {"count": 30, "way": "latency"}, drivers=DRIVERS),
    Plan("counts-throughput-64", "counts", {"count": 64, "way": "throughput"}, drivers=DRIVERS),
    Plan("counts-stream", "counts", {"count": 300, "way": "stream"}, drivers=DRIVERS),
    Plan("counts-websocket", "counts", {"count": 30, "way": "latency"}, drivers=SOCKET_DRIVERS, path="/ws"),
)


def run(rounds: int, plans: Sequence[Plan] = PLANS) -> dict[str, Any]:
    """Count, and return a result."""
    results: Results = {}
    with serving() as url, tempfile.TemporaryDirectory() as place:
        for plan in plans:
            print(plan.name, file=sys.stderr, flush=True)
            results[plan.name] = measure(plan, url, plan.drivers, rounds, Path(place))
    return {"about": about(rounds, ("transport",)), "results": results}


def check(recorded: dict[str, Any], margin: float, rounds: int) -> bool:
    """Count, print the comparison, and return whether a ratio grew by more than the margin, twice."""
    document = run(rounds)
    found = compare.changes(recorded["results"], document["results"], margin)
    print(compare.text(recorded, document, found))
    grown = {one.pair.plan for one in found if one.too_much}
    if not grown:
        return False
    again = run(rounds, [plan for plan in PLANS if plan.name in grown])
    second = compare.changes(recorded["results"], again["results"], margin)
    print("", "Once more:", compare.text(recorded, again, second), sep="\n")
    return bool(confirmed(found, second))


def confirmed(first: Sequence[Change], second: Sequence[Change]) -> list[Change]:
    """Return the changes of the second measurement that are too much in both."""
    pairs = {one.pair for one in first if one.too_much}
    return [one for one in second if one.too_much and one.pair in pairs]


def markdown(document: dict[str, Any]) -> str:
    """Return the table of the documentation."""
    lines = [where(document["about"])]
    for plan, titles, rows in plan_rows(document["results"]):
        lines += ["", f"#### {plan}", "", *table(titles, rows)]
    return "\n".join(lines)
