# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace replay``."""

from __future__ import annotations

import click

from .files import trace_argument


@click.command()
@trace_argument
def replay(*, path: str) -> None:
    """Replay traces through the adapters, without a network."""
    raise click.UsageError(f"{path}: not available yet.")
