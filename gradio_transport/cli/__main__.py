# SPDX-License-Identifier: Apache-2.0
"""The entry point. It imports no optional package, so it can report the missing ones."""

from __future__ import annotations

import importlib.util
import sys

NEEDED = ("click", "rich")


def main() -> None:
    """Run the command line.

    Raises:
        SystemExit: Always, with the exit status.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"gradio-transport: the command line needs {' and '.join(missing)}. "
            "Install them with: pip install 'gradio-transport[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    from .app import run

    run()


if __name__ == "__main__":
    main()
