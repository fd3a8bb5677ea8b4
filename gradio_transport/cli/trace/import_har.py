# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace import``."""

from __future__ import annotations

import click


@click.command(name="import")
@click.argument("path", metavar="HAR")
def import_har(*, path: str) -> None:
    """Write a HAR file of a browser as a trace."""
    raise click.UsageError(f"{path}: not available yet.")
