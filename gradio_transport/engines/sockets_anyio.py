# SPDX-License-Identifier: Apache-2.0
"""Connections over anyio's streams, for trio and other event loops of anyio."""

from __future__ import annotations

import math
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import anyio
import anyio.abc
from anyio.streams.tls import TLSAttribute, TLSStream

from .bounds import Bounds, LateError
from .connecting import NEXT_ADDRESS_SECONDS, Address, choose_addresses
from .layers import is_ready
from .stream_async import AsyncStream
from .stream_state import SEND_BYTES


async def connect(host: str, port: int, bounds: Bounds, write_error: type[Exception]) -> AnyioStream:
    """Return a connection to a host.

    Raises:
        OSError: No address could be connected to, or none is allowed.
        LateError: There was no connection in time.
    """
    with _limit(bounds):
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = choose_addresses(found, bounds.addresses)
        return AnyioStream(await _race(addresses, port), bounds, write_error)


async def _race(addresses: Sequence[Address], port: int) -> anyio.abc.SocketStream:
    """Return the first connection that is made.

    Why not leave it to anyio: it looks up the name itself, and may find other addresses.
    """
    connected: list[anyio.abc.SocketStream] = []
    failure: Exception = OSError("the host has no address")

    async def try_one(address: Address, failed: anyio.Event) -> None:
        nonlocal failure
        try:
            connected.append(await anyio.connect_tcp(address[4][0], port))
        except OSError as error:
            failure = error
            failed.set()
        else:
            race.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as race:
            for address in addresses:
                failed = anyio.Event()
                race.start_soon(try_one, address, failed)
                with anyio.move_on_after(NEXT_ADDRESS_SECONDS):
                    await failed.wait()
        if connected:
            return connected.pop(0)
        raise failure
    finally:
        for unwanted in connected:
            await anyio.aclose_forcefully(unwanted)


@contextmanager
def _limit(bounds: Bounds) -> Generator[None, None, None]:
    seconds = bounds.seconds_left()
    with anyio.CancelScope(
        deadline=math.inf if seconds == math.inf else anyio.current_time() + seconds
    ) as scope:
        yield
    if scope.cancelled_caught:
        raise LateError


@contextmanager
def _translate_errors() -> Generator[None, None, None]:
    try:
        yield
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream) as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise OSError(str(cause) or "the connection broke") from error


class AnyioStream(AsyncStream):
    """A connection over a stream of anyio."""

    def __init__(self, stream: anyio.abc.SocketStream, bounds: Bounds, write_error: type[Exception]) -> None:
        self._stream: anyio.abc.ByteStream = stream
        self._socket: socket.socket = stream.extra(anyio.abc.SocketAttribute.raw_socket)  # noqa: S610 - no Django
        super().__init__(bounds, write_error)

    async def _receive(self, size: int, bounds: Bounds) -> bytes:
        with _translate_errors(), _limit(bounds):
            try:
                data = await self._stream.receive(size)
            except anyio.EndOfStream:
                data = b""
            self._check()  # earlier data may be the end that the shutdown made
            return data
        raise AssertionError("a scope that is cancelled raises")

    async def _send(self, data: bytes, bounds: Bounds) -> None:
        for start in range(0, len(data), SEND_BYTES):
            with _translate_errors(), _limit(bounds):
                await self._stream.send(data[start : start + SEND_BYTES])

    async def _encrypt(self, context: Any, hostname: str | None, bounds: Bounds) -> None:
        with _translate_errors(), _limit(bounds):
            self._stream = await TLSStream.wrap(
                self._stream,
                hostname=hostname,
                ssl_context=context,
                standard_compatible=False,
                server_side=False,
            )

    def _is_over(self) -> bool:
        try:
            return is_ready(self._socket, 0)
        except (OSError, ValueError):
            return True

    def _get_info(self, info: str) -> Any:
        match info:
            case "ssl_object":
                return self._stream.extra(TLSAttribute.ssl_object, None)  # noqa: S610 - no Django
            case "socket":
                return self._socket
            case "client_addr":
                return self._socket.getsockname()
            case "server_addr":
                return self._socket.getpeername()
            case _:
                return None

    def shut_down(self) -> None:
        """End every wait on the connection, which cannot be used again."""
        self._is_shut_down = True
        with suppress(OSError, ValueError):
            self._socket.shutdown(socket.SHUT_RDWR)

    async def aclose(self) -> None:
        """Close the connection without TLS close_notify, which would wait for the server."""
        self._is_shut_down = True
        await anyio.aclose_forcefully(self._stream)
