# SPDX-License-Identifier: Apache-2.0
"""Relay of websocket frames between a client and the app, with their close codes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import WSMessage, WSMsgType

from ..protocol.frames import Direction
from .recorder import Exchange

_NO_CODE = 1005
"""The code for a close frame without a code (RFC 6455 §7.1.5)."""

_CLOSE_SECONDS = 10.0
"""Seconds to wait for the reply to a close frame."""


class Socket(Protocol):
    """One of the two ends, from aiohttp's client or server."""

    async def receive(self) -> Any:
        """Return the next message."""
        ...

    async def send_frame(self, message: bytes, opcode: WSMsgType) -> None:
        """Send a frame."""
        ...


async def relay(
    client: Socket,
    app: Socket,
    record: Exchange,
    rewrite: Callable[[bytes], bytes],
    room: Callable[[], Any],
) -> bool:
    """Pass frames both ways until both sides have closed or one breaks, and return whether both have closed.

    The caller then drops both connections: after close frames in both directions no frame follows, and a
    broken connection breaks the other one without a close frame, as it would without the proxy.
    """

    async def to_app() -> bool:
        return await _pump(client, app, record, Direction.OUT, lambda data: data, room)

    async def to_client() -> bool:
        return await _pump(app, client, record, Direction.IN, rewrite, room)

    tasks = {asyncio.create_task(to_app()), asyncio.create_task(to_client())}
    try:
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        closed = all(task.result() for task in done)
        if closed and pending:
            answered, pending = await asyncio.wait(pending, timeout=_CLOSE_SECONDS)
            closed = bool(answered) and all(task.result() for task in answered)
        return closed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        record.websocket_closed(Direction.OUT, None, "")  # unless it ended earlier because the client left


async def _pump(
    source: Socket,
    target: Socket,
    record: Exchange,
    direction: Direction,
    rewrite: Callable[[bytes], bytes],
    room: Callable[[], Any],
) -> bool:
    """Pass frames one way. Return whether it ended with a close frame."""
    while True:
        message: WSMessage = await source.receive()
        kind = message.type
        try:
            if kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING, WSMsgType.PONG):
                data = bytes(message.data)
                await target.send_frame(rewrite(data) if kind is WSMsgType.TEXT else data, kind)
                if kind is WSMsgType.TEXT:
                    record.websocket_text(direction, data)
                    await room()
            elif kind is WSMsgType.CLOSE:
                code, reason = int(message.data or 0), str(message.extra or "")
                record.websocket_closed(direction, code or _NO_CODE, reason)
                await target.send_frame(_close_payload(code, reason), WSMsgType.CLOSE)
                return True
            else:  # the connection broke, or a frame was not valid
                record.websocket_closed(direction, None, "")
                return False
        except ConnectionError:  # the target broke, which its own pump also notices
            return False


def _close_payload(code: int, reason: str) -> bytes:
    return struct.pack("!H", code) + reason.encode() if code else b""


__all__ = ["Socket", "relay"]
