# SPDX-License-Identifier: Apache-2.0
"""Measures this library beside gradio_client and the bare HTTP libraries, in turn, on one scripted server.

    python -m benchmarks                          everything, five rounds: some ten minutes
    python -m benchmarks --rounds 1 --only latency delay
    python -m benchmarks report                   print what was measured last
    python -m benchmarks page                     write docs/benchmarks.md and its plot from it
    python -m benchmarks parts                    the event stream decoder and the edits by themselves

Environments for gradio_client and for this library are made by uv, in benchmarks/.environments.
"""

from __future__ import annotations

import argparse
import json
import runpy
import sys
from pathlib import Path

from .drivers import DRIVERS
from .environments import ROOT
from .reporting import text, write_page, write_plot
from .running import PLANS, run

RESULTS = Path(__file__).parent / "results" / "latest.json"
PAGE = ROOT / "docs" / "benchmarks.md"
PLOT = ROOT / "docs" / "benchmarks.svg"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", default="run", choices=["run", "report", "page", "parts"])
    parser.add_argument("--rounds", type=int, default=5)
    names = ["import", *(plan.name for plan in PLANS)]
    parser.add_argument("--only", nargs="+", default=[], metavar="VERB", choices=names, help=", ".join(names))
    parser.add_argument("--drivers", nargs="+", default=[], metavar="DRIVER", choices=[*DRIVERS])
    parser.add_argument("--output", type=Path, help="JSON file; a full run goes to benchmarks/results")
    options = parser.parse_args()
    if options.what == "parts":
        for name in ("bench_sse", "bench_diff"):
            sys.argv = [name]
            runpy.run_path(str(Path(__file__).parent / f"{name}.py"), run_name="__main__")
        return
    if options.what == "run":
        document = run(options.rounds, options.only, options.drivers)
        whole = not options.only and not options.drivers
        output = options.output or (RESULTS if whole else None)
        if output is not None:
            output.parent.mkdir(exist_ok=True)
            output.write_text(json.dumps(document, indent=1), encoding="utf-8")
    else:
        document = json.loads((options.output or RESULTS).read_text(encoding="utf-8"))
    print(text(document))
    if options.what == "page":
        write_page(document, PAGE)
        write_plot(document, PLOT)


if __name__ == "__main__":
    main()
