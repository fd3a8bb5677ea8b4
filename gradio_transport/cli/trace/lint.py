# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace lint``."""

from __future__ import annotations

import click

from .files import trace_argument


@click.command()
@trace_argument
def lint(*, path: str) -> None:
    """Check traces for faults of the server and of this library."""
    raise click.UsageError(f"{path}: not available yet.")
