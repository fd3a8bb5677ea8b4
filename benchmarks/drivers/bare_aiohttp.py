# SPDX-License-Identifier: Apache-2.0
"""aiohttp doing the same requests and nothing else: the floor of what is built on it."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from . import bare_httpx


class Bare(bare_httpx.Async):
    client: Any

    async def open(self) -> None:
        connector = aiohttp.TCPConnector(limit=1100)
        self.client = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout())
        self.session = secrets.token_hex(8)
        for path in ("/config", "/gradio_api/info"):
            async with self.client.get(self.url + path) as reply:
                await reply.json()

    async def close(self) -> None:
        await self.client.close()

    async def join(self, endpoint: str, value: str) -> str:
        body = {"data": [value], "fn_index": bare_httpx.NUMBERS[endpoint], "session_hash": self.session}
        async with self.client.post(f"{self.url}/gradio_api/queue/join", json=body) as reply:
            event_id: str = (await reply.json())["event_id"]
            return event_id

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        url = f"{self.url}/gradio_api/queue/data?session_hash={self.session}"
        async with self.client.get(url) as response:
            held = b""
            while chunk := await response.content.readany():
                *events, held = (held + chunk).split(b"\n\n")
                for event in events:
                    yield json.loads(event[6:])

    async def cancelled(self, event_id: str) -> None:
        body = {"event_id": event_id, "fn_index": 3, "session_hash": self.session}
        async with self.client.post(f"{self.url}/gradio_api/cancel", json=body) as reply:
            await reply.json()

    async def download(self, directory: str) -> None:
        async with self.client.get(f"{self.url}/gradio_api/file=/tmp/gradio/0/big.bin") as response:
            with open(f"{directory}/big.bin", "wb") as file:
                while chunk := await response.content.readany():
                    file.write(chunk)

    async def upload(self, path: str) -> None:
        with Path(path).open("rb") as file:
            async with self.client.post(f"{self.url}/gradio_api/upload", data={"files": file}) as reply:
                await reply.json()
