# SPDX-License-Identifier: Apache-2.0
"""The group of commands."""

from __future__ import annotations

import logging

import click

from .compare import compare, page
from .run import run
from .schema import schema
from .serve import faults, serve
from .show import list_, show

EPILOG = """\b
Examples:
  gradio-transport-conformance run --client 'python driver.py' --versions 6.31.0
  gradio-transport-conformance run --adapter my_package:MyAdapter
  gradio-transport-conformance compare yesterday.json today.json
  gradio-transport-conformance serve 6.31.0 count
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gradio-transport", prog_name="gradio-transport-conformance")
def commands() -> None:
    """Grade a client or an adapter by recordings of real Gradio servers, and by faults."""
    # By default the host of recordings writes every request to standard error.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)


for command in (run, compare, page, serve, faults, list_, show, schema):
    commands.add_command(command)

__all__ = ["commands"]
