# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace redact``."""

from __future__ import annotations

import click

from .files import trace_argument


@click.command()
@trace_argument
def redact(*, path: str) -> None:
    """Take more out of a trace before sharing it."""
    raise click.UsageError(f"{path}: not available yet.")
