# SPDX-License-Identifier: Apache-2.0
"""The input rows and output files of ``map``: JSON lines, CSV, Parquet."""

from __future__ import annotations

import contextlib
import csv
import importlib
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

import click

from ..app.config import Endpoint
from ..bulk import Outcome
from .coerce import CoercionError, coerce, strict_json
from .failures import FileProblem, Misuse
from .text import error_object, to_json

STDIO = "-"
"""The name of stdin and stdout."""

BATCH_ROWS = 1024
"""Rows of a Parquet file that are written together."""

Emit: TypeAlias = Callable[[Outcome], None]


def count_rows(path: str) -> int | None:
    """Return the number of rows of a file if it is cheap to count; None for a pipe."""
    if path == STDIO or not Path(path).is_file():
        return None
    if path.lower().endswith(".parquet"):
        return int(_parquet().ParquetFile(path).metadata.num_rows)
    with open(path, "rb") as file:
        lines = sum(1 for line in file if line.strip())
    return max(lines - 1, 0) if path.lower().endswith(".csv") else lines


def read_rows(path: str, endpoint: Endpoint) -> Iterator[Any]:
    """Return the rows of a file, one by one.

    Raises:
        FileProblem: The file cannot be read, or a row is invalid.
    """
    if path.lower().endswith(".parquet"):
        return _read_parquet(path)
    if path != STDIO:
        open_text(path, "r").close()  # checked now, and opened when the first row is requested
    return _read_csv(path, endpoint) if path.lower().endswith(".csv") else _read_json_lines(path)


def open_input(path: str) -> IO[str]:
    """Open a file to read, or return stdin.

    Raises:
        FileProblem: It cannot be opened.
    """
    return cast("IO[str]", sys.stdin) if path == STDIO else open_text(path, "r")


def open_text(path: str, mode: str) -> IO[str]:
    """Open a file as text whose line ends stay as they are.

    Raises:
        FileProblem: It cannot be opened.
    """
    try:
        return cast("IO[str]", open(path, mode, encoding="utf-8", newline=""))
    except OSError as error:
        raise FileProblem(path, error.strerror or str(error)) from error


def _read_json_lines(path: str) -> Iterator[Any]:
    with open_input(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                value = strict_json(line)
            except ValueError as error:
                raise FileProblem(path, f"line {number} is not JSON: {error}") from error
            if not isinstance(value, dict | list):
                raise FileProblem(path, f"line {number} is neither an object nor a list")
            yield value


def _read_csv(path: str, endpoint: Endpoint) -> Iterator[Any]:
    """Read rows by the column names, with values of the parameters' types."""
    known = endpoint.by_keyword
    with open_input(path) as file:
        reader = csv.DictReader(file, strict=True)
        try:
            for row in reader:
                yield {
                    name: coerce(text or "", known[name].schema) if name in known else text
                    for name, text in row.items()
                    if name is not None  # cells beyond the last column
                }
        except CoercionError as error:
            raise FileProblem(path, f"line {reader.line_num}: {error}") from error
        except (csv.Error, UnicodeDecodeError) as error:
            raise FileProblem(path, f"line {reader.line_num} is not CSV: {error}") from error


def _parquet() -> Any:
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise click.UsageError(
            "Parquet files need the extra 'arrow': pip install 'gradio-transport[arrow]'."
        ) from None


def _read_parquet(path: str) -> Iterator[Any]:
    parquet = _parquet()
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                yield from batch.to_pylist()
    except (OSError, ValueError) as error:
        raise FileProblem(path, str(error)) from error


def outcome_object(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome for a JSON line."""
    fields: dict[str, Any] = {"index": outcome.index, "state": outcome.state, "row": outcome.row}
    if outcome.error is None:
        fields["values"] = outcome.values
    else:
        fields["error"] = error_object(outcome.error)
    return fields | {
        "attempts": outcome.attempts,
        "elapsed": round(outcome.elapsed, 3),
        "may_have_run": outcome.may_have_run,
        "source": outcome.source,
    }


@contextlib.contextmanager
def writer(path: str) -> Generator[Emit, None, None]:
    """Write outcomes to a file, or to stdout.

    Raises:
        FileProblem: It cannot be written.
    """
    if path.lower().endswith(".parquet"):
        with _parquet_writer(path) as emit:
            yield emit
        return
    file = sys.stdout if path == STDIO else open_text(path, "w")
    try:
        yield lambda outcome: write_line(file, outcome_object(outcome))
    finally:
        if file is not sys.stdout:
            file.close()


def write_line(file: IO[str], found: Mapping[str, Any]) -> None:
    """Write an object as a line of JSON, and flush it to the file."""
    file.write(to_json(found) + "\n")
    file.flush()


@contextlib.contextmanager
def _parquet_writer(path: str) -> Generator[Emit, None, None]:
    """Write rows, values and errors as JSON texts, because their types differ from row to row."""
    parquet = _parquet()
    arrow: Any = importlib.import_module("pyarrow")
    schema = arrow.schema(
        {
            "index": arrow.int64(), "state": arrow.string(), "row": arrow.string(), "values": arrow.string(),
            "error": arrow.string(), "attempts": arrow.int32(), "elapsed": arrow.float64(),
            "may_have_run": arrow.bool_(), "source": arrow.string(),
        }
    )  # fmt: skip
    waiting: list[Mapping[str, Any]] = []
    try:
        file = parquet.ParquetWriter(path, schema)
    except OSError as error:
        raise FileProblem(path, error.strerror or str(error)) from error

    def flush() -> None:
        if waiting:
            file.write_table(arrow.Table.from_pylist(waiting, schema=schema))
            waiting.clear()

    def emit(outcome: Outcome) -> None:
        found = outcome_object(outcome)
        texts = {name: to_json(found[name]) for name in ("row", "values", "error") if name in found}
        waiting.append(found | texts)
        if len(waiting) >= BATCH_ROWS:
            flush()

    try:
        yield emit
        flush()
    finally:
        file.close()


def check_columns(names: Iterable[str], endpoint: Endpoint) -> None:
    """Reject ``--file`` for a name that is not a parameter.

    Raises:
        Misuse: There is no such parameter.
    """
    for name in names:
        if name not in endpoint.by_keyword:
            raise Misuse(
                f"--file {name}: {endpoint.display_name} has no such parameter. "
                f"Signature: {endpoint.short_signature}."
            )
