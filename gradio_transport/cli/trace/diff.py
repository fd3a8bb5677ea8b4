# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace diff``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ...trace import Difference, Layer, compare_traces
from ..terminal import current_terminal, write
from ..text import to_json
from .files import FINDINGS, read_each, title
from .report import count, print_group

_NAMES = {
    Layer.META: "Trace",
    Layer.CONFIG: "Config",
    Layer.REQUESTS: "Requests",
    Layer.MESSAGES: "Messages",
    Layer.VALUES: "Values",
}


@click.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as one JSON object.")
@click.option(
    "--only", type=click.Choice([layer.value for layer in Layer]), multiple=True,
    help="Compare only this layer. Repeatable.",
)  # fmt: skip
def diff(*, old: str, new: str, as_json: bool, only: tuple[str, ...]) -> None:
    """Compare two traces of the same calls.

    The differences are grouped by layer: metadata of the traces, the app's config, requests, messages, and
    values. The same change in many places is one line. Values that differ in every run (times, ids, ports,
    heartbeats) are ignored. Exits with 1 if there is a difference.

    \b
    Example:
      gradio-transport trace diff before.jsonl after.jsonl --only values
    """  # noqa: D301 - click reads the character
    terminal = current_terminal()
    before, after = read_each([old, new])
    layers = [layer for layer in Layer if not only or layer.value in only]
    found = [one for one in compare_traces(before, after) if one.layer in layers]
    if as_json:
        write(to_json(_document(old, new, found)) + "\n")
    else:
        said = count(len(found), "difference") if found else "no difference"
        terminal.print_line((f"{title(old)} → {title(new)}: {said}", "bold"), to=terminal.out)
        for layer in layers:
            lines = [((one.text, ""),) for one in found if one.layer is layer]
            print_group(terminal, _NAMES[layer], lines)
    if found:
        raise click.exceptions.Exit(FINDINGS)


def _document(old: str, new: str, found: Sequence[Difference]) -> dict[str, Any]:
    return {
        "old": old,
        "new": new,
        "differences": [
            {
                "layer": one.layer.value,
                "what": one.what,
                "count": one.count,
                "where": list(one.where),
                "keys": list(one.keys),
            }
            for one in found
        ],
    }
