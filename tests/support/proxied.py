# SPDX-License-Identifier: Apache-2.0
"""A server that tests script, behind a proxy whose record they read."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import attrs
from aiohttp import web

from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.recording.client import AppClient
from gradio_transport.recording.front import Front
from gradio_transport.recording.headers import Upstream
from gradio_transport.recording.proxy import Proxy
from gradio_transport.recording.recorder import Recorder

SECONDS = 10.0

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Notes:
    """An observer that notes what it is told, as tuples without exchange and time."""

    def __init__(self) -> None:
        self.all: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name not in (
            "request", "response", "data", "end", "failed", "websocket_opened", "websocket_accepted",
            "websocket_text", "websocket_closed",
        ):  # fmt: skip
            raise AttributeError(name)
        return lambda exchange, t, *rest: self.all.append((name, *rest))

    def advance(self, t: float) -> None: ...

    def close(self) -> None: ...

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [rest for kind, *rest in self.all if kind == name]

    @property
    def body(self) -> bytes:
        return b"".join(data for (data,) in self.named("data"))


@attrs.define
class Proxied:
    url: str
    origin: str
    authority: str
    notes: Notes
    recorder: Recorder

    def recorded(self) -> Notes:
        """Return the notes once everything so far is in them."""
        self.recorder.close()
        return self.notes


@contextlib.asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve a handler, and yield the URL."""
    runner = web.ServerRunner(
        web.Server(handler, handler_cancellation=True, access_log=None), shutdown_timeout=0.1
    )
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening, ssl_context=context).start()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def proxied_to(
    origin: str,
    *,
    path: str = "",
    moves: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    base: str | None = None,
) -> AsyncIterator[Proxied]:
    """Put a proxy before a server."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    notes = Notes()
    recorder = Recorder(notes)
    upstream = Upstream(base or origin + path, headers or {})
    proxy = Proxy(
        Front("127.0.0.1", port),
        upstream,
        AppClient(HTTPSettings(trust_env=False), origin),
        recorder,
        moves or {},
    )
    await proxy.start(listening)
    authority = f"127.0.0.1:{port}"
    try:
        async with asyncio.timeout(3 * SECONDS):
            yield Proxied(f"http://{authority}{path}", origin, authority, notes, recorder)
    finally:
        await proxy.close()
        recorder.close()


@contextlib.asynccontextmanager
async def proxied(handler: Handler, **arguments: Any) -> AsyncIterator[Proxied]:
    """Serve a handler behind a proxy."""
    async with serving(handler) as origin, proxied_to(origin, **arguments) as made:
        yield made


@contextlib.asynccontextmanager
async def raw_server(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """Serve connections by hand."""
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def exchange(authority: str, request: bytes) -> bytes:
    """Send raw bytes, and return all that comes back until the connection ends."""
    host, _, port = authority.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    await writer.drain()
    try:
        async with asyncio.timeout(SECONDS):
            return await reader.read()
    finally:
        writer.close()
