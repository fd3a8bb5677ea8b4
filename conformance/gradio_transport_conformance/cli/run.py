# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport-conformance run``."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Any

import attrs
import click

from gradio_transport.errors import visible

from ..driver.polling import PollingDriver
from ..driver.process import DriverFailure
from ..drivers import DriverUnavailable
from ..page import write_page
from ..play import STEP_SECONDS
from ..run.adapters import AdapterNotFound, AdapterPlayer, load_adapter
from ..run.clients import ClientPlayer
from ..run.faces import FACES, FacePlayer
from ..run.junit import write_junit
from ..run.known import KnownFailures, read_known_failures
from ..run.players import MakePlayer
from ..run.results import RunResults, write_json
from ..run.runner import run_plan
from ..run.selection import (
    FaultCell,
    PlannedCell,
    SelectionError,
    find_traces,
    plan_cases,
    select_cases,
    select_faults,
    select_versions,
)
from ..run.serving import ServeMode, default_mode
from ..run.summary import summary
from .progress import Progress

WRONG = 1
"""Exit status of a run with wrong cells."""

INTERRUPTED = 130

EPILOG = """\b
Examples:
  gradio-transport-conformance run --client 'node driver.mjs' --versions 3.50.2,4..6
  gradio-transport-conformance run --client ./driver --cases count,cancel_* --json results.json
  gradio-transport-conformance run --client ./driver --cases none --faults 'sse_v3 join'
  gradio-transport-conformance run --adapter my_package:MyAdapter --traces my_traces/
  gradio-transport-conformance run --face trio --versions 6

\b
Exit status:
  0    no cell is wrong; cells graded cannot or off tape are counted, but are not wrong
  1    a cell is wrong, or the list of known failures is stale
  2    wrong usage, or the driver does not start
  130  interrupted
"""


@attrs.frozen(kw_only=True)
class _Options:
    """The options of `run`, as given."""

    client: str | None
    driver_port: int | None
    adapter: str | None
    face: str | None
    versions: str
    cases: str
    faults: Sequence[str]
    traces: Path | None
    known_failing: Path | None
    mode: str | None
    jobs: int
    deadline: float
    seed: int
    record: bool
    junit: Path | None
    json_path: Path | None
    html: Path | None
    quiet: bool


@attrs.frozen
class _Graded:
    """The objects that the options name."""

    make: MakePlayer
    way: str
    serve: str


@click.command(epilog=EPILOG)
@click.option(
    "--client",
    metavar="COMMAND",
    help="Grade a client: the command of its driver, or a shipped driver such as gradio_client==2.7.2.",
)
@click.option(
    "--driver-port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Grade a driver that fetches its tasks by HTTP, such as a page in a browser, one task at a time. "
    "0 chooses a free port; the URL is printed.",
)
@click.option("--adapter", metavar="MODULE:CLASS", help="Grade an adapter, in this process.")
@click.option("--face", type=click.Choice(list(FACES)), help="Grade an interface of this library.")
@click.option(
    "--versions",
    default="all",
    show_default=True,
    metavar="LIST",
    help="Gradio versions, separated by commas: 3.50.2, a prefix 4, a range 4..6.",
)
@click.option(
    "--cases",
    default="all",
    show_default=True,
    metavar="LIST",
    help="Names of cases, separated by commas; patterns such as cancel_*, groups such as files; or none.",
)
@click.option(
    "--faults",
    multiple=True,
    metavar="PATTERN",
    help="Also play faults: names, patterns, words such as 'sse_v3 join'; or all. Repeatable.",
)
@click.option(
    "--traces",
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="Replay your own traces to the adapter, instead of those of the suite.",
)
@click.option(
    "--known-failing",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A file of cells that are known to fail, one a line. The run fails if one of them passes.",
)
@click.option(
    "--serve",
    "mode",
    type=click.Choice([one.value for one in ServeMode]),
    help="Serve recordings byte for byte, or message by message in the order of the client's requests.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 256),
    default=min(4, os.cpu_count() or 1),
    show_default=True,
    help="Number of cells to play at once.",
)
@click.option(
    "--deadline",
    type=click.FloatRange(0, min_open=True),
    default=STEP_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Deadline of a step of a case, in seconds.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random chunks of replays.")
@click.option("--record", is_flag=True, help="Keep the traffic of each cell in the results.")
@click.option(
    "--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write JUnit XML."
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the results as JSON.",
)
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the results as an HTML page. Implies --record.",
)
@click.option("-q", "--quiet", is_flag=True, help="Do not show progress.")
def run(**given: Any) -> None:
    """Play cases and faults to a client or an adapter, and print the grades."""
    options = _Options(**given)
    if options.traces is not None and options.adapter is None:
        raise click.UsageError("--traces needs --adapter: only an adapter can be graded by your own traces.")
    plan, known, graded = _plan(options), _read_known(options.known_failing), _graded(options)
    results = _run(graded, plan, known, options)
    click.echo(summary(results))
    for path, write in (
        (options.junit, write_junit),
        (options.json_path, write_json),
        (options.html, write_page),
    ):
        if path is not None:
            try:
                write(results, path)
            except OSError as error:
                raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from error
    if not results.complete:
        raise click.exceptions.Exit(INTERRUPTED)
    if not results.is_right:
        raise click.exceptions.Exit(WRONG)


def _plan(options: _Options) -> list[PlannedCell]:
    plan: list[PlannedCell] = []
    try:
        if options.traces is not None:
            plan += find_traces(options.traces)
        elif options.cases != "none":
            plan += plan_cases(select_versions(options.versions), select_cases(options.cases))
        plan += [FaultCell(cell) for cell in select_faults(options.faults)]
    except SelectionError as error:
        raise click.UsageError(str(error)) from error
    if not plan:
        raise click.UsageError("Nothing is selected: none of these cases was recorded on these versions.")
    return plan


def _read_known(path: Path | None) -> KnownFailures:
    if path is None:
        return KnownFailures("", ())
    try:
        return read_known_failures(path)
    except ValueError as error:
        raise click.UsageError(f"{path} is not UTF-8 text: {error}.") from error


def _graded(options: _Options) -> _Graded:
    graded = (options.client, options.driver_port, options.adapter, options.face)
    if sum(one is not None for one in graded) != 1:
        raise click.UsageError(
            "Name what to grade: pass one of --client, --driver-port, --adapter and --face."
        )
    mode = default_mode() if options.mode is None else ServeMode(options.mode)
    record = options.record or options.html is not None
    client, port, face = options.client, options.driver_port, options.face
    if client is not None:
        return _Graded(
            lambda: ClientPlayer(client, mode, record=record, deadline=options.deadline),
            "client",
            mode.value,
        )
    if port is not None:
        return _Graded(
            lambda: ClientPlayer(_listen(port), mode, record=record, deadline=options.deadline),
            "client",
            mode.value,
        )
    if face is not None:
        return _Graded(lambda: FacePlayer(face, mode, record=record), "face", mode.value)
    try:
        adapter = load_adapter(options.adapter or "")
    except AdapterNotFound as error:
        raise click.UsageError(str(error)) from error
    return _Graded(lambda: AdapterPlayer(adapter, seed=options.seed), "adapter", "")


def _listen(port: int) -> PollingDriver:
    try:
        driver = PollingDriver(port)
    except OSError as error:
        raise click.ClickException(f"Port {port} cannot be used: {error.strerror}.") from error
    click.echo(f"Waiting for a driver to fetch tasks: {driver.url}", err=True)
    return driver


def _run(graded: _Graded, plan: Sequence[PlannedCell], known: KnownFailures, options: _Options) -> RunResults:
    began, started = time.monotonic(), datetime.now(UTC)
    try:
        first = graded.make()
    except DriverFailure as error:
        said = f"\nIt wrote:\n{visible(error.output)}" if error.output else ""
        raise click.UsageError(f"The driver {error}.{said}") from error
    except (ValueError, DriverUnavailable) as error:
        raise click.UsageError(str(error)) from error
    identity = first.identity
    progress = Progress(len(plan), quiet=options.quiet)
    jobs = options.jobs if options.driver_port is None else 1  # there is one driver
    try:
        cells, complete = run_plan(plan, first, graded.make, jobs=jobs, on_result=progress)
    finally:
        progress.close()
    return RunResults(
        client=identity.name,
        language=identity.language,
        way=graded.way,
        serve=graded.serve,
        kit=distribution_version("gradio-transport"),
        started=started.isoformat(timespec="seconds"),
        seconds=time.monotonic() - began,
        seed=options.seed,
        cells=known.apply(cells),
        complete=complete,
        problems=known.find_unused(cell.name for cell in plan),
    )


__all__ = ["run"]
