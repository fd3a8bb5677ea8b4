# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport list``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from ..app.config import Endpoint, Parameter
from ..errors import UnsupportedProtocol
from ..errors import one_line as on_one_line
from ..sync import Transport
from .options import Connection, connection_options
from .terminal import Terminal, current_terminal, shown, stack, write
from .text import one_line, to_json

LONGEST_TYPE = 48
"""Characters of a type in a line. ``--json`` prints it whole, with the schema."""

LONGEST_DEFAULT = 40
LONGEST_NAME = 40

SHOWN_ENDPOINTS = 500
SHOWN_VALUES = 50
"""Endpoints of the table, and parameters or returns of each of them. In a pipe all are listed."""


@click.command(name="list")
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="Print all details as one JSON object.")
@click.option(
    "--all", "everything", is_flag=True,
    help="Also list undocumented endpoints, and private ones, which cannot be called.",
)  # fmt: skip
@connection_options
def list_endpoints(connection: Connection, *, source: str, as_json: bool, everything: bool) -> None:
    """List the public endpoints of the app at SOURCE.

    It shows parameters, types, defaults and returns. In a pipe each endpoint is one line: name(parameter:
    type = default) -> returns [remarks].
    """
    terminal = current_terminal()
    with connection.open(source) as app:
        private = [one for one in app.config.endpoints if one.backend_fn and one.visibility == "private"]
        known = [*app.config.callable, *private]
        endpoints = known if everything else app.config.documented
        if as_json:
            write(to_json(_document(app, endpoints), indent=2) + "\n")
        elif terminal.shows_data:
            _print_table(terminal, app, endpoints)
        else:
            write("".join(line + "\n" for line in (_title(app), *map(_signature_line, endpoints))))
        if len(endpoints) < len(known):
            terminal.print_line((_hidden_line(known), "dim"))


def _hidden_line(known: Sequence[Endpoint]) -> str:
    """Return a line that counts the endpoints that are not listed."""
    counts = Counter(endpoint.visibility for endpoint in known)
    kinds = [f"{counts[kind]} {kind}" for kind in ("undocumented", "private") if counts[kind]]
    return f"Not listed: {' and '.join(kinds)} (--all lists them)."


def _title(app: Transport) -> str:
    """Return the title: URL, Gradio version if it is one, protocol and the app's title."""
    parts = [app.url, _version(app), _protocol(app), app.config.title]
    return on_one_line(" · ".join(part for part in parts if part))


def _version(app: Transport) -> str:
    """Return the Gradio version; an empty string for a server that is not a Gradio app."""
    if not app.config.release:
        return ""
    if app.config.version:
        return f"Gradio {app.config.version}"
    return f"Gradio {'.'.join(map(str, app.config.release))} or similar (the server does not report it)"


def _protocol(app: Transport) -> str:
    try:
        return f"protocol {app.protocol}"
    except UnsupportedProtocol:
        return f"protocol {app.config.protocol}, for which no adapter is installed"


def _type(parameter: Parameter, width: int = LONGEST_TYPE) -> str:
    # For "any JSON" servers list every JSON type.
    return one_line(parameter.python_type if parameter.schema else "Any", width)


def _label(parameter: Parameter) -> str:
    """Return the label of a parameter whose keyword is only a number (servers before 4.23)."""
    unnamed = parameter.is_numbered and not parameter.alias
    return f" ({one_line(parameter.label, LONGEST_DEFAULT)})" if unnamed and parameter.label else ""


def _default(parameter: Parameter) -> str:
    if not parameter.has_default:
        return ""
    return f" = {one_line(to_json(parameter.default), LONGEST_DEFAULT)}"


def _remarks(endpoint: Endpoint) -> list[str]:
    """Return the unusual properties of an endpoint."""
    remarks = {
        f"fn_index {endpoint.fn_index}": endpoint.name is not None,
        endpoint.visibility: endpoint.visibility != "public",
        "streams": endpoint.generator is True,
        "streaming input": endpoint.connection == "stream",
        "no queue": not endpoint.queue,
        "batch": endpoint.batch,
    }
    return [remark for remark, holds in remarks.items() if holds]


# --- a line for each, in a pipe ----------------------------------------------------------------------


def _signature_line(endpoint: Endpoint) -> str:
    parameters = ", ".join(
        f"{parameter.keyword}: {_type(parameter)}{_default(parameter)}{_label(parameter)}"
        for parameter in endpoint.parameters
    )
    returns = ", ".join(f"{_label_prefix(output)}{_type(output)}" for output in endpoint.returns) or "nothing"
    remarks = _remarks(endpoint)
    marks = f"  [{', '.join(remarks)}]" if remarks else ""
    return on_one_line(f"{endpoint.display_name}({parameters}) -> {returns}{marks}")


def _label_prefix(parameter: Parameter) -> str:
    return f"{one_line(parameter.label, LONGEST_DEFAULT)}: " if parameter.label else ""


# --- a table, in a terminal --------------------------------------------------------------------------


def _print_table(terminal: Terminal, app: Transport, endpoints: Sequence[Endpoint]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold", show_edge=False)
    table.add_column("Endpoint", no_wrap=True)  # wrapped, it could look like a line of this program
    table.add_column("Parameters", overflow="fold", ratio=3)
    table.add_column("Returns", overflow="fold", ratio=2)
    longest = max(LONGEST_TYPE * terminal.out.width // 160, 16)
    for endpoint in endpoints[:SHOWN_ENDPOINTS]:
        table.add_row(_name(endpoint), _signature(endpoint, longest), _return_types(endpoint, longest))
    terminal.print_line((_title(app), "bold"), to=terminal.out)
    terminal.out.print()
    terminal.out.print(table)
    if len(endpoints) > SHOWN_ENDPOINTS:
        more = f"and {len(endpoints) - SHOWN_ENDPOINTS:,} more (--json, or a pipe, has all)"
        terminal.out.print(shown((more, "dim")))


def _name(endpoint: Endpoint) -> Text:
    remarks = [remark for remark in _remarks(endpoint) if not remark.startswith("fn_index")]
    style = "dim" if endpoint.visibility == "private" else "cyan"
    name = shown((one_line(endpoint.display_name, LONGEST_NAME), style))
    return stack([name, shown((f"  {', '.join(remarks)}", "dim"))]) if remarks else name


def _signature(endpoint: Endpoint, longest: int) -> Text:
    lines = [
        shown(
            (f"{one_line(parameter.keyword, LONGEST_NAME)}: ", ""),
            (_type(parameter, longest), "green"),
            (_default(parameter), "yellow"),
            (_label(parameter), "dim"),
        )
        for parameter in endpoint.parameters[:SHOWN_VALUES]
    ]
    return _values(lines, len(endpoint.parameters)) if lines else shown(("none", "dim"))


def _return_types(endpoint: Endpoint, longest: int) -> Text:
    lines = [
        shown((_label_prefix(output), "dim"), (_type(output), "green"))
        for output in endpoint.returns[:SHOWN_VALUES]
    ]
    return _values(lines, len(endpoint.returns)) if lines else shown(("nothing", "dim"))


def _values(lines: list[Text], count: int) -> Text:
    """Return the lines of a cell, and the number of values left out."""
    more = count - len(lines)
    return stack([*lines, shown((f"and {more:,} more", "dim"))] if more else lines)


# --- JSON --------------------------------------------------------------------------------------------


def _document(app: Transport, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    config = app.config
    return {
        "url": app.url,
        "version": config.version or None,
        "protocol": config.protocol,
        "title": config.title or None,
        "space_id": config.space_id,
        "endpoints": [_endpoint(endpoint) for endpoint in endpoints],
    }


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "fn_index": endpoint.fn_index,
        "visibility": endpoint.visibility,
        "description": endpoint.description,
        "queue": endpoint.queue,
        "generator": endpoint.generator,
        "batch": endpoint.batch,
        "connection": endpoint.connection,
        "parameters": [_parameter(parameter) | _requirement(parameter) for parameter in endpoint.parameters],
        "returns": [_parameter(output) for output in endpoint.returns],
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "label": parameter.label,
        "type": parameter.python_type,
        "component": parameter.component,
        "description": parameter.description,
        "schema": parameter.schema,
    }


def _requirement(parameter: Parameter) -> dict[str, Any]:
    if not parameter.has_default:
        return {"required": True}
    return {"required": False, "default": parameter.default}
