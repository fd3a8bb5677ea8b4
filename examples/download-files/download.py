# SPDX-License-Identifier: Apache-2.0
"""Call an endpoint once for each line of a file, and keep the files that it returns.

python download.py http://127.0.0.1:7860 /generate prompts.txt images
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gradio_transport import bulk


def files_in(value: Any) -> Iterator[Path]:
    """Yield the downloaded files of an output, wherever they stand in it."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from files_in(item)


def argument(line: str) -> Any:
    """Return a line as the value that it is in JSON, or else as the text that it is."""
    try:
        return json.loads(line)
    except ValueError:
        return line


def main() -> None:
    """Run the program; its exit status is 1 if a line has failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("app", help="URL, or owner/name of a Space")
    parser.add_argument("endpoint")
    parser.add_argument("lines", type=Path, help="a text file: one argument for each call on a line")
    parser.add_argument("directory", type=Path, help="files go into a folder for each line, by its number")
    given = parser.parse_args()
    rows = [[argument(line)] for line in given.lines.read_text(encoding="utf-8").splitlines()]
    failed = 0
    for outcome in bulk.map(given.app, given.endpoint, rows, files_to=given.directory, in_order=True):
        if outcome.values is None:
            failed += 1
            print(f"line {outcome.index + 1}: {outcome.error}", file=sys.stderr)
        for path in files_in(outcome.values):
            print(path)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
