# SPDX-License-Identifier: Apache-2.0
"""Sockets of asyncio and the fewest bytes of HTTP that the server understands: the floor under everything."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from . import bare_httpx


class Line(asyncio.Protocol):
    """One connection, whose owner waits for what comes next."""

    def __init__(self) -> None:
        self.held = b""
        self.waiter: asyncio.Future[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.held += data
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def more(self) -> None:
        self.waiter = asyncio.get_running_loop().create_future()
        await self.waiter

    async def head(self) -> bytes:
        while (end := self.held.find(b"\r\n\r\n")) < 0:
            await self.more()
        head, self.held = self.held[:end], self.held[end + 4 :]
        return head

    async def body(self) -> bytes:
        length = int((await self.head()).rsplit(b"content-length: ", 1)[1].split(b"\r\n")[0])
        while len(self.held) < length:
            await self.more()
        body, self.held = self.held[:length], self.held[length:]
        return body


class Raw(bare_httpx.Async):
    async def open(self) -> None:
        parts = urlsplit(self.url)
        self.where = parts.hostname, parts.port
        self.free: list[Line] = []
        self.lines: list[Line] = []
        self.session = secrets.token_hex(8)
        for path in ("/config", "/gradio_api/info"):
            json.loads(await self.ask(b"GET", path.encode()))

    async def close(self) -> None:
        for line in self.lines:
            line.transport.close()

    async def line(self) -> Line:
        if self.free:
            return self.free.pop()
        _, line = await asyncio.get_running_loop().create_connection(Line, *self.where)
        self.lines.append(line)
        return line

    async def ask(self, method: bytes, path: bytes, value: Any = None) -> bytes:
        line = await self.line()
        body = b"" if value is None else json.dumps(value).encode()
        line.transport.write(
            b"%b %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (method, path, len(body), body)
        )
        reply = await line.body()
        self.free.append(line)
        return reply

    async def join(self, endpoint: str, value: str) -> str:
        body = {"data": [value], "fn_index": bare_httpx.NUMBERS[endpoint], "session_hash": self.session}
        event_id: str = json.loads(await self.ask(b"POST", b"/gradio_api/queue/join", body))["event_id"]
        return event_id

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        line = await self.line()
        path = f"/gradio_api/queue/data?session_hash={self.session}"
        line.transport.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        await line.head()
        while True:
            while b"\n\n\r\n" not in line.held and b"0\r\n\r\n" not in line.held:
                await line.more()
            *chunks, line.held = line.held.split(b"\n\n\r\n")
            for chunk in chunks:
                yield json.loads(chunk.split(b"data: ", 1)[1])
            if line.held == b"0\r\n\r\n":
                line.held = b""
                self.free.append(line)
                return

    async def cancelled(self, event_id: str) -> None:
        body = {"event_id": event_id, "fn_index": 3, "session_hash": self.session}
        await self.ask(b"POST", b"/gradio_api/cancel", body)

    async def download(self, directory: str) -> None:
        line = await self.line()
        line.transport.write(b"GET /gradio_api/file=/tmp/gradio/0/big.bin HTTP/1.1\r\nhost: x\r\n\r\n")
        left = int((await line.head()).split(b"content-length: ", 1)[1].split(b"\r\n")[0])
        with open(f"{directory}/big.bin", "wb") as file:
            while left:
                if not line.held:
                    await line.more()
                chunk, line.held = line.held, b""
                file.write(chunk)
                left -= len(chunk)

    async def upload(self, path: str) -> None:
        raise NotImplementedError
