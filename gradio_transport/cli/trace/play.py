# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace play``."""

from __future__ import annotations

import click

from .files import trace_argument


@click.command()
@trace_argument
def play(*, path: str) -> None:
    """Serve a trace to any client."""
    raise click.UsageError(f"{path}: not available yet.")
