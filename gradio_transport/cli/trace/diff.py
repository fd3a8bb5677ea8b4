# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace diff``."""

from __future__ import annotations

import click


@click.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
def diff(*, old: str, new: str) -> None:
    """Compare two traces of the same calls."""
    raise click.UsageError(f"{old}, {new}: not available yet.")
