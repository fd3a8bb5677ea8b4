# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace rerun``."""

from __future__ import annotations

import click

from .files import trace_argument


@click.command()
@trace_argument
def rerun(*, path: str) -> None:
    """Repeat the calls of a trace on another server, and compare."""
    raise click.UsageError(f"{path}: not available yet.")
