# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport map``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs
import click

from .. import bulk
from .._connect import connect_async
from ..aio import AsyncTransport
from ..app.config import AppConfig
from ..bulk.executors import connected_engine
from ..bulk.sources import default_engine
from ..errors import GradioTransportError, LocalProtocolError, TransportError
from ..protocol.frames import Tap
from ..spaces import token_to_use
from .arguments import strip_mark
from .call import find_endpoint
from .failures import ExitStatus
from .map_view import Tally
from .options import Connection, connection_options, credentials, recorder
from .rows import check_columns, count_rows, read_rows, writer
from .run_view import Bar, Pace, show_how_to_go_on, stopped_by_interrupt
from .terminal import Terminal, current_terminal

_HELP = """Call an endpoint once for each row of a file, many at once.

ROWS is a file of JSON lines (an object of values by name, or a list of them), a .csv file whose columns have
the names of parameters, a .parquet file, or - for JSON lines from stdin. Several SOURCEs that serve the same
app share the rows: separate them by commas.

\b
  gradio-transport map http://127.0.0.1:7860 /predict rows.jsonl -o out.jsonl --journal run.sqlite
  gradio-transport map owner/name /transcribe files.csv -o out.jsonl --file audio --files-to results
  gradio-transport map http://a:7860,http://b:7860 /predict rows.parquet -o out.parquet --at-once 32

Each outcome is an object with the index of its row (from 0), its state (done, failed, or in doubt: the
function may have run, but its result is unknown), the row, and its values or the error.

With --journal, you can resume a run that ended early with the same command: rows that are done are written to
the output again, and not called. The first Ctrl-C starts no further row and waits for running calls; a second
one abandons them.

\b
Exit status:
  0    all rows are done
  1    some rows failed or are in doubt
  2    bad usage: unknown option or endpoint, unreadable file
  3    the server refused: login, full queue, rate limit
  4    no connection, not Gradio, unknown protocol
  130  stopped with Ctrl-C before all rows were done
"""


_WAITING = "Waiting for the running calls. Press Ctrl-C again to abandon them."


@attrs.frozen
class WorkerSource:
    """A source for the workers of a cluster. Each worker takes the secrets from its own environment.

    Attributes:
        source: The app.
        keywords: Keywords of `connect_async` without secrets.
        has_token: Whether a token is used.
        has_auth: Whether a login is used.
    """

    source: str
    keywords: dict[str, Any]
    has_token: bool
    has_auth: bool

    def __call__(self) -> AsyncTransport:
        """Return the transport."""
        token = self._secret("GRADIO_TRANSPORT_TOKEN") if self.has_token else None
        auth = credentials(self._secret("GRADIO_TRANSPORT_AUTH")) if self.has_auth else None
        return connect_async(self.source, token=token, auth=auth, engine=default_engine(), **self.keywords)

    def _secret(self, name: str) -> str:
        try:
            return os.environ[name]
        except KeyError:
            raise LocalProtocolError(
                f"The environment of the worker has no {name}; secrets are never sent to workers."
            ) from None


@click.command(name="map", help=_HELP)
@click.argument("source")
@click.argument("endpoint")
@click.argument("rows")
@click.option(
    "-o", "--output", default="-", metavar="FILE",
    help="Write the outcomes to FILE, as JSON lines or .parquet. Default: stdout.",
)  # fmt: skip
@click.option(
    "--at-once", type=click.IntRange(min=1), metavar="N",
    help="Concurrent calls. By default, as many as keep the servers busy.",
)  # fmt: skip
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="The most calls per second."
)
@click.option(
    "--journal", type=click.Path(dir_okay=False), metavar="FILE",
    help="Keep the state of each row in FILE, and resume from FILE if it exists.",
)  # fmt: skip
@click.option(
    "--repeatable", is_flag=True, help="Call lost rows again, although the function may then run twice."
)
@click.option(
    "--redo-failed", is_flag=True, help="Call rows of the journal again that failed before they ran."
)
@click.option("--in-order", is_flag=True, help="Write outcomes in the order of the rows.")
@click.option(
    "--file", "files", multiple=True, metavar="NAME",
    help="Parameter whose values are paths or URLs of files to send. Repeatable. Others are sent as text.",
)  # fmt: skip
@click.option(
    "--files-to", type=click.Path(file_okay=False), metavar="DIR",
    help="Save files of outputs in DIR, those of each row in a directory named by its index.",
)  # fmt: skip
@click.option(
    "--on", "engine", metavar="URL",
    help="Make the calls on a cluster: dask://host:port or ray://host:port. Secrets are taken from the "
    "environment of each worker (GRADIO_TRANSPORT_TOKEN, GRADIO_TRANSPORT_AUTH).",
)  # fmt: skip
@connection_options
def map_rows(
    connection: Connection,
    *,
    source: str,
    endpoint: str,
    rows: str,
    output: str,
    engine: str | None,
    files: tuple[str, ...],
    **settings: Any,
) -> None:
    """Run the command; its help is above."""
    names = [name.strip() for name in strip_mark(source).split(",") if name.strip()]
    if not names:
        raise click.UsageError("SOURCE does not name an app.")
    if engine is not None and (connection.headers or connection.settings or connection.trace):
        raise click.UsageError(
            "--on goes with neither --header nor --set, which may hold secrets, nor --trace."
        )
    terminal, tally = current_terminal(), Tally(Pace(total=count_rows(rows)))
    with recorder(connection.trace) as tap, contextlib.ExitStack() as stack:
        config, sources = _connect_all(connection, names, tap, for_workers=engine is not None)
        chosen = find_endpoint(config, strip_mark(endpoint))
        check_columns(files, chosen)
        executor = None if engine is None else stack.enter_context(connected_engine(engine))
        outcomes = bulk.map(
            sources,
            chosen.fn_index if chosen.name is None else chosen.name,
            read_rows(rows, chosen),
            files=files,
            executor=executor,
            **settings,
        )
        emit = stack.enter_context(writer(output))
        try:
            stopped = _run(outcomes, emit, tally, terminal)
        except GradioTransportError:
            show_how_to_go_on(terminal, tally.summary, settings["journal"])
            raise
    _finish(terminal, tally, stopped=stopped, journal=settings["journal"])


def _connect_all(
    connection: Connection, names: Sequence[str], tap: Tap | None, *, for_workers: bool
) -> tuple[AppConfig, list[Callable[[], AsyncTransport]]]:
    """Return the config of the app, and for each source a function that connects to it asynchronously.

    Raises:
        GradioTransportError: No source answers, or one cannot be used.
    """
    config: AppConfig | None = None
    failure: TransportError | None = None
    sources: list[Callable[[], AsyncTransport]] = []
    for name in names:
        token = token_to_use(connection.token)
        try:
            app, token = connection.connect(name, tap)
        except TransportError as error:  # the run retries this source
            failure = error
        else:
            with app:
                config = config or app.config
        sources.append(_source(connection, name, token, tap, for_workers=for_workers))
    if config is None:
        assert failure is not None  # noqa: S101 - there is at least one name
        raise failure
    return config, sources


def _source(
    connection: Connection, name: str, token: str | None, tap: Tap | None, *, for_workers: bool
) -> Callable[[], AsyncTransport]:
    keywords = connection.without_secrets()
    if for_workers:
        return WorkerSource(name, keywords, has_token=token is not None, has_auth=connection.auth is not None)
    return partial(
        connect_async, name, token=token, auth=connection.auth, headers=connection.headers, tap=tap,
        engine=default_engine(), **keywords,
    )  # fmt: skip


def _run(
    outcomes: bulk.Outcomes, emit: Callable[[bulk.Outcome], None], tally: Tally, terminal: Terminal
) -> bool:
    """Write the outcomes, and return whether the run was stopped."""
    with (
        outcomes,
        Bar(terminal, tally) as bar,
        stopped_by_interrupt(outcomes.stop, bar, terminal, _WAITING) as was_stopped,
    ):
        for outcome in outcomes:
            emit(outcome)
            tally.add(outcome)
            bar.update()
    return was_stopped()


def _finish(terminal: Terminal, tally: Tally, *, stopped: bool, journal: str | None) -> None:
    """Print the last line, and exit with its status."""
    if stopped and tally.pace.ended != tally.pace.total:
        show_how_to_go_on(terminal, tally.summary, journal)
        raise click.exceptions.Exit(int(ExitStatus.INTERRUPTED))
    is_done = tally.done == tally.pace.ended
    terminal.print_line((tally.summary, "green" if is_done else "yellow"))
    if not is_done:
        raise click.exceptions.Exit(int(ExitStatus.APP_ERROR))
