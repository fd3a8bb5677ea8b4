# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace show``."""

from __future__ import annotations

import click

from .files import trace_argument


@click.command()
@trace_argument
def show(*, path: str) -> None:
    """Show the calls of a trace, with their events, requests and times."""
    raise click.UsageError(f"{path}: not available yet.")
