# SPDX-License-Identifier: Apache-2.0
"""The sources of ``survey`` from a file: lines of text or JSON, or CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from .coerce import strict_json
from .failures import FileProblem
from .rows import STDIO, open_input

COLUMN = "source"
"""The key or column of the source in JSON or CSV, as in the results of a survey."""

_BYTE_ORDER_MARK = "\ufeff"


def read_sources(path: str) -> Iterator[str]:
    """Yield the lines of a file, one by one, including comments.

    If a line is a JSON object or string, the source in it is yielded.

    Raises:
        FileProblem: The file cannot be read, or a line is invalid.
    """
    with open_input(path) as file:
        try:
            yield from _read_csv(path, file) if path.lower().endswith(".csv") else _read_lines(path, file)
        except UnicodeDecodeError as error:
            raise FileProblem(path, f"it is not UTF-8 text: {error}") from error


def _read_lines(path: str, file: IO[str]) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        text = line.removeprefix(_BYTE_ORDER_MARK).strip() if number == 1 else line.strip()
        yield _of_json(path, number, text) if text.startswith(("{", '"')) else text


def _of_json(path: str, number: int, text: str) -> str:
    try:
        found = strict_json(text)
    except ValueError as error:
        raise FileProblem(path, f"line {number} is not JSON: {error}") from error
    source = cast("dict[str, Any]", found).get(COLUMN) if isinstance(found, dict) else found
    if not isinstance(source, str):
        raise FileProblem(path, f"line {number} has no string {COLUMN!r}")
    return source


def _read_csv(path: str, file: IO[str]) -> Iterator[str]:
    reader = csv.DictReader(file, strict=True)
    try:
        names = [name.removeprefix(_BYTE_ORDER_MARK) for name in reader.fieldnames or ()]
        if COLUMN not in names:
            raise FileProblem(path, f"it has no column {COLUMN!r}")
        reader.fieldnames = names
        for row in reader:
            yield row[COLUMN] or ""
    except csv.Error as error:
        raise FileProblem(path, f"line {reader.line_num} is not CSV: {error}") from error


def is_same_file(path: str, other: str | None) -> bool:
    """Return whether two names are of the same existing file."""
    if other is None or STDIO in (path, other) or not Path(other).exists():
        return False
    return Path(path).samefile(other)
