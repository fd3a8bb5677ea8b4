# SPDX-License-Identifier: Apache-2.0
"""The entry point. It imports only packages that are always installed, so that it can report missing ones."""

from __future__ import annotations

import importlib.util
import sys

NEEDED = ("click", "rich", "yaml", "pytest_httpserver", "simple_websocket", "trustme")
"""Modules of the extra ``[conformance]`` that the commands need."""


def main() -> None:
    """Run the command line.

    Raises:
        SystemExit: Always, with the exit status.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"gradio-transport-conformance: {' and '.join(missing)} cannot be imported. "
            "Install the missing packages: pip install 'gradio-transport[conformance]'\n"
        )
        sys.exit(2)
    from .app import commands

    commands(prog_name="gradio-transport-conformance")


__all__ = ["main"]
