# SPDX-License-Identifier: Apache-2.0
"""Cancelling the reading of what comes without a pause.

The peer sends in each turn of the reader's own event loop, so that there is always something to read.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import anyio
import pytest
from scripted import scripted

import gradio_transport as gt
from gradio_transport.engines.aiohttp_async import AiohttpEngine
from gradio_transport.engines.base import AsyncEngine, Patience
from gradio_transport.engines.httpcore_async import AsyncHTTPEngine
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.errors import Phase
from gradio_transport.protocol.commands import Request

SECONDS = 10.0
"""How long the peer sends; a reader that cannot be cancelled reads as long."""

QUIET_SECONDS = 0.2
"""How long it is read before that is cancelled."""

BLOCK = b"\x81\x05hello"
"""Texts of a websocket, or any body."""


async def serve_flood(listener: socket.socket, scope: anyio.CancelScope) -> None:
    """Answer one request, send without a pause, and cancel a scope after a while."""
    loop = asyncio.get_running_loop()
    connection, _ = await loop.sock_accept(listener)
    connection.setblocking(False)
    head = await loop.sock_recv(connection, 65536)
    key = re.search(rb"(?i)sec-websocket-key: (\S+)", head)
    if key is None:
        await loop.sock_sendall(connection, b"HTTP/1.1 200 OK\r\n\r\n")
    else:
        accept = base64.b64encode(hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        lines = (
            b"HTTP/1.1 101 Yes",
            b"upgrade: websocket",
            b"connection: upgrade",
            b"sec-websocket-accept: " + accept,
        )
        await loop.sock_sendall(connection, b"\r\n".join(lines) + b"\r\n\r\n")
    began = time.monotonic()

    def send() -> None:
        # Here, between what was read and its reader, because in other places anyio does cancel it.
        if not scope.cancel_called and time.monotonic() > began + QUIET_SECONDS:
            scope.cancel()
        try:
            connection.send(BLOCK)
        except BlockingIOError:
            pass
        except OSError:
            connection.close()
            return
        if time.monotonic() < began + SECONDS:
            loop.call_soon(send)
        else:
            connection.close()

    send()


def patience() -> Patience:
    return Patience(60, 60, "idle", Phase.STREAM, 1000)


async def body(engine: AsyncEngine, port: int) -> AsyncIterator[object]:
    stream = await engine.stream(Request("GET", f"http://127.0.0.1:{port}/"), patience())
    try:
        async with aclosing(stream.chunks()) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                yield chunk
    finally:
        await stream.aclose()


async def texts(engine: AsyncEngine, port: int) -> AsyncIterator[object]:
    opened = await engine.websocket(f"ws://127.0.0.1:{port}/", {}, patience(), 1000)
    try:
        while isinstance(text := await opened.receive(), str):
            yield text
    finally:
        await opened.aclose()


@pytest.mark.parametrize(
    ("engine", "read"),
    [(AsyncHTTPEngine, body), (AiohttpEngine, body), (AiohttpEngine, texts)],
    ids=["httpx", "aiohttp", "aiohttp websocket"],
)
def test_the_reading_of_a_flood_is_cancelled(engine, read):
    async def use() -> tuple[bool, float]:
        http = engine(HTTPSettings())
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            scope = anyio.CancelScope()
            serving = asyncio.ensure_future(serve_flood(listener, scope))
            began = time.monotonic()
            with scope:
                async with aclosing(read(http, listener.getsockname()[1])) as reading:
                    async for _ in reading:
                        pass
            seconds = time.monotonic() - began
            await http.aclose()
            await serving
        return scope.cancelled_caught, seconds

    cancelled, seconds = anyio.run(use)
    assert cancelled
    assert seconds < SECONDS / 2


def test_a_wait_for_events_that_always_come_is_cancelled():
    async def use() -> tuple[bool, float]:
        loop = asyncio.get_running_loop()
        async with gt.connect_async(server.url) as app:
            call = app.submit("/forever", "x")
            scope = anyio.CancelScope()
            began = time.monotonic()

            def tick() -> None:  # between what came and who waits for it, as `send` above
                if time.monotonic() > began + QUIET_SECONDS:
                    scope.cancel()
                else:
                    loop.call_soon(tick)

            def deliver() -> None:  # in each turn, because `readable` is never read
                if time.monotonic() > began + SECONDS:
                    loop.remove_reader(readable)
                call._pending.deliver(gt.Log(message="x"), 1)

            loop.add_reader(readable, deliver)
            tick()
            with scope:
                async for _ in call:
                    pass
            loop.remove_reader(readable)
            return scope.cancelled_caught, time.monotonic() - began

    readable, writable = socket.socketpair()
    with readable, writable, scripted() as server:
        writable.send(b"x")
        cancelled, seconds = anyio.run(use)
    assert cancelled
    assert seconds < SECONDS / 2
