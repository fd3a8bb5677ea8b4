# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport doctor``."""

from __future__ import annotations

import click


@click.command()
@click.argument("source")
def doctor(*, source: str) -> None:
    """Find out why the app at SOURCE cannot be called."""
    raise click.UsageError(f"{source}: not available yet.")
