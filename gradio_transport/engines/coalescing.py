# SPDX-License-Identifier: Apache-2.0
"""Joins the chunks of a body that one read of the connection returned, for engines over httpx.

The library yields every chunk by itself, and a busy server puts every message into a chunk of its own: one
read may return hundreds of them. Joining them calls the consumer, and so its locks and its decoder, once for
each read instead of once for each message.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any


class _ConsumerError(BaseException):
    """Carries an error of the consumer through the library's read.

    No `Exception`: the library, and the code above it, would take that for a failure of the connection.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


@contextmanager
def _replace_read(connection: Any, read: Any) -> Generator[None, None, None]:
    """Replace the read method of a connection; raise what `_ConsumerError` carries."""
    original: Any = connection.__dict__.get("read")
    connection.read = read
    try:
        yield
    except _ConsumerError as failure:
        raise failure.error from None
    finally:
        if original is None:
            del connection.read  # left in place, it would be a reference of the connection to itself
        else:
            connection.read = original


def coalesce(chunks: Iterable[bytes], connection: Any, take: Callable[[bytes], bool]) -> None:
    """Pass a body to a consumer, once for each read of the connection.

    Args:
        chunks: The body as the library yields it.
        connection: What the library reads from, a ``network_stream``. None, where a custom transport has
            none, passes every chunk by itself.
        take: The consumer. Returns whether it takes more.
    """
    if connection is None:
        for chunk in chunks:
            if not take(chunk):
                break
        return
    pending: list[bytes] = []
    read = connection.read

    def flush() -> None:
        if pending:
            data = b"".join(pending)
            pending.clear()
            try:
                take(data)  # a consumer that takes no more has shut the connection down: the next read ends
            except Exception as error:
                raise _ConsumerError(error) from error

    # No timer and no look at the socket: that all chunks of one read have been yielded shows only when the
    # library reads again. Flushing before that read delays no message by a wait.
    def flush_and_read(max_bytes: int, timeout: float | None = None) -> Any:
        flush()
        return read(max_bytes, timeout)

    with _replace_read(connection, flush_and_read):
        for chunk in chunks:
            pending.append(chunk)
        flush()


async def coalesce_async(
    chunks: AsyncIterable[bytes], connection: Any, take: Callable[[bytes], Awaitable[None]]
) -> None:
    """Pass a body to a consumer; see `coalesce`."""
    if connection is None:
        async for chunk in chunks:
            await take(chunk)
        return
    pending: list[bytes] = []
    read = connection.read

    async def flush() -> None:
        if pending:
            data = b"".join(pending)
            pending.clear()
            try:
                await take(data)
            except Exception as error:
                raise _ConsumerError(error) from error

    async def flush_and_read(max_bytes: int, timeout: float | None = None) -> Any:
        await flush()
        return await read(max_bytes, timeout)

    with _replace_read(connection, flush_and_read):
        async for chunk in chunks:
            pending.append(chunk)
        await flush()
