# SPDX-License-Identifier: Apache-2.0
"""Cost of an observer of calls: none, OpenTelemetry without an SDK, and with one that drops its spans.

Usage: python -m benchmarks.bench_observer [--rounds 9] [--calls 200]

Figures are CPU microseconds of this process per call: median (minimum to maximum) over rounds, in turn.
"""

from __future__ import annotations

import argparse
import statistics
import time

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NoOpTracerProvider

import gradio_transport as gt
from gradio_transport.otel import OpenTelemetry

from .running import serving

OBSERVERS = {
    "no observer": lambda: None,
    "OpenTelemetry, API alone": lambda: OpenTelemetry(tracer_provider=NoOpTracerProvider()),
    "OpenTelemetry, with an SDK": lambda: OpenTelemetry(tracer_provider=TracerProvider()),
}


def cpu_per_call(app: gt.Transport, calls: int) -> float:
    began = time.process_time()
    for _ in range(calls):
        app.call("/hello", "x")
    return (time.process_time() - began) / calls * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=200)
    options = parser.parse_args()
    figures: dict[str, list[float]] = {name: [] for name in OBSERVERS}
    with serving() as url:
        apps = {name: gt.connect(url, observer=make()) for name, make in OBSERVERS.items()}
        for app in apps.values():
            cpu_per_call(app, 20)
        for _ in range(options.rounds):
            for name, app in apps.items():
                figures[name].append(cpu_per_call(app, options.calls))
        for app in apps.values():
            app.close()
    base = statistics.median(figures["no observer"])
    for name, values in figures.items():
        middle = statistics.median(values)
        print(
            f"{name:28} {middle:7.0f} us ({min(values):.0f} to {max(values):.0f}), "
            f"{middle / base:.2f} of no observer"
        )


if __name__ == "__main__":
    main()
