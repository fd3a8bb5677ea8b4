# SPDX-License-Identifier: Apache-2.0
"""``schema``: the JSON Schemas of the wire."""

from __future__ import annotations

import json

import click

from ..wire import messages


@click.command()
@click.argument("name", required=False)
@click.option(
    "--version",
    metavar="VERSION",
    help="Print only the fields of this Gradio version, such as 3.50.2. By default those of all versions.",
)
def schema(*, name: str | None, version: str | None) -> None:
    """Print the JSON Schema of the message NAME, or list the messages.

    A schema describes one message between a server and a client, such as join or process_completed. The list
    has the sender of each message, the Gradio versions that have it, and the request that carries it.
    """
    try:
        if name is None:
            _list(version)
            return
        found = messages.schema(name, version)
    except LookupError as error:
        raise click.UsageError(str(error.args[0])) from error
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


def _list(version: str | None) -> None:
    found = {name: messages.schema(name) for name in messages.names(version)}
    if not found:
        raise click.UsageError(f"No messages of Gradio {version} are known. The first version is 2.0.")
    width = max(map(len, found))
    for group, title in messages.GROUPS.items():
        members = [name for name, one in found.items() if one["x-group"] == group]
        if members:
            click.echo(f"{title}:")
        for name in members:
            one = found[name]
            versions = messages.version_range(one).ljust(15)
            click.echo(f"  {name.ljust(width)}  {one['x-from']}  {versions}  {one['x-place']}")


__all__ = ["schema"]
