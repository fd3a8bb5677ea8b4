# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace page``."""

from __future__ import annotations

import click

from .files import trace_argument


@click.command()
@trace_argument
def page(*, path: str) -> None:
    """Write a trace as an HTML page."""
    raise click.UsageError(f"{path}: not available yet.")
