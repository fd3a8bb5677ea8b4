# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace curl``."""

from __future__ import annotations

import click

from .files import trace_argument


@click.command()
@trace_argument
def curl(*, path: str) -> None:
    """Write the requests of a trace as a shell script."""
    raise click.UsageError(f"{path}: not available yet.")
