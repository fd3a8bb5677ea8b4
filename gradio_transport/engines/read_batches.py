# SPDX-License-Identifier: Apache-2.0
"""Hands on a body by what one read of its connection brought, for engines over httpx.

The library yields each chunk of a body by itself, and a busy server puts every message into a chunk of its
own: hundreds of them may have come at once.  Whether more has come already shows only when the library reads
from the connection again, so that is when what has gathered is handed on, before the wait.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any


class _Failed(BaseException):
    """Whoever took the body failed; no `Exception`, which would be taken for a fault of the connection."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


@contextmanager
def _reading_by(connection: Any, reading: Any) -> Generator[None, None, None]:
    """Have a connection read in another way meanwhile; what `_Failed` carries leaves the block."""
    before: Any = connection.__dict__.get("read")
    connection.read = reading
    try:
        yield
    except _Failed as failed:
        raise failed.error from None
    finally:
        if before is None:
            del connection.read  # left in place, it would be a reference of the connection to itself
        else:
            connection.read = before


def gather(chunks: Iterable[bytes], connection: Any, take: Callable[[bytes], bool]) -> None:
    """Hand a body on.

    Args:
        chunks: The body as the library yields it.
        connection: What the library reads from, a ``network_stream``; None (a transport of somebody's own):
            each chunk is handed on by itself.
        take: Called with what has come; says whether more is wanted.
    """
    if connection is None:
        for chunk in chunks:
            if not take(chunk):
                break
        return
    held: list[bytes] = []
    read = connection.read

    def hand_on() -> None:
        if held:
            data = b"".join(held)
            held.clear()
            try:
                take(data)  # where no more is wanted, the connection was shut down, and the read says so
            except Exception as error:
                raise _Failed(error) from error

    def reading(max_bytes: int, timeout: float | None = None) -> Any:
        hand_on()
        return read(max_bytes, timeout)

    with _reading_by(connection, reading):
        for chunk in chunks:
            held.append(chunk)
        hand_on()


async def gather_async(
    chunks: AsyncIterable[bytes], connection: Any, take: Callable[[bytes], Awaitable[None]]
) -> None:
    """Hand a body on; see `gather`."""
    if connection is None:
        async for chunk in chunks:
            await take(chunk)
        return
    held: list[bytes] = []
    read = connection.read

    async def hand_on() -> None:
        if held:
            data = b"".join(held)
            held.clear()
            try:
                await take(data)
            except Exception as error:
                raise _Failed(error) from error

    async def reading(max_bytes: int, timeout: float | None = None) -> Any:
        await hand_on()
        return await read(max_bytes, timeout)

    with _reading_by(connection, reading):
        async for chunk in chunks:
            held.append(chunk)
        await hand_on()
