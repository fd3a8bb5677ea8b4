# SPDX-License-Identifier: Apache-2.0
"""The command line: list the available versions, install them, start one, record from them.

Each subcommand is one function below that takes the parsed arguments and returns an exit status. To add one,
add a function and an entry in `_parser`.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterable

from . import VARIANTS, environments
from .errors import InterpreterMissing, ServersError
from .matrix import Entry, find, matrix
from .running import Server, running


def _list(arguments: argparse.Namespace) -> int:
    print(f"{'gradio':<9} {'python':<7} {'installed':<10} wire")
    for entry in matrix().values():
        installed = "yes" if environments.is_installed(entry) else "no"
        print(f"{entry.version:<9} {entry.python:<7} {installed:<10} {entry.wire}")
    print(f"environments are kept in {environments.root()}")
    return 0


def _chosen(versions: Iterable[str]) -> list[Entry]:
    names = list(versions)
    return list(matrix().values()) if names == ["all"] else [find(name) for name in names]


def _install(arguments: argparse.Namespace) -> int:
    status = 0
    for entry in _chosen(arguments.versions):
        began = time.monotonic()
        if arguments.again:
            environments.remove(entry)
        try:
            done = environments.install(entry)
        except InterpreterMissing as error:
            print(f"{entry.version:<9} skipped: {error}")
            continue
        except ServersError as error:
            print(f"{entry.version:<9} FAILED: {error}", file=sys.stderr)
            status = 1
            continue
        took = f"installed in {time.monotonic() - began:.0f} s" if done else "was installed already"
        print(f"{entry.version:<9} {took}", flush=True)
    return status


def _describe(server: Server, seconds: float) -> None:
    print(f"Gradio {server.version} on Python {server.python} is ready after {seconds:.0f} s ({server.wire})")
    for name, url in server.urls.items():
        print(f"  {name:<20} {url}")
    for variant, scenarios in server.scenarios.items():
        print(f"scenarios of {variant}:")
        for scenario in scenarios.values():
            name = f"/{scenario.api_name}" if scenario.api_name else "(no name)"
            queue = "queue" if scenario.queue else "no queue"
            print(f"  {scenario.fn_index:>3}  {scenario.name:<20} {name:<20} {queue}")


def _boot(arguments: argparse.Namespace) -> int:
    # SIGTERM must also end the server, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    variants = arguments.variants or ["canonical"]
    try:
        with running(arguments.version, variants, port=arguments.port) as server:
            _describe(server, time.monotonic() - began)
            print("Press Ctrl-C to stop it", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("stopped")
    return 0


def _record(arguments: argparse.Namespace) -> int:
    # Imported late: only this command needs the library and its kit.
    from .matrix_run import run

    return run([entry.version for entry in _chosen(arguments.versions)], arguments.cases)


def _matrix(arguments: argparse.Namespace) -> int:
    from .report import write

    write()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m conformance.servers",
        description="Real Gradio servers to test against.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="show every version of the matrix")
    listing.set_defaults(run=_list)

    install = commands.add_parser("install", help="create the environments of some versions")
    install.add_argument("versions", nargs="+", metavar="VERSION", help="a version of the list, or: all")
    install.add_argument("--again", action="store_true", help="replace a complete environment")
    install.set_defaults(run=_install)

    boot = commands.add_parser("boot", help="serve one version until Ctrl-C")
    boot.add_argument("version", metavar="VERSION")
    help_text = f"one of {', '.join(VARIANTS)}; may be given several times (default: canonical)"
    boot.add_argument("--variant", action="append", dest="variants", choices=VARIANTS, help=help_text)
    boot.add_argument(
        "--port", type=int, help="port of the first app, the others follow (default: free ports)"
    )
    boot.set_defaults(run=_boot)

    recording = commands.add_parser("record", help="play every case, write the traces, show changes")
    recording.add_argument("versions", nargs="+", metavar="VERSION", help="a version of the list, or: all")
    recording.add_argument(
        "--case", action="append", dest="cases", default=[], help="play only this case (repeatable)"
    )
    recording.set_defaults(run=_record)

    matrix_page = commands.add_parser("matrix", help="write the support matrix from the stored results")
    matrix_page.set_defaults(run=_matrix)
    return parser


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return int(arguments.run(arguments))
    except ServersError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
