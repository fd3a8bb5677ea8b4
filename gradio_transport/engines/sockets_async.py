# SPDX-License-Identifier: Apache-2.0
"""Connections of the async engine: an ``AsyncNetworkBackend`` of httpcore for asyncio, trio and the like."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from . import sockets_anyio, sockets_asyncio
from .bounds import BrokenError, Wait
from .open_connections import OpenConnections
from .stream_async import AsyncStream


class AsyncSocketBackend:
    """A backend that opens the connections of an engine."""

    def __init__(self, write_error: type[Exception], connections: OpenConnections | None = None) -> None:
        self._write_error = write_error
        self._connections = connections

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncStream:
        """Return a connection to a host.

        Raises:
            LateError: There was no connection in time, over all addresses of the host.
            BrokenError: The host is not known, or none of its addresses can be connected to.
        """
        if not isinstance(timeout, Wait):
            raise TypeError("timeout= must be the Wait of a request")
        bounds = timeout.bounds
        bounds.begin_connecting()
        connect = sockets_asyncio.connect if _is_asyncio() else sockets_anyio.connect
        try:
            stream = await connect(host, port, bounds, self._write_error)
        except OSError as error:
            raise BrokenError(error) from error
        if self._connections is not None:
            self._connections.add(host, port, stream, AsyncStream.open_socket)
        return stream


def _is_asyncio() -> bool:
    """Return whether an asyncio task runs this. In trio's guest mode the asyncio loop runs, but no task."""
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False
