# SPDX-License-Identifier: Apache-2.0
"""The websocket of the async engine over aiohttp."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import aiohttp
import anyio.lowlevel

from ..protocol.commands import Closed, Ending
from .cancel_checks import cancel_checks
from .proxies import Proxy, add_proxy
from .replies import reason, shut_down_socket

_PINGS = (aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG)


class AiohttpWebSocket:
    """An open websocket."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse[Any], silence: float | None, proxy: Proxy | None
    ) -> None:
        self._socket = socket
        self._silence = silence
        self._proxy = proxy
        self._is_check_due = cancel_checks()

    async def receive(self, timeout: float | None = None) -> str | Closed | None:
        """Return the next text, the end of the socket, or None after `timeout` seconds."""
        if self._is_check_due():
            await anyio.lowlevel.checkpoint_if_cancelled()
        seconds = self._silence if timeout is None else max(timeout, 0.001)
        try:
            while (message := await self._socket.receive(seconds)).type in _PINGS:
                # Why not aiohttp's autoping: if the pong cannot be sent, it loses earlier messages.
                if message.type is aiohttp.WSMsgType.PING:
                    with suppress(aiohttp.ClientError, OSError, RuntimeError):
                        await self._socket.pong(message.data)
        except TimeoutError:
            if timeout is not None:
                return None
            return self._ended(Ending.IDLE, f"silent for {self._silence} s")
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            return self._ended(Ending.RESET, reason(error))
        data: Any = message.data
        match message.type:
            case aiohttp.WSMsgType.TEXT | aiohttp.WSMsgType.BINARY:
                return bytes(data).decode("utf-8", "replace")
            case aiohttp.WSMsgType.CLOSE:
                code = data or None
                ending = Ending.CLEAN if code in (None, 1000, 1001) else Ending.RESET
                return Closed(ending, code, message.extra or "")
            case aiohttp.WSMsgType.ERROR:
                too_large = getattr(data, "code", None) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
                return Closed(Ending.TOO_LARGE if too_large else Ending.RESET, reason=str(data))
            case _:
                return self._ended(Ending.RESET, "the connection was lost")

    def _ended(self, ending: Ending, why: str) -> Closed:
        return Closed(ending, reason=add_proxy(why, self._proxy))

    async def send(self, text: str) -> Closed | None:
        """Send a text. Return the end of the socket if it has ended."""
        try:
            async with asyncio.timeout(self._silence):
                await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            return self._ended(Ending.RESET, reason(error))
        return None

    async def abort(self) -> None:
        """Drop the socket at once: a close handshake blocks a worker of 3.x for 10 s (docs/wire.md §3.3)."""
        sock = self._socket.get_extra_info("socket")
        if sock is not None:
            shut_down_socket(sock)  # so the close frame of `close` below is never sent
        with suppress(aiohttp.ClientError, OSError, RuntimeError):
            await self._socket.close()

    async def aclose(self) -> None:
        """Drop the socket, as `abort`."""
        await self.abort()
