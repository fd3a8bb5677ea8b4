# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace har``."""

from __future__ import annotations

import click

from .files import trace_argument


@click.command()
@trace_argument
def har(*, path: str) -> None:
    """Write a trace as a HAR file."""
    raise click.UsageError(f"{path}: not available yet.")
