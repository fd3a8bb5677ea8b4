# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport record``."""

from __future__ import annotations

import click


@click.command()
@click.argument("source")
def record(*, source: str) -> None:
    """Record the traffic of any client with the app at SOURCE."""
    raise click.UsageError(f"{source}: not available yet.")
