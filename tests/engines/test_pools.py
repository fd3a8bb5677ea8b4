# SPDX-License-Identifier: Apache-2.0
"""The pools of an engine: how many there are, which one a request gets, and which ones are closed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from scripted import Scripted, scripted

from gradio_transport.engines.base import Patience
from gradio_transport.engines.httpcore_async import AsyncHTTPEngine
from gradio_transport.engines.httpcore_sync import HTTPEngine
from gradio_transport.engines.pools import POOL_CONNECTIONS, PoolKey, Pools
from gradio_transport.engines.routes import Route
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.errors import Phase, TimeoutExpired
from gradio_transport.protocol.addresses import AddressRule
from gradio_transport.protocol.commands import Request

KEY: PoolKey = (Route("http", None), True, AddressRule.ANY)
OTHER: PoolKey = (Route("http", None), False, AddressRule.ANY)


def pools(connections: int = 1000) -> tuple[Pools, list[int]]:
    """Return pools whose parts of httpcore are numbers, and the room that each was made with."""
    return Pools(connections), []


def take(made: tuple[Pools, list[int]], key: PoolKey = KEY) -> Any:
    def make(room: int) -> int:
        made[1].append(room)
        return len(made[1])

    return made[0].take(key, make)


def test_requests_share_a_pool_until_it_is_full() -> None:
    made = pools()
    first = [take(made) for _ in range(POOL_CONNECTIONS)]
    assert {pool.core for pool in first} == {1}
    assert take(made).core == 2
    made[0].release(first[0])
    assert take(made).core == 1
    assert made[1] == [POOL_CONNECTIONS] * 2


def test_the_pools_together_have_no_more_room_than_the_limit() -> None:
    made = pools(POOL_CONNECTIONS + 3)
    for _ in range(POOL_CONNECTIONS + 3):
        take(made)
    assert made[1] == [POOL_CONNECTIONS, 3]


def test_requests_of_other_kinds_have_pools_of_their_own() -> None:
    made = pools()
    assert take(made).core == 1
    assert take(made, OTHER).core == 2
    assert take(made).core == 1


def test_an_unused_pool_is_closed_unless_it_is_the_only_one() -> None:
    made = pools()
    first = [take(made) for _ in range(POOL_CONNECTIONS)]
    second = take(made)
    assert [made[0].release(pool) for pool in first[1:]] == [None] * (POOL_CONNECTIONS - 1)
    assert made[0].release(second) == 2
    assert made[0].release(first[0]) is None
    assert take(made).core == 1


def test_a_request_that_ends_after_the_engine_closes_nothing_again() -> None:
    made = pools()
    for _ in range(POOL_CONNECTIONS):
        take(made)
    last = take(made)
    assert made[0].clear() == [1, 2]
    assert made[0].release(last) is None
    assert made[0].clear() == []


# --- the engines ---------------------------------------------------------------------------------------

STREAMS = POOL_CONNECTIONS + 5


def patience(seconds: float = 10.0) -> Patience:
    return Patience(connect=seconds, silence=seconds, setting="idle", phase=Phase.STREAM, max_bytes=1000)


@pytest.fixture
def server() -> Iterator[Scripted]:
    def hold(reply: Any) -> None:
        reply.stream()
        reply.hold()

    with scripted() as running:
        running.scripts["/stream"] = hold
        running.scripts["/short"] = lambda reply: reply.json("x")
        yield running


class Sync:
    """A sync engine with the methods of an async one."""

    def __init__(self, settings: HTTPSettings) -> None:
        self.engine = HTTPEngine(settings)

    async def request(self, *arguments: Any) -> Any:
        return self.engine.request(*arguments)

    async def stream(self, *arguments: Any) -> Any:
        return self.engine.stream(*arguments)

    async def end(self, stream: Any) -> None:
        stream.close()
        stream.close()

    async def aclose(self) -> None:
        self.engine.close()


class Async(AsyncHTTPEngine):
    """An async engine that is its own `engine`."""

    @property
    def engine(self) -> Any:
        return self

    async def end(self, stream: Any) -> None:
        await stream.aclose()
        await stream.aclose()


def sizes(engine: Any) -> list[int]:
    """Return how many connections each pool has."""
    return [len(pool.core.connections) for many in engine.engine._pools._pools.values() for pool in many]


@pytest.mark.parametrize("kind", [Sync, Async])
def test_a_request_beside_many_streams_looks_at_few_connections(server: Scripted, kind: Any) -> None:
    async def main() -> None:
        engine = kind(HTTPSettings())
        streams = [
            await engine.stream(Request.get(f"{server.url}/stream"), patience()) for _ in range(STREAMS)
        ]
        assert sizes(engine) == [POOL_CONNECTIONS, 5]
        for _ in range(3):
            assert (await engine.request(Request.get(f"{server.url}/short"), patience())).status == 200
        assert sizes(engine) == [POOL_CONNECTIONS, 6]
        for stream in streams:
            await engine.end(stream)
        assert len(sizes(engine)) == 1
        await engine.aclose()
        assert sizes(engine) == []

    anyio.run(main)


@pytest.mark.parametrize("kind", [Sync, Async])
def test_a_request_waits_for_a_connection_within_its_time(server: Scripted, kind: Any) -> None:
    async def main() -> None:
        engine = kind(HTTPSettings(connections=1))
        stream = await engine.stream(Request.get(f"{server.url}/stream"), patience())
        for _ in range(2):
            with pytest.raises(TimeoutExpired, match="connection"):
                await engine.request(Request.get(f"{server.url}/short"), patience(0.2))
        await engine.end(stream)
        for _ in range(3):
            assert (await engine.request(Request.get(f"{server.url}/short"), patience())).status == 200
        await engine.aclose()

    anyio.run(main)


@pytest.mark.parametrize("kind", [Sync, Async])
def test_a_request_that_fails_gives_its_connection_back(server: Scripted, kind: Any) -> None:
    async def main() -> None:
        engine = kind(HTTPSettings(connections=1))
        for _ in range(3):
            with pytest.raises(Exception, match="connect"):
                await engine.request(Request.get("http://127.0.0.1:9/"), patience())
        assert (await engine.request(Request.get(f"{server.url}/short"), patience())).status == 200
        await engine.aclose()

    anyio.run(main)
