# SPDX-License-Identifier: Apache-2.0
"""Connections over asyncio's transports. They take half the CPU of anyio's, which bounds reads by scopes."""

from __future__ import annotations

import asyncio
import math
import socket
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio.lowlevel

from .bounds import Bounds, LateError, Stage
from .cancel_checks import cancel_checks
from .connecting import NEXT_ADDRESS_SECONDS, Address, choose_addresses
from .layers import is_ready
from .stream_async import AsyncStream
from .stream_state import BODY_BYTES, SEND_BYTES

BUFFER_BYTES = 256 * 1024
"""Received bytes above which the transport pauses reading until some are consumed."""


async def connect(host: str, port: int, bounds: Bounds, write_error: type[Exception]) -> AsyncioStream:
    """Return a connection to a host.

    Raises:
        OSError: No address could be connected to, or none is allowed.
        LateError: There was no connection in time.
    """
    loop = asyncio.get_running_loop()
    async with _limit(bounds):
        sock = await _race(loop, choose_addresses(await _resolve(loop, host, port), bounds.addresses))
        try:
            _, stream = await loop.create_connection(lambda: AsyncioStream(bounds, write_error), sock=sock)
        except BaseException:
            sock.close()
            raise
    return stream


@asynccontextmanager
async def _limit(bounds: Bounds) -> AsyncGenerator[None, None]:
    seconds = bounds.seconds_left()
    scope = asyncio.timeout(None if seconds == math.inf else seconds)
    try:
        async with scope:
            yield
    except TimeoutError:
        if scope.expired():  # not the one of a connection that the system abandoned
            raise LateError from None
        raise


async def _resolve(loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[Address]:
    try:  # an address needs no thread for a look-up
        return cast(
            "list[Address]",
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST),
        )
    except socket.gaierror:
        return cast("list[Address]", await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))


async def _race(loop: asyncio.AbstractEventLoop, addresses: list[Address]) -> socket.socket:
    """Return the first socket that connects.

    Why not the loop's ``happy_eyeballs_delay``: uvloop has none.
    """
    if len(addresses) == 1:
        return await _connect_one(loop, addresses[0])
    failure = OSError("the host has no address")
    waiting, pending, done = (
        deque(addresses),
        set[asyncio.Task[socket.socket]](),
        set[asyncio.Task[socket.socket]](),
    )
    try:
        while waiting or pending:
            if waiting:
                pending.add(loop.create_task(_connect_one(loop, waiting.popleft())))
            seconds = NEXT_ADDRESS_SECONDS if waiting else None
            done, pending = await asyncio.wait(pending, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for task in list(done):
                error = task.exception()
                if error is None:
                    done.discard(task)
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                failure = error
        raise failure
    finally:
        for task in (*pending, *done):
            _drop(task)


def _drop(task: asyncio.Task[socket.socket]) -> None:
    """End an unneeded connection."""

    def close(ended: asyncio.Task[socket.socket]) -> None:
        if not ended.cancelled() and ended.exception() is None:
            ended.result().close()

    task.cancel()
    task.add_done_callback(close)


async def _connect_one(loop: asyncio.AbstractEventLoop, address: Address) -> socket.socket:
    family, kind, protocol, _, target = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, target)
    except BaseException:
        sock.close()
        raise
    return sock


class AsyncioStream(AsyncStream, asyncio.Protocol):
    """A connection over a transport of asyncio."""

    _transport: asyncio.Transport

    def __init__(self, bounds: Bounds, write_error: type[Exception]) -> None:
        self._loop = asyncio.get_running_loop()
        self._received: list[bytes] = []
        self._received_bytes = 0
        self._is_ended = False
        self._is_encrypted = False
        self._is_full = False
        self._is_congested = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[bool] | None = None
        self._is_check_due = cancel_checks()
        super().__init__(bounds, write_error)

    # --- called by the event loop --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast("asyncio.Transport", transport)
        if self._is_shut_down:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Store received data, and pause reading if there is too much."""
        self._received.append(data)
        self._received_bytes += len(data)
        if self._received_bytes > BUFFER_BYTES and not self._is_full:
            self._is_full = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Keep the connection for writing, which asyncio cannot with TLS."""
        self._is_ended = True
        self._wake()
        return not self._is_encrypted

    def connection_lost(self, exc: Exception | None) -> None:
        """End every wait."""
        self._is_ended, self._error = True, exc
        self._wake()

    def pause_writing(self) -> None:
        """Make writes wait."""
        self._is_congested = True

    def resume_writing(self) -> None:
        """Let writes continue."""
        self._is_congested = False
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)

    # --- called by httpcore --------------------------------------------------------------------------

    async def _wait(self, bounds: Bounds) -> None:
        """Wait for a change. Only one task has the connection, so only one waits."""
        if self._is_check_due():
            await anyio.lowlevel.checkpoint_if_cancelled()
        seconds = bounds.seconds_left()
        self._waiter = waiter = self._loop.create_future()
        timer = None if seconds == math.inf else self._loop.call_later(seconds, _expire, waiter)
        try:
            if not await waiter:
                raise LateError
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    async def _receive(self, size: int, bounds: Bounds) -> bytes:
        bounds.seconds_left()  # raises if no time is left, because data may be endless
        while not self._received:
            self._check()
            if self._error is not None:
                raise OSError(str(self._error)) from self._error
            if self._is_ended:
                return b""
            await self._wait(bounds)
        if bounds.stage is Stage.BODY:
            size = BODY_BYTES
        first = self._received.pop(0)
        if len(first) < SEND_BYTES and self._received:  # a large one is not copied
            first, self._received = b"".join([first, *self._received]), []
        data, rest = first[:size], first[size:]
        if rest:
            self._received.insert(0, rest)
        self._received_bytes -= len(data)
        if self._is_full and self._received_bytes <= BUFFER_BYTES // 2:
            self._is_full = False
            self._transport.resume_reading()
        return data

    async def _send(self, data: bytes, bounds: Bounds) -> None:
        view = memoryview(data)
        for start in range(0, len(data), SEND_BYTES):
            bounds.seconds_left()
            if self._transport.is_closing():
                raise ConnectionResetError(str(self._error or "the server closed the connection"))
            self._transport.write(view[start : start + SEND_BYTES])
            while self._is_congested and not self._transport.is_closing():
                await self._wait(bounds)
            self._check()

    async def _encrypt(self, context: Any, hostname: str | None, bounds: Bounds) -> None:
        async with _limit(bounds):
            encrypted = await self._loop.start_tls(self._transport, self, context, server_hostname=hostname)
        if encrypted is None:
            raise ConnectionResetError("the server closed the connection")
        self._transport, self._is_encrypted = encrypted, True

    def _is_over(self) -> bool:
        # Also ask the system: a busy loop may not have noticed yet that the server closed the connection.
        return bool(self._received) or self._is_ended or self._transport.is_closing() or self._is_unread()

    def _is_unread(self) -> bool:
        sock = self._transport.get_extra_info("socket")
        try:
            return sock is not None and is_ready(sock, 0)
        except (OSError, ValueError):
            return True

    def _get_info(self, info: str) -> Any:
        named = {"client_addr": "sockname", "server_addr": "peername"}
        return self._transport.get_extra_info(named.get(info, info))

    def shut_down(self) -> None:
        """End every wait on the connection, which cannot be used again."""
        self._is_shut_down = True
        if hasattr(self, "_transport"):
            self._transport.abort()
        self._wake()

    async def aclose(self) -> None:
        """Drop the connection. Why not a clean close: over TLS that waits for the server."""
        self.shut_down()


def _expire(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)
