# SPDX-License-Identifier: Apache-2.0
"""``python -m gradio_transport.client program.py [arguments]``: run a program written for gradio_client.

In the program ``import gradio_client`` imports this client; see `gradio_transport.client.install`. With
``-m`` name the program as a module.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from . import install

USAGE = "usage: python -m gradio_transport.client (program.py | -m module) [arguments]"


def main(words: Sequence[str] | None = None) -> None:
    """Run the program of a command line as ``__main__``.

    Args:
        words: The arguments after the name of this module; by default those of this process.

    Raises:
        SystemExit: The command line names no program.
    """
    given = list(sys.argv[1:] if words is None else words)
    as_module = given[:1] == ["-m"]
    program, arguments = given[as_module : as_module + 1], given[as_module + 1 :]
    if not program or program[0].startswith("-"):
        raise SystemExit(USAGE)
    sys.argv = [*program, *arguments]
    # As `python program.py` does. For a module, the current directory is already first.
    if not as_module and not sys.flags.safe_path:
        sys.path[0] = str(Path(program[0]).resolve().parent)
    with install():
        if as_module:
            runpy.run_module(program[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(program[0], run_name="__main__")


if __name__ == "__main__":
    main()
