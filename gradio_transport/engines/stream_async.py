# SPDX-License-Identifier: Apache-2.0
"""An ``AsyncNetworkStream`` of httpcore, for any event loop."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from .bounds import Bounds, BrokenError
from .stream_state import StreamState


class AsyncStream(StreamState):
    """A connection. Subclasses send, receive and encrypt."""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send a part of a request, or hold it back if it is small.

        Raises:
            NotSentError: The connection was shut down before this request; none of it was sent.
            LateError: It cannot be sent in time.
            Exception: The ``WriteError`` of httpcore: it cannot be sent at all.
        """
        if self._hold(buffer, timeout):
            try:
                await self._send_held()
            except OSError as error:
                raise self._write_error(str(error)) from error

    async def _send_held(self) -> None:
        held = self._take_held()
        self._check()
        for data in held:
            await self._send(data, self._bounds)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the bytes of one read, or no bytes at the end.

        Raises:
            LateError: No data arrived in time.
            BrokenError: The connection broke, or the client shut it down.
        """
        if self._held:
            # After a failure there may still be a reply; if not, the read fails too.
            with suppress(OSError):
                await self._send_held()
        bounds, joiner = self._begin_reading(timeout)
        try:
            while True:
                self._check()
                data = await self._receive(max_bytes, bounds)
                if joiner is None:
                    return data
                joined = joiner.feed(data) if data else joiner.finish()
                if joined or not data:
                    return joined
        except OSError as error:
            raise BrokenError(error) from error

    async def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> AsyncStream:
        """Encrypt the connection.

        Raises:
            LateError: It took longer than the time to connect.
            BrokenError: The server does not support TLS, or its certificate is not valid.
        """
        try:
            await self._encrypt(ssl_context, server_hostname, self._bounds_of(timeout))
            self._check()
        except OSError as error:
            await self.aclose()  # httpcore forgets it
            raise BrokenError(error) from error
        except BaseException:
            await self.aclose()
            raise
        return self

    async def _send(self, data: bytes, bounds: Bounds) -> None:
        raise NotImplementedError

    async def _receive(self, size: int, bounds: Bounds) -> bytes:
        raise NotImplementedError

    async def _encrypt(self, context: Any, hostname: str | None, bounds: Bounds) -> None:
        raise NotImplementedError

    def open_socket(self) -> Any:
        """Return the socket, or None after the connection is shut down."""
        return None if self._is_shut_down else self._get_info("socket")

    async def aclose(self) -> None:
        """Close the connection."""
        raise NotImplementedError
