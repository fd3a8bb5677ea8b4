# SPDX-License-Identifier: Apache-2.0
"""The rows of a run, read one by one and on demand from any source."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, cast

import anyio
import anyio.from_thread
import attrs

from ..errors import LocalProtocolError, ValidationFailed
from ..files.inputs import InputFile

Rows: TypeAlias = Iterable[Any] | AsyncIterable[Any]
"""Mappings of values by parameter name, sequences of values by position, or a table of them."""

READ_AHEAD = 32
"""The most rows that are read ahead."""


def iterate(rows: Iterable[Any]) -> Iterator[Any]:
    """Return an iterator over rows. Rows of a table of Arrow, pandas or polars are mappings.

    Tables are recognized by their methods, so that none of these libraries is imported.
    """
    table = cast("Any", rows)
    if callable(getattr(rows, "to_batches", None)):  # a table or data set of Arrow
        return (row for batch in table.to_batches() for row in batch.to_pylist())
    if callable(getattr(rows, "iter_rows", None)):  # polars
        return iter(table.iter_rows(named=True))
    if callable(getattr(rows, "itertuples", None)):  # pandas
        names = [str(name) for name in table.columns]
        return (dict(zip(names, row, strict=True)) for row in table.itertuples(index=False, name=None))
    return _with_batches_opened(iter(rows))


def _with_batches_opened(items: Iterator[Any]) -> Iterator[Any]:
    for item in items:
        if callable(getattr(item, "to_pylist", None)):  # a batch of a reader of Arrow
            yield from item.to_pylist()
        else:
            yield item


def arguments(row: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return the arguments of a call from a row: by position, and by name.

    Raises:
        ValidationFailed: The row is neither a mapping with names as keys nor a sequence.
    """
    if type(row) is list or type(row) is tuple:  # checked first, because the two others take longer
        return cast("Sequence[Any]", row), {}
    if isinstance(row, Mapping):
        named = cast("Mapping[Any, Any]", row)
        if all(isinstance(name, str) for name in named):
            return (), named
    elif isinstance(row, Sequence) and not isinstance(row, str | bytes | bytearray):
        return cast("Sequence[Any]", row), {}
    raise ValidationFailed(
        "A row must be a mapping of values by parameter name, or a sequence of values by position; got "
        f"{_kind(cast('object', row))}. For a single parameter write [value]."
    )


def _kind(value: Any) -> str:
    return type(value).__name__


def digest(row: Any) -> str:
    """Return a digest by which a later run recognizes a row."""
    try:
        text = _encoder.encode(row)
    except (TypeError, ValueError):  # names that are not texts, or a row inside itself: it will be rejected
        text = type(row).__name__
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _describe(value: object) -> Any:
    if isinstance(value, InputFile):
        content = None if value.content is None else hashlib.blake2b(value.content).hexdigest()
        return [str(value.path), content, value.url, value.name]
    if isinstance(value, Mapping):
        return {str(key): item for key, item in cast("Mapping[Any, Any]", value).items()}
    # Why not repr: it may contain a memory address, and would differ from run to run.
    return [type(value).__name__, str(value) if type(value).__str__ is not object.__str__ else ""]


_encoder = json.JSONEncoder(sort_keys=True, default=_describe)


class RowSource(Protocol):
    """The source of the rows of a run."""

    def is_ready(self) -> bool:
        """Return whether `next` returns at once."""
        ...

    async def next(self) -> Any:
        """Return the next row, or `END`."""

    def close(self) -> None:
        """Stop reading."""


END = object()
"""The end marker after the last row."""


@attrs.define
class AsyncRows:
    """Rows of an async iterator."""

    _rows: AsyncIterator[Any]

    def is_ready(self) -> bool:
        """Return False: an async iterator does not report that."""
        return False

    async def next(self) -> Any:
        """Return the next row, or `END`."""
        return await anext(self._rows, END)

    def close(self) -> None:
        """Do nothing: the iterator belongs to the caller."""


@attrs.define
class ListedRows:
    """Rows in memory. Reading one cannot block."""

    _rows: Iterator[Any]

    def is_ready(self) -> bool:
        """Return True."""
        return True

    async def next(self) -> Any:
        """Return the next row, or `END`."""
        return next(self._rows, END)

    def close(self) -> None:
        """Do nothing."""


class ThreadedRows:
    """Rows of an iterator that may block, such as the lines of a pipe, read on a separate thread.

    Why not a worker thread of the event loop: a thread that waits for a pipe would block the program's exit.
    """

    def __init__(self, rows: Iterable[Any], portal: anyio.from_thread.BlockingPortal) -> None:
        self._rows = rows
        self._portal = portal
        self._ready: deque[Any] = deque()
        self._room = threading.Semaphore(READ_AHEAD)
        self._arrived = anyio.Event()
        self._waits = False
        self._taken = 0
        self._closed = False
        self._error: BaseException | None = None
        self._ended = False
        self._lock = threading.Lock()
        threading.Thread(target=self._read, name="gradio-transport rows", daemon=True).start()

    def is_ready(self) -> bool:
        """Return whether a row has been read."""
        return bool(self._ready)

    async def next(self) -> Any:
        """Return the next row, or `END`."""
        while True:
            with self._lock:
                if self._ready:
                    self._taken += 1
                    if self._taken == READ_AHEAD // 2:  # not for each row: that wakes the thread
                        self._room.release(self._taken)
                        self._taken = 0
                    return self._ready.popleft()
                if self._error is not None:
                    raise self._error
                if self._ended:
                    return END
                self._arrived, self._waits = anyio.Event(), True
            await self._arrived.wait()

    def close(self) -> None:
        """Stop reading. A thread that waits for a row ends after the row, or with the program."""
        self._closed = True
        self._room.release()

    def _read(self) -> None:
        try:
            for row in iterate(self._rows):
                self._room.acquire()
                if self._closed:
                    return
                self._put(row)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the run raises it
            self._error = error
        finally:
            self._put(None, last=True)

    def _put(self, row: Any, *, last: bool = False) -> None:
        with self._lock:
            if last:
                self._ended = True
            else:
                self._ready.append(row)
            wake, self._waits = self._waits, False
        if wake and not self._closed:
            try:
                self._portal.start_task_soon(self._wake)
            except RuntimeError:  # the run is over
                self._closed = True

    async def _wake(self) -> None:
        self._arrived.set()


def row_source(rows: Any, portal: anyio.from_thread.BlockingPortal) -> RowSource:
    """Return the source of the rows.

    Raises:
        LocalProtocolError: They cannot be iterated over, or are a text.
    """
    if isinstance(rows, AsyncIterable):
        return AsyncRows(aiter(cast("AsyncIterable[Any]", rows)))
    if isinstance(rows, list | tuple | range):
        return ListedRows(iter(cast("Sequence[Any]", rows)))
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise LocalProtocolError(
            "rows= takes an iterable of rows, such as a list, a generator or a table; got "
            f"{_kind(cast('object', rows))}."
        )
    return ThreadedRows(cast("Iterable[Any]", rows), portal)
