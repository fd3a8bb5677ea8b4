# SPDX-License-Identifier: Apache-2.0
"""Measures this library beside gradio_client and the bare HTTP libraries, in turn, on one scripted server.

    python -m benchmarks                          everything, five rounds: some ten minutes
    python -m benchmarks --rounds 1 --only latency delay
    python -m benchmarks report                   print what was recorded last
    python -m benchmarks compare A B              which ratios to the bare libraries grew from A to B
    python -m benchmarks check                    count function calls, and compare with the last record
    python -m benchmarks check --record           record the counts instead
    python -m benchmarks growth                   how the costs grow with rows, calls, sessions and transports
    python -m benchmarks page                     write docs/benchmarks.md and its plot from the last records
    python -m benchmarks parts                    the event stream decoder and the edits by themselves

A whole run is recorded in benchmarks/results, a file each. A result is given by its path, by its name
there, or as "newest". Environments for gradio_client and for this library are made by uv, in
benchmarks/.environments.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

from . import check, compare, growth, history
from .drivers import DRIVERS
from .environments import ROOT
from .reporting import markdown, tables_text, text, write_page, write_plot
from .running import PLANS, run

PAGE = ROOT / "docs" / "benchmarks.md"
PLOT = ROOT / "docs" / "benchmarks.svg"


def do_run(options: argparse.Namespace) -> int:
    document = run(options.rounds, options.only, options.drivers)
    if options.output is not None:
        history.write(document, options.output)
    elif not options.only and not options.drivers:
        history.record(document)
    print(text(document))
    return 0


def do_report(options: argparse.Namespace) -> int:
    print(text(history.load(options.result)))
    return 0


def do_page(options: argparse.Namespace) -> int:
    document = history.load("newest")
    write_page(PAGE, "benchmarks", markdown(document))
    write_page(PAGE, "counts", check.markdown(history.load(history.newest("counts"))))
    write_page(PAGE, "growth", growth.markdown(history.load(history.newest("growth"))))
    write_plot(document, PLOT)
    return 0


def do_compare(options: argparse.Namespace) -> int:
    before, after = history.load(options.before), history.load(options.after)
    found = compare.changes(before["results"], after["results"], options.margin)
    print(compare.text(before, after, found))
    return int(any(change.too_much for change in found))


def do_check(options: argparse.Namespace) -> int:
    if options.record:
        document = check.run(options.rounds)
        history.record(document, "counts")
        print(tables_text(document["results"]))
        return 0
    against = options.against or history.newest("counts")
    return int(check.check(history.load(against), options.margin, options.rounds))


def do_growth(options: argparse.Namespace) -> int:
    document = growth.run(options.rounds, options.only)
    if options.output is not None:
        history.write(document, options.output)
    elif not options.only:
        history.record(document, "growth")
    print(growth.text(document))
    return 0


def do_parts(options: argparse.Namespace) -> int:
    for name in ("bench_sse", "bench_diff"):
        sys.argv = [name]
        runpy.run_path(str(Path(__file__).parent / f"{name}.py"), run_name="__main__")
    return 0


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 10:
        raise argparse.ArgumentTypeError(f"a margin is a share, such as 0.25 for 25 %; got {text}")
    return value


def parsers() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    one = commands.add_parser("run", help="measure everything (what happens without a command)")
    one.set_defaults(do=do_run)
    one.add_argument("--rounds", type=int, default=5)
    names = ["import", *(plan.name for plan in PLANS)]
    one.add_argument("--only", nargs="+", default=[], metavar="VERB", choices=names, help=", ".join(names))
    one.add_argument("--drivers", nargs="+", default=[], metavar="DRIVER", choices=[*DRIVERS])
    one.add_argument("--output", type=Path, help="JSON file; without it a whole run is recorded")

    one = commands.add_parser("report", help="print a result")
    one.set_defaults(do=do_report)
    one.add_argument("result", nargs="?", default="newest")

    one = commands.add_parser("compare", help="compare two results; exit code 1 if a ratio grew by too much")
    one.set_defaults(do=do_compare)
    one.add_argument("before", metavar="A")
    one.add_argument("after", metavar="B")
    _margin(one, compare.MARGIN)

    one = commands.add_parser("check", help="count function calls, and compare their ratios with the record")
    one.set_defaults(do=do_check)
    one.add_argument("--against", metavar="RESULT", help="without it the last record of counts")
    one.add_argument("--record", action="store_true", help="record the counts instead of comparing them")
    one.add_argument("--rounds", type=int, default=check.ROUNDS)
    _margin(one, check.MARGIN)

    one = commands.add_parser("growth", help="measure how costs grow")
    one.set_defaults(do=do_growth)
    one.add_argument("--rounds", type=int, default=3)
    curves = [curve.name for curve in growth.CURVES]
    one.add_argument("--only", nargs="+", default=[], metavar="CURVE", choices=curves, help=", ".join(curves))
    one.add_argument("--output", type=Path, help="JSON file; without it a whole run is recorded")

    commands.add_parser("page", help="write the page from the last records").set_defaults(do=do_page)
    commands.add_parser("parts", help="measure two parts by themselves").set_defaults(do=do_parts)
    return parser


def _margin(parser: argparse.ArgumentParser, default: float) -> None:
    parser.add_argument(
        "--margin",
        type=_share,
        default=default,
        help="by how much a ratio may grow, as a share (default: %(default)s). A ratio whose noise is larger "
        "than this is too noisy to tell, and changes no exit code",
    )


def main() -> int:
    words = sys.argv[1:]
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words = ["run", *words]
    options = parsers().parse_args(words)
    try:
        code: int = options.do(options)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
