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
from ..protocol.urls import shown_url
from ..sync import Call, Transport
from .arguments import (
    Arguments,
    arguments_from_json,
    beside_json,
    check,
    parse_arguments,
    strip_mark,
    with_files,
)
from .coerce import strict_json
from .failures import Misuse
from .options import Connection, connection_options
from .screen import View, choose_view
from .terminal import current_terminal

output_option = click.option(
    "-o", "--output", type=click.Path(file_okay=False), metavar="DIR",
    help="Save the files of the outputs in DIR, and print their paths.",
)  # fmt: skip

_HELP = """Call an endpoint of the app at SOURCE and print its outputs.

ENDPOINT is a name such as /predict, or the number of an endpoint without one. ARGUMENTS are values by
position or name=value. The type of each parameter decides how a value is read: numbers and true/false as
such, lists and objects as JSON, text as it is. @PATH or @URL is a file, @@text is a text that begins with @.
After -- every word is a literal value.

\b
  gradio-transport call http://127.0.0.1:7860 /count 3
  gradio-transport call http://127.0.0.1:7860 /add a=1 b=-2.5 --raw
  echo '[1, 2]' | gradio-transport call http://127.0.0.1:7860 /add --json -
  gradio-transport call owner/name /describe @photo.png -o results

stdout has only the outputs, one a line: text as it is, anything else as JSON. In a terminal, text appears as
it grows. Status and the app's messages go to stderr. Ctrl-C cancels the call on the server.
"""


@click.command(cls=Arguments, help=_HELP)
@click.argument("source")
@click.argument("endpoint")
@click.argument("arguments", nargs=-1)
@click.option(
    "--json", "file", type=click.File("rb"), metavar="FILE",
    help="Take the arguments from FILE (- is stdin): a JSON list, or an object by name. To send files, add "
         "arguments such as name=@PATH.",
)  # fmt: skip
@output_option
@click.option("--raw", is_flag=True, help="Print the outputs as one JSON list.")
@click.option("--jsonl", is_flag=True, help="Print one JSON object for each event, as it arrives.")
@click.option("--event-data", metavar="JSON", help="Data of a page event, for gr.SelectData and similar.")
@connection_options
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
    options = CallOptions(event_data=_event_data(event_data), download_files=output)
    given = None if file is None else arguments_from_json(file.read())
    display = choose_view(current_terminal(), f"connecting to {shown_url(source)}", raw=raw, jsonl=jsonl)
    with display, connection.open(strip_mark(source)) as app:
        chosen = find_endpoint(app.config, strip_mark(endpoint))
        found = parse_arguments(chosen, arguments) if given is None else beside_json(chosen, given, arguments)
        check(app.config, chosen, *found)
        run(app, chosen, *found, options, display)


# Not the docstring: it would have to be a raw string for its backslash, which click would then print.
_PREDICT_HELP = """Call an endpoint with a JSON PAYLOAD and print a JSON list.

The list has the outputs. PAYLOAD is an object of values by name, or a list of values. A file in it is
{"path": "@photo.png"}, with a path or a URL, where the endpoint accepts a file.

\b
  gradio-transport predict http://127.0.0.1:7860 /add '{"a": 1, "b": 2}'
"""


@click.command(help=_PREDICT_HELP)
@click.argument("source")
@click.argument("endpoint")
@click.argument("payload")
@output_option
@connection_options
def predict(connection: Connection, *, source: str, endpoint: str, payload: str, output: str | None) -> None:
    """Run the command; its help is above."""
    given = arguments_from_json(payload.encode("utf-8", "surrogateescape"), "PAYLOAD")
    display = choose_view(current_terminal(), f"connecting to {shown_url(source)}", raw=True, jsonl=False)
    with display, connection.open(source) as app:
        chosen = find_endpoint(app.config, endpoint)
        found = with_files(chosen, *given, typed=True)
        check(app.config, chosen, *found)
        run(app, chosen, *found, CallOptions(download_files=output), display)


def _event_data(text: str | None) -> Any:
    try:
        return None if text is None else strict_json(text)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="'--event-data'") from error


def find_endpoint(config: AppConfig, name: str) -> Endpoint:
    """Return the endpoint of that name or number.

    Raises:
        Misuse: There is no such endpoint.
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
    display: View,
) -> None:
    """Make the call and show it. On an interrupt, cancel the call on the server."""
    began = time.monotonic()
    display.show_activity(f"calling {endpoint.display_name}")
    which = endpoint.fn_index if endpoint.name is None else endpoint.name
    try:
        running_call = app.submit(which, *positional, options=options, **keywords)
        with _cancel_if_running(running_call, display, began):
            for event in running_call:
                display.show_event(event, time.monotonic() - began)
            outputs = running_call.result()
    except GradioTransportError as error:
        display.show_failure(error, time.monotonic() - began)
        raise
    display.show_result(outputs)


@contextlib.contextmanager
def _cancel_if_running(running_call: Call, display: View, began: float) -> Generator[None, None, None]:
    """Cancel a running call on the server if the program ends early."""
    try:
        yield
    except KeyboardInterrupt:
        achieved = running_call.cancel()
        display.show_event(
            Cancelled(event_id=running_call.event_id, achieved=achieved), time.monotonic() - began
        )
        raise
    finally:
        # Not only Ctrl-C ends the program early: a closed pipe does too.
        if not running_call.done():
            running_call.cancel()
