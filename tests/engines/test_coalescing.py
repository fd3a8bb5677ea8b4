# SPDX-License-Identifier: Apache-2.0
"""What one read of a connection brought is handed on at once, before the next read waits."""

from __future__ import annotations

import pytest

from gradio_transport.engines.coalescing import coalesce, coalesce_async


class Connection:
    """A connection whose reads bring several chunks each."""

    def __init__(self, *reads: list[bytes]) -> None:
        self.reads = list(reads)
        self.log: list[object] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> list[bytes]:
        self.log.append("read")
        return self.reads.pop(0) if self.reads else []

    def chunks(self):
        while got := self.read(65536, 1.0):
            yield from got


class AsyncConnection(Connection):
    async def read(self, max_bytes: int, timeout: float | None = None) -> list[bytes]:  # type: ignore[override]
        return super().read(max_bytes, timeout)

    async def chunks(self):
        while got := await self.read(65536, 1.0):
            for chunk in got:
                yield chunk


READS = ([b"a", b"b"], [b"c"], [b"d", b"e"])
HANDED_ON = ["read", b"ab", "read", b"c", "read", b"de", "read"]


def gathered(connection: Connection, given: object) -> None:
    coalesce(connection.chunks(), given, lambda data: connection.log.append(data) is None)


async def gathered_async(connection: AsyncConnection, given: object) -> None:
    async def take(data: bytes) -> None:
        connection.log.append(data)

    await coalesce_async(connection.chunks(), given, take)


def test_all_that_a_read_brought_is_handed_on_before_the_next():
    connection = Connection(*READS)
    gathered(connection, connection)
    assert connection.log == HANDED_ON


@pytest.mark.anyio
async def test_all_that_a_read_brought_is_handed_on_before_the_next_for_tasks():
    connection = AsyncConnection(*READS)
    await gathered_async(connection, connection)
    assert connection.log == HANDED_ON


def test_a_transport_that_shows_no_connection_hands_on_each_chunk_until_no_more_is_wanted():
    connection = Connection(*READS)
    taken: list[bytes] = []

    def take(data: bytes) -> bool:
        taken.append(data)
        return len(taken) < 2

    coalesce(connection.chunks(), None, take)
    assert taken == [b"a", b"b"]


@pytest.mark.anyio
async def test_a_transport_that_shows_no_connection_hands_on_each_chunk_for_tasks():
    connection = AsyncConnection(*READS)
    await gathered_async(connection, None)
    assert connection.log == ["read", b"a", b"b", "read", b"c", "read", b"d", b"e", "read"]


def library(chunks):
    """Yield what a library does, which takes some exceptions for faults of the connection."""
    try:
        yield from chunks
    except RuntimeError:
        raise OSError("the connection broke") from None


async def library_async(chunks):
    try:
        async for chunk in chunks:
            yield chunk
    except RuntimeError:
        raise OSError("the connection broke") from None


def test_a_fault_of_who_takes_is_none_of_the_connection():
    connection = Connection(*READS)

    def take(data: bytes) -> bool:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        coalesce(library(connection.chunks()), connection, take)


@pytest.mark.anyio
async def test_a_fault_of_who_takes_is_none_of_the_connection_for_tasks():
    connection = AsyncConnection(*READS)

    async def take(data: bytes) -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        await coalesce_async(library_async(connection.chunks()), connection, take)
