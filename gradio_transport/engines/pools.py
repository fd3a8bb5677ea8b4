# SPDX-License-Identifier: Apache-2.0
"""The pools of connections of an engine over httpcore.

For each request, httpcore looks at every connection of a pool, and for each idle one at every other again.
Beside 1,000 open streams, or 100 idle connections, a request takes 20 ms of CPU. So an engine has several
small pools for the same hosts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

from ..protocol.addresses import AddressRule
from .routes import Route

POOL_CONNECTIONS = 40
"""The most connections of a pool. Most programs need only one pool: the async API sends 32 short requests at
once, beside the streams."""

PoolKey: TypeAlias = tuple[Route, bool, AddressRule]
"""The route to the hosts, whether connections serve several requests, and the address rule."""


@attrs.define(eq=False)
class Pool:
    """A pool of httpcore.

    Attributes:
        core: The pool itself.
        room: The most requests that it performs at once.
        requests: The number of its requests in progress, including open streams.
    """

    key: PoolKey
    core: Any
    room: int
    requests: int = 0


class Pools:
    """The pools of an engine. Not thread-safe: the sync engine locks.

    Args:
        connections: The most requests in progress. The engine waits before it exceeds them.
    """

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._pools: dict[PoolKey, list[Pool]] = {}

    def take(self, key: PoolKey, make: Callable[[int], Any]) -> Pool:
        """Return the first pool with room for another request, and count the request.

        Args:
            key: The key of the pool.
            make: Returns a new pool of httpcore with at most so many connections.
        """
        pools = self._pools.setdefault(key, [])
        for found in pools:
            if found.requests < found.room:
                break
        else:
            room = min(POOL_CONNECTIONS, self._connections - sum(pool.room for pool in pools))
            found = Pool(key, make(room), room)
            pools.append(found)
        found.requests += 1
        return found

    def release(self, used: Pool) -> Any | None:
        """End a request. Return the pool of httpcore if it must be closed now.

        That is a pool beside another one when its last request ends. Its idle connections would stay open,
        because httpcore closes them only when the pool is used again.
        """
        used.requests -= 1
        pools = self._pools.get(used.key, [])
        if used.requests or used not in pools or len(pools) == 1:
            return None
        pools.remove(used)
        return used.core

    def clear(self) -> list[Any]:
        """Forget all pools, and return those of httpcore to close."""
        pools, self._pools = self._pools, {}
        return [pool.core for many in pools.values() for pool in many]
