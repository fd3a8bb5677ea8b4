# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport call``."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from typing import IO, Any

import click

from ..app.config import AppConfig, Endpoint
from ..calls.options import CallOptions
from ..errors import EndpointNotFound, GradioTransportError
from ..events import Cancelled
from ..sync import Call, Transport
from .arguments import Arguments, check, from_json, unmarked, values, with_files
from .coerce import strict_json
from .failures import Misuse
from .options import Connection, connected
from .screen import View, view
from .terminal import current

output_option = click.option(
    "-o", "--output", type=click.Path(file_okay=False), metavar="DIR",
    help="Save the files of the outputs in DIR, and print their paths.",
)  # fmt: skip

_HELP = """Call an endpoint of the app at SOURCE and print its outputs.

ENDPOINT is a name such as /predict, or the number of an endpoint without one. ARGUMENTS are values by
position or name=value, read by the type of each parameter: numbers and true/false as such, lists and objects
as JSON, text as it is; where a file is wanted, a path or a URL (@PATH is a file anywhere). Put -- before
values that look like something else.

\b
  gradio-transport call http://127.0.0.1:7860 /count 3
  gradio-transport call http://127.0.0.1:7860 /add a=1 b=-2.5 --raw
  echo '[1, 2]' | gradio-transport call http://127.0.0.1:7860 /add --json -
  gradio-transport call owner/name /describe photo.png -o results

stdout has the outputs only, each on a line of its own: text as it is, anything else as JSON. In a terminal,
text appears as it grows. Status and the app's messages go to stderr. Ctrl-C cancels the call on the server.
"""


@click.command(cls=Arguments, help=_HELP)
@click.argument("source")
@click.argument("endpoint")
@click.argument("arguments", nargs=-1)
@click.option(
    "--json", "file", type=click.File("rb"), metavar="FILE",
    help="Take the arguments from FILE (- is stdin): a JSON list, or an object by name.",
)  # fmt: skip
@output_option
@click.option("--raw", is_flag=True, help="Print the outputs as one JSON list.")
@click.option("--jsonl", is_flag=True, help="Print one JSON object for each event, as it comes.")
@click.option(
    "--event-data", metavar="JSON", help="What happened in the page, for gr.SelectData and its kin."
)
@connected
def call(
    connection: Connection,
    *,
    source: str,
    endpoint: str,
    arguments: tuple[str, ...],
    file: IO[bytes] | None,
    output: str | None,
    raw: bool,
    jsonl: bool,
    event_data: str | None,
) -> None:
    """Run the command; its help is above."""
    if raw and jsonl:
        raise click.UsageError("--raw and --jsonl exclude each other.")
    if file is not None and arguments:
        raise click.UsageError("--json and arguments exclude each other.")
    options = CallOptions(event_data=_event_data(event_data), download_files=output)
    given = None if file is None else from_json(file.read())
    shown = view(current(), f"connecting to {source}", raw=raw, jsonl=jsonl)
    with shown, connection.open(unmarked(source)) as app:
        chosen = find(app.config, unmarked(endpoint))
        found = values(chosen, arguments) if given is None else with_files(chosen, *given)
        check(chosen, *found)
        run(app, chosen, *found, options, shown)


@click.command()
@click.argument("source")
@click.argument("endpoint")
@click.argument("payload")
@output_option
@connected
def predict(connection: Connection, *, source: str, endpoint: str, payload: str, output: str | None) -> None:
    r"""Call an endpoint with a JSON PAYLOAD, and print its outputs as one JSON list.

    PAYLOAD is an object of values by name, or a list of them. A file is a path where the endpoint takes one,
    or {"path": "photo.png"} anywhere.

    \b
      gradio-transport predict http://127.0.0.1:7860 /add '{"a": 1, "b": 2}'
    """
    given = from_json(payload.encode("utf-8", "surrogateescape"), "PAYLOAD")
    shown = view(current(), f"connecting to {source}", raw=True, jsonl=False)
    with shown, connection.open(source) as app:
        chosen = find(app.config, endpoint)
        found = with_files(chosen, *given)
        check(chosen, *found)
        run(app, chosen, *found, CallOptions(download_files=output), shown)


def _event_data(text: str | None) -> Any:
    try:
        return None if text is None else strict_json(text)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="'--event-data'") from error


def find(config: AppConfig, name: str) -> Endpoint:
    """Return the endpoint of that name or number.

    Raises:
        Misuse: There is none.
    """
    numbered = name.isascii() and name.isdigit() and f"/{name}" not in config.named
    try:
        return config.endpoint(int(name) if numbered else name)
    except EndpointNotFound as error:
        raise Misuse(error.message) from error


def run(
    app: Transport,
    endpoint: Endpoint,
    positional: list[Any],
    keywords: dict[str, Any],
    options: CallOptions,
    shown: View,
) -> None:
    """Make the call and show it; whatever interrupts this cancels the call on the server."""
    began = time.monotonic()
    shown.now(f"calling {endpoint.display_name}")
    which = endpoint.fn_index if endpoint.name is None else endpoint.name
    try:
        under_way = app.submit(which, *positional, options=options, **keywords)
        with _cancelling(under_way, shown, began):
            for event in under_way:
                shown.event(event, time.monotonic() - began)
            outputs = under_way.result()
    except GradioTransportError as error:
        shown.failed(error, time.monotonic() - began)
        raise
    shown.result(outputs)


@contextlib.contextmanager
def _cancelling(under_way: Call, shown: View, began: float) -> Generator[None, None, None]:
    """Leave no call running on the server when this program ends early."""
    try:
        yield
    except KeyboardInterrupt:
        achieved = under_way.cancel()
        shown.event(Cancelled(event_id=under_way.event_id, achieved=achieved), time.monotonic() - began)
        raise
    finally:
        # A closed pipe, for one, ends the program as well.
        if not under_way.done():
            under_way.cancel()
